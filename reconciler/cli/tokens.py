"""``reconciler token …``: access tokens of the API."""

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.family import AS_JSON, YES, confirm, examples, new_family
from reconciler.cli.spans import parse_span

token = new_family("Make, list and remove tokens for the API.")

_NAME = typer.Argument(..., metavar="TOKEN", help="Name of the token.", show_default=False)


@token.command(
    "add",
    epilog=examples(
        "reconciler token add laptop",
        "reconciler token add dashboard --scope read",
        "reconciler token add ci --scope read --scope trigger --project shop",
        "reconciler token add ci --scope read --expires 90d",
    ),
)
def add(
    context: typer.Context,
    name: str = _NAME,
    scopes: list[str] = typer.Option(
        ["admin"],
        "--scope",
        metavar="SCOPE",
        help="read, trigger, push, config, secrets or admin; as often as you like.",
    ),
    projects: list[str] = typer.Option(
        [],
        "--project",
        metavar="PROJECT",
        help="Only for this project; as often as you like. Else for all, and for the daemon.",
    ),
    expires: str | None = typer.Option(
        None,
        "--expires",
        metavar="SPAN",
        help="How long it is good for: 12h, 90d, 52w. Else always.",
    ),
) -> None:
    """Make a token. It is shown once; give it to a command in RECONCILER_TOKEN."""
    body: JsonObject = {"name": name, "scopes": scopes}
    if projects:
        body["projects"] = projects
    if expires is not None:
        body["expires_in_seconds"] = parse_span(expires, "--expires", "12h, 90d or 52w")
    made = connect(context).send("POST", at("tokens"), body)
    show.note(f"token {name}, shown this once:")
    show.say(show.word(made, "token"))


@token.command("list", epilog=examples("reconciler token list"))
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the tokens: what each may do, until when, and its last use."""
    answer = connect(context).get_all(at("tokens"))
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("TOKEN", "SCOPES", "PROJECTS", "EXPIRES", "LAST USED", "FROM", "MADE", "BY"),
        (
            (
                show.word(item, "name"),
                show.words(item, "scopes"),
                show.words(item, "projects") or "all",
                show.ago(item, "expires_at") or "never",
                show.ago(item, "last_used_at") or "never",
                show.word(item, "last_used_from"),
                show.ago(item, "created_at"),
                show.word(item, "created_by") or "the first start",
            )
            for item in items_of(answer)
        ),
    )


@token.command("remove", epilog=examples("reconciler token remove laptop"))
def remove(context: typer.Context, name: str = _NAME, yes: bool = YES) -> None:
    """Remove a token: who holds it gets no further."""
    confirm(f"Remove the token {name}?", yes)
    connect(context).send("DELETE", at("tokens", name))
    show.say(f"removed {name}")
