"""The keys of hosts: those that they are known by, and ours to come in with."""

import sys
from pathlib import Path

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import YES, confirm
from reconciler.cli.secrets import read_secret

HOST = typer.Argument(..., metavar="HOST", help="Name of the host.", show_default=False)
FINGERPRINT = typer.Option(
    None, "--fingerprint", metavar="SHA256:…", help="Confirm the key with this fingerprint."
)


def key(
    context: typer.Context,
    name: str = HOST,
    file: Path | None = typer.Option(
        None, "--file", metavar="FILE", help="Read the key from a file; - is standard input."
    ),
) -> None:
    """Store the private key that a host is entered with, or replace it. It is never shown again."""
    if file is None and sys.stdin.isatty():
        raise typer.BadParameter("name the key's file: --file ~/.ssh/id_ed25519")
    put_key(connect(context), name, read_secret("private key", file))


def trust(
    context: typer.Context,
    name: str = HOST,
    fingerprint: str | None = FINGERPRINT,
    yes: bool = YES,
) -> None:
    """Confirm the key that a host shows.

    A key that changed may be another machine's: find out why first, and take it over by naming its
    --fingerprint. The host's own console tells it:

    ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
    """
    client = connect(context)
    _trust(client, name, fingerprint or _ask(client, name, yes=yes))
    say_whether_it_answers(client, name)


def put_key(client: Client, name: str, key: str) -> None:
    """Store the private key that a host is entered with."""
    try:
        stored = client.send("PUT", at("hosts", name, "key"), {"value": key})
    except CommandFailed as failure:
        failure.message = failure.message.replace("value: ", "what was given as private key ", 1)
        raise
    show.say(f"stored the key of {name} ({show.word(stored, 'key', 'fingerprint')})")


def confirm_now(client: Client, name: str, fingerprint: str | None, *, yes: bool) -> None:
    """Confirm the key; where nobody says that it is right, say what does so later."""
    if fingerprint is None and not yes and not sys.stdin.isatty():
        show.note(f"nobody is there to confirm its key; `reconciler host trust {name}` does later")
        return
    try:
        _trust(client, name, fingerprint or _ask(client, name, yes=yes))
    except CommandFailed as failure:
        failure.remedy = (
            f"{name} is declared all the same: `reconciler host set {name}` corrects it, "
            f"`reconciler host trust {name}` confirms its key"
        )
        raise
    say_whether_it_answers(client, name)


def say_whether_it_answers(client: Client, name: str) -> None:
    """Check a host, and say who we are there and what it has.

    Raises:
        CommandFailed: it can't be used.
    """
    with show.busy(f"connecting to {name}"):
        item = client.send("POST", at("hosts", name, "check"))
    error = show.pick(item, "health", "error")
    if not show.pick(item, "health", "reachable"):
        said = show.word(error, "message") or f"{name} does not answer"
        raise CommandFailed(said, show.word(error, "remedy"), ExitStatus.UNREACHABLE)
    systemd = "systemd, " if show.pick(item, "facts", "has_systemd") else ""
    has = f"{systemd}{show.words(item, 'facts', 'tools')}"
    show.note(f"{name} lets us in as {show.word(item, 'facts', 'user')}, and has {has}")


def _ask(client: Client, name: str, *, yes: bool) -> str:
    """Return the fingerprint that a person confirmed, of the strongest key that the host shows."""
    known = show.words(client.get(at("hosts", name)), "host_keys")
    with show.busy(f"asking {name} for its key"):
        offered = items_of(client.get(at("hosts", name, "offered-keys")))
    if not offered:
        raise CommandFailed(f"{name} shows no key", status=ExitStatus.UNREACHABLE)
    for one in offered:
        show.note(f"{name} shows {_key_line(one)}")
    trusted = [one for one in offered if one.get("trusted")]
    fingerprint = show.word((trusted or offered)[0], "fingerprint")
    if known and not trusted:
        raise CommandFailed(
            f"{name} is known by {known}, and shows {fingerprint}",
            "find out why; if it is right, "
            f"`reconciler host trust {name} --fingerprint {fingerprint}` takes it over",
            ExitStatus.DENIED,
        )
    if not trusted:
        _confirm(name, fingerprint, yes=yes)
    return fingerprint


def _confirm(name: str, fingerprint: str, *, yes: bool) -> None:
    try:
        confirm(f"Is {fingerprint} the key of {name}?", yes)
    except typer.Exit:
        show.note(f"nothing is sent to {name} before `reconciler host trust {name}` confirms a key")
        raise


def _key_line(item: JsonObject) -> str:
    kind = show.word(item, "key").partition(" ")[0]
    return f"{show.word(item, 'fingerprint')} ({kind})"


def _trust(client: Client, name: str, fingerprint: str) -> None:
    with show.busy(f"asking {name} for its key"):
        answer = client.send("POST", at("hosts", name, "trust"), {"fingerprint": fingerprint})
    now, before = show.word(answer, "fingerprint"), show.words(answer, "before")
    if before in {"", now}:
        show.say(f"{name} is known by {now}")
    else:
        show.say(f"{name} was known by {before}, and is known by {now} now")
