"""Body of the answer to 'why?'."""

from datetime import datetime
from typing import Self

from reconciler.pipeline.explain import Explanation
from reconciler.web.schemas.body import AT, Answer, said


class ExplainedReasonBody(Answer):
    """One fact that explains."""

    code: str = said("Stable code.", "master-switch-off")
    text: str = said(
        "The same in a sentence.", "the master switch was turned off by alice (incident)"
    )
    at: datetime | None = said("When it was so.", AT)
    evidence: dict[str, str] = said("What was seen.", {"host": "git.example"})


class WhyBody(Answer):
    """Why a project did or did not deploy."""

    project: str = said("The project.", "shop")
    verdict: str = said(
        "The answer in a sentence.", "the source moved, but the master switch is off"
    )
    reasons: list[ExplainedReasonBody] = said("What the answer rests on.", [])

    @classmethod
    def of(cls, explanation: Explanation) -> Self:
        """Return the body of ``explanation``."""
        return cls(
            project=explanation.project,
            verdict=explanation.verdict,
            reasons=[
                ExplainedReasonBody(
                    code=reason.code, text=reason.text, at=reason.at, evidence=dict(reason.evidence)
                )
                for reason in explanation.reasons
            ],
        )
