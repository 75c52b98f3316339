"""``reconciler why``, ``project images`` and ``project triggers``: what was seen."""

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.family import AS_JSON, LIMIT, PROJECT, examples
from reconciler.cli.projects import project


@project.command("images", epilog=examples("reconciler project images shop"))
def images(context: typer.Context, name: str = PROJECT, as_json: bool = AS_JSON) -> None:
    """List the images of a project, and what was seen of them."""
    answer = connect(context).get(at("projects", name, "images"))
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("IMAGE", "SERVICES", "DIGEST", "SEEN", "LOOKED AT", "NOTE"),
        (
            (
                show.word(item, "image"),
                show.words(item, "services"),
                show.short(item, "digest"),
                show.ago(item, "first_seen_at"),
                show.ago(item, "looked_at"),
                show.word(item, "unwatched_because") or show.word(item, "error", "message"),
            )
            for item in items_of(answer)
        ),
        empty="no images are known yet",
    )


@project.command("triggers", epilog=examples("reconciler project triggers shop"))
def triggers(
    context: typer.Context, name: str = PROJECT, limit: int = LIMIT, as_json: bool = AS_JSON
) -> None:
    """List what asked for deployments, and what came of it."""
    answer = connect(context).get(at("projects", name, "triggers"), limit=limit)
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("AT", "TRIGGER", "BY", "OUTCOME", "TIMES", "DEPLOYMENT", "DETAIL"),
        (
            (
                show.ago(item, "last_at") or show.ago(item, "at"),
                show.word(item, "trigger"),
                _person(item),
                show.word(item, "outcome"),
                "" if show.pick(item, "count") == 1 else show.word(item, "count"),
                show.word(item, "deployment"),
                show.word(item, "detail"),
            )
            for item in items_of(answer)
        ),
    )


def why(context: typer.Context, name: str = PROJECT, as_json: bool = AS_JSON) -> None:
    """Say why a project deployed, or why it did not."""
    answer = connect(context).get(at("projects", name, "why"))
    if as_json:
        show.as_json(answer)
        return
    verdict = show.word(answer, "verdict")
    show.paragraph(verdict, "bold")
    reasons = show.pick(answer, "reasons")
    show.facts(
        (
            (show.ago(reason, "at") or "now", show.word(reason, "text"))
            for reason in (reasons if isinstance(reasons, list) else ())
            if show.word(reason, "text") != verdict
        ),
        style="dim",
    )


def _person(item: JsonObject) -> str:
    """Return who asked; a trigger that asked by itself has no other name than its own."""
    actor = show.word(item, "actor")
    return "" if actor == show.word(item, "trigger") else actor
