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
    def of(cls, error: ReconcilerError, project: str = "NAME") -> "Failure":
        """Return what ``error`` says; commands of its remedy name the ``project``."""
        remedy = error.remedy.replace(" NAME ", f" {project} ")
        return cls(error.code, error.message, error.recovery, remedy, dict(error.evidence))
