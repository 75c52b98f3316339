"""Why what the environment before has does not come, or waits."""

from collections.abc import Iterator
from datetime import datetime

from reconciler.domain.deployment import Deployment, Status
from reconciler.domain.gate import Reason
from reconciler.domain.promoting import (
    approvals_missing,
    expired,
    not_verified,
    rejected,
    soaking,
)
from reconciler.domain.promotion import Promotion, PromotionStatus
from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.promoting.prospects import Prospect
from reconciler.pipeline.reasons.explained import Evidence, ExplainedReason, reason
from reconciler.pipeline.reasons.facts import Facts

_BAD = frozenset({Status.FAILED, Status.ROLLED_BACK, Status.NEEDS_OPERATOR})


def reasons_of_promotions(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield what waits for people, and why the environment before hands nothing newer on."""
    prospect = facts.promoting
    if prospect is None:
        return
    yield from _newest(prospect)
    yield from (_missing(prospect, one) for one in find_unapproved(prospect))
    if prospect.proposed and not prospect.proposed.asked_by:
        yield from _young(prospect, prospect.proposed)
    if prospect.candidate and not prospect.proposed and not prospect.is_under_way:
        yield from _held(prospect, prospect.candidate)


def find_unapproved(prospect: Prospect) -> list[Promotion]:
    """Return what waits for approvals, oldest first."""
    return [one for one in prospect.waiting if approvals_missing(one, prospect.project)]


def _newest(prospect: Prospect) -> Iterator[ExplainedReason]:
    """Yield that the environment before has not verified its newest, or anything at all."""
    origin, latest, live = prospect.origin, prospect.origin.state.latest, prospect.origin.state.live
    if latest is None and live is None:
        text = f"nothing is verified on {origin.name} yet, so nothing can go further"
        evidence = {"from": origin.project.name}
        yield reason(ReasonCode.NOT_VERIFIED_UPSTREAM, text, evidence=evidence)
    elif latest and (live is None or latest.id > live.id) and _is_unverified(latest):
        why = f": {latest.error.message}" if latest.error else ""
        told = not_verified(origin.name, latest, f"deployment {latest.id} is {latest.status}{why}")
        yield _told(told, latest.finished_at or latest.created_at, _of(prospect, latest))


def _is_unverified(latest: Deployment) -> bool:
    """Tell whether it failed, or is under way still; one that never began says nothing."""
    return latest.status in _BAD or not latest.status.final


def _missing(prospect: Prospect, one: Promotion) -> ExplainedReason:
    told = approvals_missing(one, prospect.project)
    text = f"{one.revision} {told.text if told else 'is approved'}"
    evidence = {
        "promotion": one.id,
        "from": one.origin,
        "deployment": one.deployment,
        "commit": one.revision.commit,
        "approvals": f"{len(one.approvals)} of {prospect.project.rules.approvals}",
        "by": ", ".join(vote.person for vote in one.approvals),
        "expires": one.expires_at,
    }
    return reason(ReasonCode.APPROVAL_MISSING, text, one.proposed_at, evidence)


def _young(prospect: Prospect, one: Promotion) -> Iterator[ExplainedReason]:
    """Yield the images that hold a promotion which nobody asked for by name."""
    for told in prospect.young:
        evidence = {"promotion": one.id, "from": one.origin, "over": told.until}
        yield _told(told, one.proposed_at, evidence)


def _held(prospect: Prospect, candidate: Deployment) -> Iterator[ExplainedReason]:
    origin, soak, evidence = prospect.origin, prospect.soak, _of(prospect, candidate)
    at = candidate.finished_at or candidate.created_at
    if decided := _decided(prospect):
        was_rejected = decided.status is PromotionStatus.REJECTED
        told = rejected(decided) if was_rejected else expired(decided, prospect.project)
        more = {**evidence, "promotion": decided.id}
        yield reason(told.code, told.text, decided.decided_at, more)
    elif prospect.trouble:
        yield _told(not_verified(origin.name, candidate, prospect.trouble), at, evidence)
    elif soak and not soak.over:
        stands = prospect.standing
        more = {
            **evidence,
            "stood_seconds": int(soak.stood.total_seconds()),
            "soak_seconds": int(soak.needed.total_seconds()),
            "over": stands.since + soak.needed if stands else None,
        }
        yield _told(soaking(origin.name, candidate, soak), stands.since if stands else at, more)
    elif prospect.doubt:
        text = f"it can't be looked at: {prospect.doubt}"
        yield _told(not_verified(origin.name, candidate, text), at, evidence)


def _decided(prospect: Prospect) -> Promotion | None:
    """Return the promotion that people ended, or let expire."""
    ended = prospect.decided
    final = {PromotionStatus.REJECTED, PromotionStatus.EXPIRED}
    return ended if ended and ended.status in final else None


def _told(told: Reason, at: datetime, evidence: Evidence) -> ExplainedReason:
    return reason(told.code, told.text, at, evidence)


def _of(prospect: Prospect, one: Deployment) -> dict[str, object]:
    return {
        "from": prospect.origin.project.name,
        "deployment": one.id,
        "commit": one.target_revision.commit,
    }
