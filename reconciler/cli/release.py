"""``reconciler release``: deploy one app, follow it, and end with 0 only if it was verified."""

import typer

from reconciler.cli import show
from reconciler.cli.client import at, connect
from reconciler.cli.deployments import ask
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import OVERRIDE, PROJECT
from reconciler.cli.onwards import Onwards, way_to
from reconciler.cli.verified import (
    Patience,
    follow_until_verified,
    get_verified,
    say_how_it_ended,
)
from reconciler.cli.watching import number_of, verdict_on


def release(
    context: typer.Context,
    name: str = PROJECT,
    commit: str | None = typer.Option(
        None, "--commit", metavar="SHA", help="Full commit.  [default: the branch's tip]"
    ),
    host: list[str] | None = typer.Option(
        None, "--host", metavar="HOST", help="Only there; may be repeated.  [default: all]"
    ),
    ci_release: int | None = typer.Option(
        None, "--release", metavar="ID", min=1, help="The digests that CI reported as this one."
    ),
    promote_to: str | None = typer.Option(
        None,
        "--promote-to",
        metavar="ENVIRONMENT",
        help="Then have it promoted, one after another, up to this one.",
    ),
    force: bool = typer.Option(
        False, "--force", help="Even if it is live already, or was rolled back before."
    ),
    reason: str = typer.Option("", "--reason", metavar="TEXT", help="Kept with the deployment."),
    override: str = OVERRIDE,
    timeout: float | None = typer.Option(
        None, "--timeout", metavar="SECONDS", min=1, help="Stop waiting after this long (exit 15)."
    ),
    cancel_on_interrupt: bool = typer.Option(
        False, "--cancel-on-interrupt", help="Ctrl-C takes it back, if it changed nothing yet."
    ),
    as_json: bool = typer.Option(
        False, "--json", help="Print the deployment as JSON at the end; all else goes to stderr."
    ),
) -> None:
    """Deploy an app, and follow it until it is verified.

    What CI built and reported is another thing: `reconciler releases`.

    It ends with 0 only if the very revision that was asked for runs, and runs well; with
    --promote-to in each environment up to that one, whose soak and approvals it waits for.

    Exit status: 0 verified, 10 refused, 11 failed, 12 rolled back, 13 a person has to look, 14
    superseded or withdrawn, 15 not ended within --timeout, 69 the daemon went away and stayed
    away, 130 interrupted: the deployment goes on, unless it was taken back.
    """
    given = {"commit": commit, "release": ci_release, "hosts": host, "force": force}
    given |= {"override": override, "reason": reason}
    body: dict[str, object] = {field: value for field, value in given.items() if value}
    client = connect(context)
    way = way_to(client, name, promote_to) if promote_to else ()
    onwards = Onwards(client, Patience(timeout, cancel_on_interrupt, as_json))
    try:
        asked = ask(client, at("projects", name, "deployments"), body)
    except KeyboardInterrupt:
        show.note(f"interrupted before it answered; it may have begun: reconciler logs {name} -f")
        raise typer.Exit(ExitStatus.INTERRUPTED) from None
    except CommandFailed as refusal:
        if refusal.code != "already-live":
            raise
        asked = get_verified(client, name, host or (), refusal)
        told = f"verified just now, live already: {verdict_on(asked)}"
        say_how_it_ended(asked, told, as_json=as_json)
        status = ExitStatus.OK
    else:
        status = follow_until_verified(client, asked, onwards.patience)
    if status is ExitStatus.OK:
        status = onwards.carry_on(number_of(asked), way)
    raise typer.Exit(status)
