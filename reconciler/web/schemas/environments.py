"""Bodies of an app's environments, and of the way of its releases through them."""

from datetime import datetime
from typing import Self

from reconciler.domain.project import ProjectKind
from reconciler.domain.promotion import Promotion
from reconciler.domain.target import TargetStrategy
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.pipeline.promoting.environments import Arrival, Journey, Place, Progress
from reconciler.pipeline.promoting.prospects import Prospect
from reconciler.web.schemas.body import AT, DIGEST, SHA, Answer, said
from reconciler.web.schemas.project_summary import IMAGE, LiveBody
from reconciler.web.schemas.promotions import VoteBody
from reconciler.web.schemas.why import ExplainedReasonBody


class SoakBody(Answer):
    """How long something has stood where it was verified, and how long it has to."""

    stood_seconds: float = said("The longest stretch in which it stood there, well.", 2400)
    needed_seconds: float = said("How long it has to.", 3600)


class NextBody(Answer):
    """What comes next to an environment."""

    deployment: int = said("The deployment of the environment before that verified it.", 42)
    commit: str | None = said("Its commit; null without a repository.", SHA)
    images: dict[str, str] = said("Image or service, and its digest.", {IMAGE: DIGEST})
    promotion: int | None = said("The promotion that waits; null: none is proposed yet.", 5)
    asked_by: str | None = said("Who wants it; null: it follows by itself.", "ann")
    override: str | None = said("Why it goes past soak, windows and freeze.", None)
    expires_at: datetime | None = said("Until when that can be decided.", AT)
    soak: SoakBody | None = said("How long it has stood; null where that is not known.", None)
    approvals_needed: int = said("How many people have to approve it.", 2)
    votes: list[VoteBody] = said("What people said of it.", [])

    @classmethod
    def of(cls, place: Place) -> Self | None:
        """Return what comes next to ``place``; None: nothing does."""
        prospect = place.prospect
        if prospect is None:
            return None
        asked = prospect.proposed or next(reversed(prospect.waiting), None)
        if asked is not None:
            return cls._asked_for(place, prospect, asked)
        candidate, revision = prospect.candidate, prospect.revision
        if candidate is None or revision is None:
            return None
        return cls(
            deployment=candidate.id,
            commit=revision.commit.text if revision.commit else None,
            images={name: digest.text for name, digest in revision.images.items()},
            promotion=None,
            asked_by=None,
            override=None,
            expires_at=None,
            soak=_soak(prospect),
            approvals_needed=place.needed,
            votes=[],
        )

    @classmethod
    def _asked_for(cls, place: Place, prospect: Prospect, asked: Promotion) -> Self:
        revision, is_candidate = asked.revision, asked == prospect.proposed
        return cls(
            deployment=asked.deployment,
            commit=revision.commit.text if revision.commit else None,
            images={name: digest.text for name, digest in revision.images.items()},
            promotion=asked.id,
            asked_by=asked.asked_by or None,
            override=asked.override or None,
            expires_at=asked.expires_at,
            soak=_soak(prospect) if is_candidate else None,
            approvals_needed=place.needed,
            votes=[VoteBody.of(vote) for vote in asked.votes],
        )


def _soak(prospect: Prospect) -> SoakBody | None:
    soak = prospect.soak
    if soak is None:
        return None
    stood, needed = soak.stood.total_seconds(), soak.needed.total_seconds()
    return SoakBody(stood_seconds=stood, needed_seconds=needed)


class PlaceBody(Answer):
    """One environment of an app, and how it stands."""

    project: str = said("Its project.", "shop-production")
    environment: str = said("What people call it.", "production")
    promoted_from: str | None = said("The project of the one before it; null: the first.", "shop")
    kind: ProjectKind = said("What it is made of.", "compose")
    strategies: list[TargetStrategy] = said("How its targets change.", ["compose"])
    hosts: list[str] = said("Where it runs.", ["prod1"])
    state: StandingCode = said("Where it stands, in one word.", "in-sync")
    state_text: str = said("The same in a sentence.", "deployment 42 runs, and nothing moved since")
    live: LiveBody | None = said("What was verified last; null before the first.", None)
    stands_since: datetime | None = said(
        "Since when what is live was well at each look; null while it is not.", AT
    )
    under_way: int | None = said("The deployment that runs, or waits for its start.", 43)
    next: NextBody | None = said("What comes next; null: it has what the one before has.", None)
    reasons: list[ExplainedReasonBody] = said("Why it does not move, the weightiest first.", [])

    @classmethod
    def of(cls, place: Place, summary: ProjectSummary) -> Self:
        """Return the body of ``place``."""
        project, under_way = place.project, place.under_way
        return cls(
            project=project.name,
            environment=place.name,
            promoted_from=project.promoted_from,
            kind=project.kind,
            strategies=list(place.strategies),
            hosts=[target.host for target in project.where],
            state=summary.standing,
            state_text=summary.text,
            live=LiveBody.of(place.live),
            stands_since=place.standing.since if place.standing else None,
            under_way=under_way.id if under_way else None,
            next=NextBody.of(place),
            reasons=[ExplainedReasonBody.of(reason) for reason in place.reasons],
        )


class ChainBody(Answer):
    """The environments of an app: each comes after the one that it is promoted from."""

    items: list[PlaceBody] = said("The environments.", [])
    hidden: int = said("How many more there are that you may not see.", 0)


class ArrivalBody(Answer):
    """One release in one environment."""

    project: str = said("The environment's project.", "shop-production")
    environment: str = said("What people call it.", "production")
    progress: Progress = said("How far it came there.", "waiting")
    at: datetime | None = said("Since when; null: it is not there yet.", AT)
    deployment: int | None = said("The deployment that brought it.", 43)
    promotion: int | None = said("The promotion that brings it.", 5)

    @classmethod
    def of(cls, arrival: Arrival, environment: str) -> Self:
        """Return the body of ``arrival``."""
        return cls(
            project=arrival.project,
            environment=environment,
            progress=arrival.progress,
            at=arrival.at,
            deployment=arrival.deployment,
            promotion=arrival.promotion.id if arrival.promotion else None,
        )


class JourneyBody(Answer):
    """One revision that the first environment verified, and how far it came."""

    commit: str | None = said("Its commit; null without a repository.", SHA)
    images: dict[str, str] = said("Image or service, and its digest.", {IMAGE: DIGEST})
    verified_at: datetime | None = said("When the first environment verified it.", AT)
    arrivals: list[ArrivalBody] = said("Each environment, the first one first.", [])

    @classmethod
    def of(cls, journey: Journey, environments: dict[str, str]) -> Self:
        """Return the body of ``journey`` with those whose projects are in ``environments``."""
        return cls(
            commit=journey.commit.text if journey.commit else None,
            images={name: digest.text for name, digest in journey.images.items()},
            verified_at=journey.verified_at,
            arrivals=[
                ArrivalBody.of(one, environments[one.project])
                for one in journey.arrivals
                if one.project in environments
            ],
        )


class JourneyList(Answer):
    """What the first environment verified lately, newest first."""

    items: list[JourneyBody] = said("The releases.", [])
    hidden: int = said("How many more environments there are that you may not see.", 0)
