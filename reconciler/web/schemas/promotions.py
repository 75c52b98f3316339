"""Bodies of promotions."""

from datetime import datetime
from typing import Self

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.errors import InvalidInput
from reconciler.domain.promotion import Promotion, PromotionStatus, Vote
from reconciler.domain.references import CommitSha
from reconciler.domain.remark import parse_remark
from reconciler.pipeline.promoting.promotions import Proposal
from reconciler.web.schemas.body import (
    AT,
    DIGEST,
    SHA,
    Answer,
    Asked,
    DeploymentNumber,
    next_page,
    said,
)
from reconciler.web.schemas.deployments import RevisionBody
from reconciler.web.schemas.project_summary import IMAGE


class NewPromotion(Asked):
    """What is to go to an environment; nothing named: what is live in the one before it."""

    deployment: DeploymentNumber | None = said(
        "A deployment that the environment before verified; or `commit`.", 42, default=None
    )
    commit: str | None = said(
        "The newest verified one of this full commit; or `deployment`.", SHA, default=None
    )
    override: str = said(
        "Why it goes past soak, windows and freeze; empty: it does not.",
        "hotfix of incident 7",
        default="",
    )
    reason: str = said("For the record.", "release 1.4", default="")

    def proposal(self) -> Proposal:
        """Return what was asked for. Raises ``InvalidInput``."""
        if self.deployment is not None and self.commit is not None:
            problem = "and `deployment` exclude each other: give one of them"
            raise InvalidInput("commit", self.commit, problem)
        return Proposal(
            deployment=DeploymentId(self.deployment) if self.deployment is not None else None,
            commit=CommitSha.parse(self.commit) if self.commit is not None else None,
            override=parse_remark(self.override, "override"),
            reason=parse_remark(self.reason, "reason"),
        )


class NewVote(Asked):
    """What somebody says of a promotion."""

    reason: str = said("For the record.", "looked at it on test", default="")

    def remark(self) -> str:
        """Return the reason. Raises ``InvalidInput``."""
        return parse_remark(self.reason, "reason")


class VoteBody(Answer):
    """What one person said of a promotion."""

    person: str = said("Who.", "ann")
    approves: bool = said("Whether they are for it.", True)
    at: datetime = said("When.", AT)
    reason: str = said("Why.", "looked at it on test")

    @classmethod
    def of(cls, vote: Vote) -> Self:
        """Return the body of ``vote``."""
        return cls(person=vote.person, approves=vote.approves, at=vote.at, reason=vote.reason)


class PromotionBody(Answer):
    """One revision that is to go, or went, to one environment."""

    id: int = said("Its number.", 5)
    project: str = said("The environment's project.", "shop-production")
    origin: str = said("The project of the environment before.", "shop")
    deployment: int = said("The deployment of `origin` that verified it.", 42)
    revision: RevisionBody = said(
        "What goes there: a commit and digests, never tags.",
        {"commit": SHA, "images": {IMAGE: DIGEST}, "generation": 3},
    )
    status: PromotionStatus = said("Where it stands; all but waiting are final.", "waiting")
    asked_by: str | None = said("Who wants it; null: it followed by itself.", "ann")
    reason: str = said("For the record.", "release 1.4")
    override: str | None = said("Why it goes past soak, windows and freeze.", None)
    proposed_at: datetime = said("When it was proposed.", AT)
    expires_at: datetime = said("Until when it can be decided.", AT)
    decided_at: datetime | None = said("When it came to its end.", None)
    became: int | None = said("The deployment that it was admitted as.", 43)
    votes: list[VoteBody] = said("What people said, oldest first; the last word of each.", [])

    @classmethod
    def of(cls, promotion: Promotion) -> Self:
        """Return the body of ``promotion``."""
        return cls(
            id=promotion.id,
            project=promotion.project,
            origin=promotion.origin,
            deployment=promotion.deployment,
            revision=RevisionBody.of(promotion.revision),
            status=promotion.status,
            asked_by=promotion.asked_by or None,
            reason=promotion.reason,
            override=promotion.override or None,
            proposed_at=promotion.proposed_at,
            expires_at=promotion.expires_at,
            decided_at=promotion.decided_at,
            became=promotion.became,
            votes=[VoteBody.of(vote) for vote in promotion.votes],
        )


class PromotionPage(Answer):
    """Some promotions, newest first."""

    items: list[PromotionBody] = said("The promotions.", [])
    next: str | None = next_page()
