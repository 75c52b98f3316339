"""``reconciler setup``: making hosts ready for a project."""

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, Disconnected, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import PROJECT

#: The daemon shows a sign of life every 10 s.
_QUIET_SECONDS = 40.0


def setup(
    context: typer.Context,
    name: str = PROJECT,
    host: list[str] | None = typer.Option(
        None, "--host", metavar="HOST", help="Only this one; may be repeated.  [default: all]"
    ),
) -> None:
    """Make hosts ready for a project.

    It makes folders, user and unit; of a compose project its folder, and sees that Docker is there.
    It can be repeated without harm, and says what was there already. Exit status 11 if a host could
    not be made ready.
    """
    client = connect(context)
    hosts = host or _hosts_of(client, name)
    failed = [one for one in hosts if not _set_up(client, name, one)]
    if failed:
        raise typer.Exit(ExitStatus.FAILED)


def _hosts_of(client: Client, name: str) -> list[str]:
    answer = client.get(at("projects", name, "targets"))
    found = [show.word(one, "host") for one in items_of(answer)]
    if not found:
        raise CommandFailed(
            f"{name} has no target",
            f"`reconciler target add {name} HOST` gives it one",
            ExitStatus.NOT_FOUND,
        )
    return found


def _set_up(client: Client, name: str, host: str) -> bool:
    """Set one host up while its lines are shown; return whether it is ready."""
    path = at("projects", name, "targets", host, "setup")
    events = client.follow("POST", path, _QUIET_SECONDS)
    try:
        while True:
            with show.busy(f"setting {host} up"):
                event, data = next(events, ("", {}))
            if event == "line":
                show.say(f"{host}: {show.word(data, 'text')}")
            elif event == "end":
                return _say_end(host, show.pick(data, "problem"))
            elif not event:
                break
    except Disconnected:
        show.fail(f"{host}: the daemon went away; set it up again")
        return False
    show.fail(f"{host}: it was not said how it ended; set it up again")
    return False


def _say_end(host: str, problem: object) -> bool:
    if problem is None:
        show.say(f"{host} is ready", "green")
        return True
    detail, remedy = show.word(problem, "detail"), show.word(problem, "remedy")
    named = detail if host in detail.replace(":", " ").split() else f"{host}: {detail}"
    show.fail("; ".join(part for part in (named, remedy) if part))
    return False
