"""An error as it is recorded and shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.domain.errors import ReconcilerError, Recovery


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is recorded."""

    code: str
    message: str
    recovery: Recovery
    remedy: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: ReconcilerError) -> "Failure":
        """Return what ``error`` says."""
        return cls(error.code, error.message, error.recovery, error.remedy, dict(error.evidence))
