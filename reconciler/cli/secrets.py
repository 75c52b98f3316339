"""``reconciler secret …``: credentials and variables of a project. Values never are arguments."""

import sys
from pathlib import Path

import typer

from reconciler.cli import show
from reconciler.cli.client import at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, PROJECT, YES, confirm, examples, new_family

secret = new_family("Store, list and remove the secrets of a project. They are never shown again.")

_LIMIT_BYTES = 64 << 10
_NAME = typer.Argument(
    ...,
    metavar="SECRET",
    help="git-token, git-ssh-key, forge-token, registry:HOST or variable:NAME.",
    show_default=False,
)


@secret.command(
    "set",
    epilog=examples(
        "reconciler secret set blog git-token --user me",
        "reconciler secret set blog git-ssh-key --file ~/.ssh/deploy_blog",
        "reconciler secret set blog forge-token",
        "reconciler secret set blog registry:registry.example.com --user robot",
        "pass show blog/db | reconciler secret set blog variable:DATABASE_PASSWORD",
    ),
)
def set_(
    context: typer.Context,
    project: str = PROJECT,
    name: str = _NAME,
    file: Path | None = typer.Option(
        None, "--file", metavar="FILE", help="Read the value from a file; - is standard input."
    ),
    user: str | None = typer.Option(
        None, "--user", metavar="NAME", help="User name to go with it."
    ),
    bound_to: str | None = typer.Option(
        None,
        "--bound-to",
        metavar="ORIGIN",
        help="The only place it is sent to.  [default: source]",
    ),
) -> None:
    """Store a secret, or replace it.

    The value is asked for without being shown, or read from a file or a pipe. It can't be given as
    an argument: everybody on the machine could read it there.
    """
    value = read_secret(name, file)
    body: dict[str, object] = {"value": value}
    if user:
        body["username"] = user
    if bound_to:
        body["bound_to"] = bound_to
    stored = connect(context).send("PUT", at("projects", project, "secrets", name), body)
    place = show.word(stored, "bound_to")
    fingerprint = show.word(stored, "fingerprint")
    show.say(f"stored {name} of {project}{f' for {place}' if place else ''} ({fingerprint})")


@secret.command("list", epilog=examples("reconciler secret list blog"))
def list_(context: typer.Context, project: str = PROJECT, as_json: bool = AS_JSON) -> None:
    """List a project's secrets; never their values."""
    answer = connect(context).get_all(at("projects", project, "secrets"))
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("SECRET", "FINGERPRINT", "USER", "SENT TO", "CHANGED"),
        (
            (
                show.word(item, "name"),
                show.word(item, "fingerprint"),
                show.word(item, "username"),
                show.word(item, "bound_to"),
                show.ago(item, "updated_at"),
            )
            for item in items_of(answer)
        ),
        empty=f"no secrets; `reconciler secret set {project} …` stores one",
    )


@secret.command("remove", epilog=examples("reconciler secret remove blog git-token"))
def remove(
    context: typer.Context, project: str = PROJECT, name: str = _NAME, yes: bool = YES
) -> None:
    """Remove a secret."""
    confirm(f"Remove {name} of {project}?", yes)
    connect(context).send("DELETE", at("projects", project, "secrets", name))
    show.say(f"removed {name} of {project}")


def read_secret(name: str, file: Path | None) -> str:
    """Return a secret that is asked for without being shown, or read from a file or a pipe.

    Raises:
        CommandFailed: it can't be read, is too long, or is empty.
    """
    if file is None and sys.stdin.isatty():
        import getpass

        value = getpass.getpass(f"{name}: ")
    else:
        value = _read_stream(file)
        # A key keeps its lines; a single line loses the newline that `echo` gave it.
        if value.count("\n") == 1:
            value = value.removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise CommandFailed(f"{name}: is empty", "nothing was stored", ExitStatus.INVALID)
    return value


def _read_stream(file: Path | None) -> str:
    subject = "standard input" if file is None or str(file) == "-" else str(file)
    try:
        if subject == "standard input":
            content = sys.stdin.buffer.read(_LIMIT_BYTES + 1)
        else:
            with Path(subject).expanduser().open("rb") as stream:
                content = stream.read(_LIMIT_BYTES + 1)
    except OSError as error:
        raise CommandFailed(
            f"{subject} can't be read ({error.strerror})", status=ExitStatus.INVALID
        ) from error
    if len(content) > _LIMIT_BYTES:
        raise CommandFailed(
            f"{subject} is over {_LIMIT_BYTES >> 10} KiB", status=ExitStatus.INVALID
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{subject} is not text in UTF-8", status=ExitStatus.INVALID) from error
