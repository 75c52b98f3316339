"""Body of an error as it was recorded."""

from typing import Self

from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.web.schemas.body import Answer, said


class FailureBody(Answer):
    """An error as it was recorded."""

    code: str = said("Stable code.", "verification-failed")
    message: str = said("What happened.", "web: container 3f2a ended (exit status 1)")
    recovery: Recovery = said("What helps: retry, stall (something newer), operator.", "stall")
    remedy: str = said("What to do.", "")
    evidence: dict[str, str] = said("What was seen.", {"exit_status": "1"})

    @classmethod
    def of(cls, failure: Failure | None) -> Self | None:
        """Return the body of ``failure``."""
        if failure is None:
            return None
        return cls(
            code=failure.code,
            message=failure.message,
            recovery=failure.recovery,
            remedy=failure.remedy,
            evidence=dict(failure.evidence),
        )
