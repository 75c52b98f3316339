"""Body of the answer to 'why?'."""

from datetime import datetime
from typing import Self

from reconciler.domain.reason_codes import About, ReasonCode, ReasonKind, ReasonMeaning
from reconciler.pipeline.explain import Explanation
from reconciler.pipeline.reasons import ExplainedReason
from reconciler.web.schemas.body import AT, Answer, said


class ExplainedReasonBody(Answer):
    """One fact that explains."""

    code: str = said(
        "Stable code: one that `/api/v1/reasons` lists, or the code of an error.",
        "master-switch-off",
    )
    kind: ReasonKind = said(
        "What it is about: what stops it, what is under way, what happened, what was seen.", "stops"
    )
    needs_person: bool = said("Whether it stays so until a person acts.", True)
    text: str = said(
        "The same in a sentence.", "the master switch was turned off by alice (incident)"
    )
    at: datetime | None = said("When it was so, or will be.", AT)
    evidence: dict[str, str] = said("What was seen.", {"by": "alice", "reason": "incident"})

    @classmethod
    def of(cls, reason: ExplainedReason) -> Self:
        """Return the body of ``reason``."""
        return cls(
            code=reason.code,
            kind=reason.kind,
            needs_person=reason.needs_person,
            text=reason.text,
            at=reason.at,
            evidence=dict(reason.evidence),
        )


class WhyBody(Answer):
    """Why a project did or did not deploy."""

    project: str = said("The project.", "shop")
    verdict: str = said(
        "The answer in a sentence.",
        "main at 9a8b7c6d waits: the master switch was turned off by alice (incident)",
    )
    reasons: list[ExplainedReasonBody] = said(
        "What the answer rests on: what stops it first, then what goes on, what happened last, "
        "and what was seen.",
        [],
    )

    @classmethod
    def of(cls, explanation: Explanation) -> Self:
        """Return the body of ``explanation``."""
        return cls(
            project=explanation.project,
            verdict=explanation.verdict,
            reasons=[ExplainedReasonBody.of(reason) for reason in explanation.reasons],
        )


class ReasonMeaningBody(Answer):
    """What a reason code means."""

    code: ReasonCode = said("Stable code.", "master-switch-off")
    kind: ReasonKind = said("Where it stands in an answer.", "stops")
    about: About = said("Why it did, why it did not, or for information.", "did-not")
    needs_person: bool = said("Whether it stays so until a person acts.", True)
    text: str = said(
        "What it means, of any project.", "The master switch is off: nothing deploys by itself."
    )

    @classmethod
    def of(cls, meaning: ReasonMeaning) -> Self:
        """Return the body of ``meaning``."""
        return cls(
            code=meaning.code,
            kind=meaning.kind,
            about=meaning.about,
            needs_person=meaning.needs_person,
            text=meaning.text,
        )


class ReasonList(Answer):
    """Every reason code, in the order in which an answer gives its reasons."""

    items: list[ReasonMeaningBody] = said("The codes.", [])
