"""``reconciler person …``: who signs in, and what they may do. Passwords never are arguments."""

import sys
from pathlib import Path

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, YES, confirm, examples, new_family
from reconciler.cli.secrets import read_secret

person = new_family("Who signs in, and what they may do.")

_NAME = typer.Argument(..., metavar="PERSON", help="Their name.", show_default=False)
_ROLE = typer.Argument(
    ..., metavar="ROLE", help="viewer, operator, admin, or none.", show_default=False
)
_PROJECT = typer.Option(None, "--project", metavar="PROJECT", help="Only for this project.")
_FILE = typer.Option(
    None, "--password-file", metavar="FILE", help="Read it from a file; - is standard input."
)
_NO_ROLE = "none"


@person.command(
    "add",
    epilog=examples(
        "reconciler person add ada --role admin",
        "reconciler person add bob --role operator --project shop",
        "pass show reconciler/ada | reconciler person add ada --role viewer",
        "reconciler person add eve --role viewer --elsewhere",
    ),
)
def add(
    context: typer.Context,
    name: str = _NAME,
    role: str = typer.Option(
        _NO_ROLE, "--role", metavar="ROLE", help="viewer, operator, admin, or none."
    ),
    project: str | None = _PROJECT,
    file: Path | None = _FILE,
    elsewhere: bool = typer.Option(
        False, "--elsewhere", help="Without a password: a proxy or provider vouches for them."
    ),
) -> None:
    """Add a person.

    The password is asked for twice without being shown, or read from a file or a pipe. It can't be
    given as an argument: everybody on the machine could read it there.
    """
    client = connect(context)
    given = None if role == _NO_ROLE else role
    body: JsonObject = {"name": name}
    body |= {"roles": {project: given}} if project and given else {"role": given}
    if not elsewhere:
        body["password"] = _read_password(file)
    show.say(f"added {_told(client.send('POST', at('people'), body))}")


@person.command("list", epilog=examples("reconciler person list", "reconciler person list --json"))
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the people, with what they may do."""
    answer = connect(context).get_all(at("people"))
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("PERSON", "ROLE", "ON PROJECTS", "STATE", "SEEN"),
        (
            (
                show.word(item, "name"),
                show.word(item, "role"),
                _roles(item),
                _state(item),
                show.ago(item, "last_seen_at"),
            )
            for item in items_of(answer)
        ),
        empty="nobody; `reconciler person add NAME --role admin` adds somebody",
    )


@person.command(
    "role",
    epilog=examples(
        "reconciler person role ada operator",
        "reconciler person role bob operator --project shop",
        "reconciler person role bob none --project shop",
    ),
)
def role(
    context: typer.Context,
    name: str = _NAME,
    role: str = _ROLE,
    project: str | None = _PROJECT,
) -> None:
    """Say what a person is, for the whole daemon or for one project.

    It holds from their next request on.
    """
    given = None if role == _NO_ROLE else role
    body: JsonObject = {"roles": {project: given}} if project else {"role": given}
    changed = connect(context).send("PATCH", at("people", name), body)
    show.say(f"changed {_told(changed)}")


@person.command(
    "password",
    epilog=examples(
        "reconciler person password ada",
        "reconciler person password ada --password-file /root/ada.txt",
    ),
)
def password(context: typer.Context, name: str = _NAME, file: Path | None = _FILE) -> None:
    """Give a person another password; all their sessions end."""
    client = connect(context)
    client.send("PUT", at("people", name, "password"), {"password": _read_password(file)})
    show.say(f"{name} has another password, and is signed out everywhere")


@person.command("block", epilog=examples("reconciler person block bob"))
def block(context: typer.Context, name: str = _NAME) -> None:
    """Keep a person out: all their sessions end at once."""
    connect(context).send("PATCH", at("people", name), {"blocked": True})
    show.say(f"blocked {name}")


@person.command("unblock", epilog=examples("reconciler person unblock bob"))
def unblock(context: typer.Context, name: str = _NAME) -> None:
    """Let a person sign in again."""
    connect(context).send("PATCH", at("people", name), {"blocked": False})
    show.say(f"{name} may sign in again")


@person.command("remove", epilog=examples("reconciler person remove bob"))
def remove(context: typer.Context, name: str = _NAME, yes: bool = YES) -> None:
    """Remove a person. What they did stays in the audit log."""
    confirm(f"Remove {name}?", yes)
    connect(context).send("DELETE", at("people", name))
    show.say(f"removed {name}")


@person.command(
    "sessions",
    epilog=examples("reconciler person sessions", "reconciler person sessions ada --json"),
)
def sessions(
    context: typer.Context,
    name: str | None = typer.Argument(None, metavar="[PERSON]", help="Only theirs."),
    as_json: bool = AS_JSON,
) -> None:
    """List where people are signed in, newest first."""
    query = {"person": name} if name else {}
    answer = connect(context).get(at("sessions"), **query)
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("SESSION", "PERSON", "FROM", "BY", "SINCE", "USED", "BROWSER"),
        (
            (
                show.word(item, "id"),
                show.word(item, "person"),
                show.word(item, "remote"),
                show.word(item, "way"),
                show.ago(item, "created_at"),
                show.ago(item, "last_seen_at"),
                show.word(item, "browser") or show.word(item, "agent"),
            )
            for item in items_of(answer)
        ),
        empty="nobody is signed in",
    )


@person.command(
    "sign-out",
    epilog=examples(
        "reconciler person sign-out ada",
        "reconciler person sign-out ada --session 5f0c2b1a5f0c2b1a",
    ),
)
def sign_out(
    context: typer.Context,
    name: str = _NAME,
    session: str | None = typer.Option(
        None, "--session", metavar="SESSION", help="Only this one of theirs.  [default: all]"
    ),
) -> None:
    """End a person's sessions; they can sign in again."""
    client = connect(context)
    if session is None:
        ended = client.send("DELETE", at("people", name, "sessions"))
        number = show.word(ended, "ended")
        show.say(f"signed {name} out ({number} {'session' if number == '1' else 'sessions'})")
        return
    client.send("DELETE", at("people", name, "sessions", session))
    show.say(f"ended {session}")


def set_up_token(context: typer.Context) -> None:
    """Make another link to set up with, for the first admin.

    While nobody is one; it works once, for 30 minutes. With the daemon at hand,
    `reconciler person add NAME --role admin` is as good.
    """
    offered = connect(context).send("POST", at("set-up-token"))
    where = show.word(offered, "url") or "/set-up"
    token = show.word(offered, "token")
    show.note(f"works once, within 30 minutes: {where}#{token}")
    show.say(token)


def _read_password(file: Path | None) -> str:
    """Return a password; asked for on a terminal, it is asked for twice.

    Raises:
        CommandFailed: it can't be read, is empty, or was not the same.
    """
    first = read_secret("password", file)
    if file is None and sys.stdin.isatty() and read_secret("once more", file) != first:
        raise CommandFailed(
            "that was not the same twice", "nothing was changed", ExitStatus.INVALID
        )
    return first


def _told(person: JsonObject) -> str:
    roles = ", ".join(one for one in (show.word(person, "role"), _roles(person)) if one)
    return f"{show.word(person, 'name')} ({roles or 'no role yet'})"


def _roles(person: JsonObject) -> str:
    roles = person.get("roles")
    pairs = roles.items() if isinstance(roles, dict) else ()
    return ", ".join(f"{show.word(name)}: {show.word(role)}" for name, role in pairs)


def _state(person: JsonObject) -> str:
    if person.get("blocked"):
        return "blocked"
    return "signs in elsewhere" if person.get("signs_in_elsewhere") else ""
