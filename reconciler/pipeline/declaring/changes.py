"""Changes of what was declared, each made to the draft of it."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, replace
from typing import Any, TypeVar

from reconciler.domain.errors import InvalidInput
from reconciler.domain.numbers import shown
from reconciler.domain.problems import Problems
from reconciler.pipeline.declaring.cluster_draft import ClusterDraft
from reconciler.pipeline.declaring.host_draft import HostDraft
from reconciler.pipeline.declaring.project_draft import ProjectDraft
from reconciler.pipeline.declaring.target_draft import TargetDraft

Draft = TypeVar("Draft", ClusterDraft, HostDraft, ProjectDraft, TargetDraft)

#: Field that can't be changed → what to do instead, if anything.
Fixed = Mapping[str, str]


def changed_draft(draft: Draft, change: Mapping[str, object], *, fixed: Fixed, what: str) -> Draft:
    """Return ``draft`` with ``change`` made to it; a field that it clears gets its default.

    Args:
        draft: of what is declared now.
        change: field → its new value; None clears it.
        fixed: the fields that stay.
        what: is declared, for people: ``a host``.

    Raises:
        InvalidInput: it names a field that stays, or that there is not. ``SeveralInvalid``: more.
    """
    known = {field.name: field for field in fields(draft)}
    problems = Problems()
    problems.found.extend(_unchangeable(change, known, fixed, what))
    if problems.found:
        raise problems.error()
    # Of types that the caller has checked.
    values: dict[str, Any] = {
        name: _default(known[name]) if value is None else value for name, value in change.items()
    }
    return replace(draft, **values)


def _unchangeable(
    change: Mapping[str, object], known: Mapping[str, Field[Any]], fixed: Fixed, what: str
) -> Iterator[InvalidInput]:
    for name, value in change.items():
        if name in fixed:
            yield InvalidInput(name, shown(value), f"can't be changed{fixed[name]}")
        elif name not in known:
            yield InvalidInput(name, shown(value), f"is not a field of {what}")


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()
