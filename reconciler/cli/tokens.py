"""``reconciler token …``: access tokens of the API."""

import typer

from reconciler.cli import show
from reconciler.cli.client import at, connect, items_of
from reconciler.cli.family import AS_JSON, YES, confirm, examples, new_family

token = new_family("Make, list and remove tokens for the API.")

_NAME = typer.Argument(..., metavar="TOKEN", help="Name of the token.", show_default=False)


@token.command(
    "add",
    epilog=examples("reconciler token add laptop", "reconciler token add dashboard --scope read"),
)
def add(
    context: typer.Context,
    name: str = _NAME,
    scope: str = typer.Option("admin", "--scope", metavar="SCOPE", help="admin or read."),
) -> None:
    """Make a token. It is shown once; give it to a command in RECONCILER_TOKEN."""
    made = connect(context).send("POST", at("tokens"), {"name": name, "scope": scope})
    show.note(f"token {name}, shown this once:")
    show.say(show.word(made, "token"))


@token.command("list", epilog=examples("reconciler token list"))
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the tokens: name, scope and date, never the token."""
    answer = connect(context).get_all(at("tokens"))
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("TOKEN", "SCOPE", "MADE"),
        (
            (show.word(item, "name"), show.word(item, "scope"), show.ago(item, "created_at"))
            for item in items_of(answer)
        ),
    )


@token.command("remove", epilog=examples("reconciler token remove laptop"))
def remove(context: typer.Context, name: str = _NAME, yes: bool = YES) -> None:
    """Remove a token: who holds it gets no further."""
    confirm(f"Remove the token {name}?", yes)
    connect(context).send("DELETE", at("tokens", name))
    show.say(f"removed {name}")
