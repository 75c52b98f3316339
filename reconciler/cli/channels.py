"""``reconciler channel …``: who is told of failures, and what they were told."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, LIMIT, YES, confirm, examples, new_family
from reconciler.cli.secrets import read_secret

if TYPE_CHECKING:
    from rich.text import Text

channel = new_family("Tell people of failures, recoveries and what needs them.")

_CHANNEL = typer.Argument(..., metavar="CHANNEL", help="Name of the channel.", show_default=False)
_URL_FILE = typer.Option(
    None,
    "--url-file",
    metavar="FILE",
    help="Read the address from a file; - is standard input.",
)
_EVENTS = typer.Option(
    None,
    "--events",
    metavar="EVENTS",
    help="Of these, separated by commas: failure, rollback, recovery, needs-person, success.",
    show_default=False,
)
_REMIND = typer.Option(
    None,
    "--remind-after",
    metavar="SECONDS",
    min=0,
    help="Tell a trouble again after this long while it lasts; 0: never.",
    show_default=False,
)
_TEMPLATE = typer.Option(
    None,
    "--template-file",
    metavar="FILE",
    help="The text of messages (Jinja2); an empty file brings the usual one back.",
)


@channel.command(
    "add",
    epilog=examples(
        "reconciler channel add ops",
        "reconciler channel add ops --events failure,recovery --project shop",
        "pass show ntfy/ops | reconciler channel add ops",
        "reconciler channel add chat --url-file slack.url --remind-after 3600",
    ),
)
def add(
    context: typer.Context,
    name: str = _CHANNEL,
    project: str | None = typer.Option(
        None, "--project", metavar="PROJECT", help="Tell of this one only.  [default: of all]"
    ),
    events: str | None = _EVENTS,
    remind_after: int | None = _REMIND,
    template_file: Path | None = _TEMPLATE,
    url_file: Path | None = _URL_FILE,
) -> None:
    """Declare a channel.

    Its address is asked for without being shown, or read from a file or a pipe, because whoever
    knows it can send there: ntfys://TOPIC, slack://…, mailtos://…, or https://… for a webhook that
    is signed with a key made here.
    """
    body: dict[str, object] = {
        "name": name,
        "url": _read_url(name, url_file),
        **_chosen(events, remind_after, template_file),
    }
    if project:
        body["project"] = project
    _show_made(connect(context).send("POST", at("channels"), body))
    show.note(f"`reconciler channel test {name}` sends a message now")


@channel.command(
    "list", epilog=examples("reconciler channel list", "reconciler channel list --json")
)
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the channels, and how the newest message to each went."""
    answer = connect(context).get_all(at("channels"))
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("CHANNEL", "SERVICE", "ADDRESS", "TELLS OF", "EVENTS", "AGAIN AFTER", "LAST", "TROUBLE"),
        (
            (
                show.styled(show.word(item, "name"), "bold"),
                show.word(item, "service"),
                show.word(item, "fingerprint"),
                show.word(item, "project") or "all projects",
                show.words(item, "events"),
                _again(item),
                show.ago(item, "last_at"),
                show.styled(show.word(item, "last_error"), "red"),
            )
            for item in items_of(answer)
        ),
        empty="no channels, so that nobody is told; `reconciler channel add --help` shows how",
    )


@channel.command(
    "show",
    epilog=examples("reconciler channel show ops", "reconciler channel show ops --limit 100"),
)
def show_one(
    context: typer.Context, name: str = _CHANNEL, limit: int = LIMIT, as_json: bool = AS_JSON
) -> None:
    """Show a channel, and what became of the newest messages to it."""
    client = connect(context)
    found = client.get(at("channels", name))
    messages = client.get(at("channels", name, "messages"), limit=limit)
    if as_json:
        show.as_json({**found, "messages": messages.get("items")})
        return
    _show_facts(found)
    show.say("")
    show.table(
        ("NUMBER", "WHEN", "WHAT", "FATE", "TRIES", "NEXT", "ERROR"),
        (
            (
                show.word(item, "number"),
                show.ago(item, "created_at"),
                show.word(item, "headline"),
                _fate(item),
                show.word(item, "attempts"),
                show.ago(item, "next_attempt_at"),
                show.word(item, "error"),
            )
            for item in items_of(messages)
        ),
        empty="it was told nothing yet",
    )


@channel.command(
    "set",
    epilog=examples(
        "reconciler channel set ops --events failure,rollback,recovery,success",
        "reconciler channel set ops --remind-after 0",
        "reconciler channel set ops --new-url",
        "reconciler channel set ops --template-file message.txt",
    ),
)
def set_(
    context: typer.Context,
    name: str = _CHANNEL,
    events: str | None = _EVENTS,
    remind_after: int | None = _REMIND,
    template_file: Path | None = _TEMPLATE,
    url_file: Path | None = _URL_FILE,
    new_url: bool = typer.Option(
        False, "--new-url", help="Ask for another address, or read it from a pipe."
    ),
) -> None:
    """Change a channel; what is not named stays. A signed webhook's new address has a new key."""
    body = _chosen(events, remind_after, template_file)
    if new_url or url_file:
        body["url"] = _read_url(name, url_file)
    if not body:
        raise typer.BadParameter("say what to change; --help lists the options")
    _show_made(connect(context).send("PATCH", at("channels", name), body))


@channel.command("remove", epilog=examples("reconciler channel remove ops"))
def remove(context: typer.Context, name: str = _CHANNEL, yes: bool = YES) -> None:
    """Remove a channel, and what waits to be sent to it."""
    confirm(f"Remove the channel {name} with what waits to be sent to it?", yes)
    connect(context).send("DELETE", at("channels", name))
    show.say(f"removed {name}")


@channel.command("test", epilog=examples("reconciler channel test ops"))
def try_out(context: typer.Context, name: str = _CHANNEL, as_json: bool = AS_JSON) -> None:
    """Send a message now, and say whether the service took it."""
    client = connect(context)
    with show.busy(f"sending to {name}"):
        answer = client.send("POST", at("channels", name, "test"))
    if as_json:
        show.as_json(answer)
    elif answer.get("sent"):
        show.say(f"sent to {name} in {show.word(answer, 'took_seconds')} s")
    if not answer.get("sent"):
        remedy = f"`reconciler channel set {name} --new-url` gives it another address"
        raise CommandFailed(f"{name}: {show.word(answer, 'error')}", remedy, ExitStatus.ERROR)


def _read_url(name: str, file: Path | None) -> str:
    return read_secret(f"address of {name}", file).strip()


def _chosen(
    events: str | None, remind_after: int | None, template_file: Path | None
) -> dict[str, object]:
    body: dict[str, object] = {}
    if events is not None:
        body["events"] = [one.strip() for one in events.split(",") if one.strip()]
    if remind_after is not None:
        body["remind_after_seconds"] = remind_after
    if template_file is not None:
        body["template"] = _read_template(template_file)
    return body


def _read_template(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = f"{file} can't be read: {error}"
        raise CommandFailed(reason, status=ExitStatus.INVALID) from error


def _show_made(made: JsonObject) -> None:
    _show_facts(made)
    if key := show.word(made, "signing_key"):
        show.note("the key that its messages are signed with, shown this once:")
        show.say(key)


def _show_facts(item: JsonObject) -> None:
    last = show.ago(item, "last_at")
    error = show.word(item, "last_error")
    show.facts(
        (
            ("channel", show.word(item, "name")),
            ("service", f"{show.word(item, 'service')} ({show.word(item, 'fingerprint')})"),
            ("tells of", show.word(item, "project") or "all projects"),
            ("events", show.words(item, "events")),
            ("again after", _again(item)),
            ("template", "its own" if item.get("template") else "the usual one"),
            ("last message", show.styled(f"{last}: {error}", "red") if error else last or "none"),
        )
    )


def _again(item: JsonObject) -> str:
    seconds = item.get("remind_after_seconds")
    return show.span(seconds) if isinstance(seconds, int) and seconds else "never"


def _fate(item: JsonObject) -> "str | Text":
    fate = show.word(item, "fate")
    return show.styled(fate, {"sent": "green", "given-up": "red"}.get(fate, "yellow"))
