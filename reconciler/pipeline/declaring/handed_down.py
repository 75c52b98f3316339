"""What a promoted project need not say again: what describes the app. Pure."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from reconciler.domain.project import Project
from reconciler.pipeline.declaring.project_draft import ProjectDraft, belongs_to, draft_of

Name = TypeVar("Name", bound=str)

_SOURCE = ("repository", "url", "branch")
_OF_THE_APP = (
    *("compose_path", "expose_service", "expose_port", "stateful_services"),
    *("migration", "version", "image"),
)


def with_defaults(draft: ProjectDraft, before: Project) -> tuple[ProjectDraft, tuple[str, ...]]:
    """Return ``draft`` with what it leaves out, and which fields those are.

    Args:
        draft: of a project that is promoted from ``before``.
        before: whose kind, source, compose file, exposure, migration and version are taken.
    """
    usual = draft_of(before)
    kind = usual.kind if draft.kind is None else draft.kind
    says_source = draft.repository is not None or draft.url is not None
    taken = {
        field: value
        for field in (*_OF_THE_APP, *(() if says_source else _SOURCE))
        if belongs_to(field, kind)
        # Of another kind, another port and service tell it.
        and (field != "version" or kind == usual.kind)
        and getattr(draft, field) in (None, ())
        and (value := getattr(usual, field)) not in (None, ())
    }
    if draft.kind is None:
        taken["kind"] = kind
    return replace(draft, **taken), tuple(taken)


def upstream_first(
    names: Collection[Name], before: Callable[[Name], Name | None]
) -> Sequence[Name]:
    """Return ``names`` in their order, but each behind the one that is ``before`` it."""
    ordered: dict[Name, None] = {}
    for name in names:
        way = [name]
        while (up := before(way[-1])) in names and up is not None and up not in {*ordered, *way}:
            way.append(up)
        ordered |= dict.fromkeys(reversed(way))
    return tuple(ordered)
