"""``reconciler why``, ``project images`` and ``project triggers``: what was seen."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.family import AS_JSON, LIMIT, PROJECT, examples
from reconciler.cli.projects import project

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Commits and digests.
_LONG_NAME = re.compile(r"(?:sha256:)?[0-9a-f]{40,64}")
_LONGEST_EVIDENCE = 160


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
                show.word(item, "unwatched_because")
                or show.word(item, "error", "message")
                or show.word(item, "note"),
            )
            for item in items_of(answer)
        ),
        empty="no images are known yet: they are looked at while auto-deploy is on",
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
                _told(item),
            )
            for item in items_of(answer)
        ),
    )


def why(context: typer.Context, name: str = PROJECT, as_json: bool = AS_JSON) -> None:
    """Say why a project deployed, or why it did not.

    What stops it comes first, then what goes on, what happened last, and what was seen. Each reason
    has its code, which docs/why.md explains, and its evidence.
    """
    answer = connect(context).get(at("projects", name, "why"))
    if as_json:
        show.as_json(answer)
        return
    verdict = show.word(answer, "verdict")
    show.paragraph(verdict, "bold")
    told = (one for one in items_of(answer, "reasons") if show.word(one, "text") != verdict)
    show.facts((line for reason in told for line in _lines_of(reason)), style="dim")


def _lines_of(reason: JsonObject) -> "Iterator[tuple[str, RenderableType]]":
    """Yield when and what, and below it the code with what was seen."""
    text, style = show.word(reason, "text"), "yellow" if reason.get("needs_person") else ""
    yield show.ago(reason, "at") or "now", show.styled(text, style)
    evidence = show.pick(reason, "evidence")
    seen = [f"{key}: {_seen(value)}" for key, value in _items(evidence)]
    yield "", show.indented(", ".join((show.word(reason, "code"), *seen)), "dim")


def _items(evidence: object) -> list[tuple[str, object]]:
    return list(evidence.items()) if isinstance(evidence, dict) else []


def _seen(value: object) -> str:
    """Return a piece of evidence in a few words; ``--json`` has it whole."""
    text = show.ago(value)
    if _LONG_NAME.fullmatch(text):
        return show.short(text)
    return text if len(text) <= _LONGEST_EVIDENCE else f"{text[:_LONGEST_EVIDENCE]}…"


def _told(item: JsonObject) -> str:
    """Return what moved, and why no deployment came of it."""
    reasons = None if show.word(item, "deployment") else show.pick(item, "reasons")
    because = [show.word(one, "text") for one in reasons] if isinstance(reasons, list) else []
    return "; ".join(text for text in (show.word(item, "detail"), *because) if text)


def _person(item: JsonObject) -> str:
    """Return who asked; a trigger that asked by itself has no other name than its own."""
    actor = show.word(item, "actor")
    return "" if actor == show.word(item, "trigger") else actor
