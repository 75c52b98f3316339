"""One fact that explains, and how facts are put in order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.reason_codes import REASONS, ReasonCode, ReasonKind

#: What was seen: name → value; a value that is None or empty is not shown.
Evidence = Mapping[str, object]
NOTHING: Evidence = MappingProxyType({})

_ORDER = {kind: place for place, kind in enumerate(ReasonKind)}
_BY_CODE = {str(code): meaning for code, meaning in REASONS.items()}


@dataclass(frozen=True, slots=True)
class ExplainedReason:
    """One fact that explains, with when it was so and what was seen."""

    code: str  #: a ``ReasonCode``, or the code of an error that is not in the table
    text: str
    at: datetime | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)
    kind: ReasonKind = ReasonKind.STOPS
    needs_person: bool = False


def reason(
    code: ReasonCode, text: str, at: datetime | None = None, evidence: Evidence = NOTHING
) -> ExplainedReason:
    """Return a reason with a code of the table."""
    meaning = REASONS[code]
    return ExplainedReason(code, text, at, _shown(evidence), meaning.kind, meaning.needs_person)


def reason_of_failure(
    failure: Failure, text: str, at: datetime | None = None, evidence: Evidence = NOTHING
) -> ExplainedReason:
    """Return a reason with the failure's own code, evidence and remedy."""
    meaning = _BY_CODE.get(failure.code)
    return ExplainedReason(
        failure.code,
        with_remedy(text, failure),
        at,
        _shown({**failure.evidence, **evidence}),
        meaning.kind if meaning else ReasonKind.STOPS,
        failure.recovery is Recovery.OPERATOR or bool(meaning and meaning.needs_person),
    )


def with_remedy(text: str, failure: Failure) -> str:
    """Return ``text`` and what helps."""
    return f"{text}; {failure.remedy}" if failure.remedy else text


def in_order(reasons: Iterable[ExplainedReason]) -> tuple[ExplainedReason, ...]:
    """Return what stops it first, then what goes on, what happened, what was seen."""
    return tuple(sorted(reasons, key=lambda one: _ORDER[one.kind]))


def _shown(evidence: Evidence) -> dict[str, str]:
    return {
        key: value.isoformat() if isinstance(value, datetime) else str(value)
        for key, value in evidence.items()
        if value is not None and value != ""
    }
