"""``reconciler project freeze`` and ``thaw``: a project stays as it is, or may change again."""

import typer

from reconciler.cli import show
from reconciler.cli.client import at, connect
from reconciler.cli.family import PROJECT, examples
from reconciler.cli.projects import project
from reconciler.cli.spans import parse_span

__all__ = ["project"]


@project.command(
    "freeze",
    epilog=examples(
        "reconciler project freeze shop --reason 'month end' --for 2d",
        "reconciler project freeze shop --reason audit --until 2030-12-01T08:00:00Z",
    ),
)
def freeze(
    context: typer.Context,
    name: str = PROJECT,
    reason: str = typer.Option(..., "--reason", metavar="TEXT", help="For whoever wonders."),
    until: str | None = typer.Option(
        None, "--until", metavar="INSTANT", help="When it ends, like 2030-12-01T08:00:00Z."
    ),
    for_: str | None = typer.Option(
        None, "--for", metavar="SPAN", help="How long, like 12h or 2d.  [default: until thawed]"
    ),
) -> None:
    """Keep a project as it is.

    Nothing deploys by itself, and a person only with --override. What runs goes on, a deployment
    that is under way too, and `reconciler rollback` goes back all the same.
    """
    body: dict[str, object] = {"reason": reason}
    if until:
        body["until"] = until
    if for_:
        body["for_seconds"] = parse_span(for_, "--for", "12h or 2d")
    answer = connect(context).send("PUT", at("projects", name, "freeze"), body)
    end = show.ago(answer, "until")
    show.say(f"{name} is frozen{f'; that ends {end}' if end else ''}")


@project.command("thaw", epilog=examples("reconciler project thaw shop"))
def thaw(context: typer.Context, name: str = PROJECT) -> None:
    """Let a frozen project change again. What moved meanwhile deploys now."""
    answer = connect(context).send("DELETE", at("projects", name, "freeze"))
    show.say(f"{name} may change again" if answer.get("thawed") else f"{name} is not frozen")
