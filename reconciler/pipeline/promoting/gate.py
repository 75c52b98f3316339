"""Whether a deployment of a promoted project may start: asked at its start, as it is then."""

from collections.abc import Iterator
from datetime import datetime

from reconciler.domain.deployment import Deployment
from reconciler.domain.errors import NotFound
from reconciler.domain.gate import Reason
from reconciler.domain.project import Project
from reconciler.domain.promoting import (
    approvals_missing,
    expired,
    not_verified,
    promoted_only,
    rejected,
    runs_out_at,
    went_back_from,
)
from reconciler.domain.promotion import PromotionStatus
from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.promoting.origin import find_deployment, read_origin
from reconciler.ports import Store


def reasons_against_promotion(
    store: Store, project: Project, deployment: Deployment, now: datetime
) -> tuple[Reason, ...]:
    """Return why ``deployment`` may not start as what it is: a promotion, or none at all.

    Going back is no promotion, and neither is to deploy once more what runs already.
    """
    if deployment.restores is not None or _repeats(store, project, deployment):
        return ()
    if deployment.promotes is None:
        return (promoted_only(project),) if project.promoted_from else ()
    return (*_of_origin(store, project, deployment), *_of_people(store, project, deployment, now))


def _repeats(store: Store, project: Project, deployment: Deployment) -> bool:
    live = store.get_state(project.name).live
    runs = live is not None and live.target_revision.satisfies(deployment.revision)
    return deployment.forced and runs and deployment.revision.generation == project.generation


def _of_origin(store: Store, project: Project, deployment: Deployment) -> Iterator[Reason]:
    """Yield what speaks against it by now where it was verified."""
    before, code = project.promoted_from, ReasonCode.NOT_VERIFIED_UPSTREAM
    try:
        origin = read_origin(store, before) if before else None
    except NotFound:
        origin = None
    number = deployment.promotes
    chosen = find_deployment(store, origin, number) if origin and number is not None else None
    if origin is None or chosen is None:
        text = f"{project.name} is promoted from {before or 'nowhere'}, which has no deployment"
        yield Reason(code, f"{text} {number} any more")
    elif trouble := origin.trouble_with(chosen):
        yield not_verified(origin.name, chosen, trouble)
    elif deployment.automatic and went_back_from(origin.state, chosen):
        yield not_verified(origin.name, chosen, "it went back from that meanwhile")


def _of_people(
    store: Store, project: Project, deployment: Deployment, now: datetime
) -> Iterator[Reason]:
    """Yield what people have said of it, or have not."""
    promotion, needed = store.find_promotion(deployment), project.rules.approvals
    if needed and deployment.revision.generation != project.generation:
        # It would run as it is declared now, and that is not what anybody agreed to.
        text = f"{project.name} was declared otherwise since it was asked for: that asks anew"
        yield Reason(ReasonCode.APPROVAL_MISSING, text)
        return
    if promotion is None:
        if needed:
            text = f"nobody was asked about this revision, and {needed} have to approve it"
            yield Reason(ReasonCode.APPROVAL_MISSING, text)
        return
    if promotion.status is PromotionStatus.REJECTED:
        yield rejected(promotion)
    elif missing := approvals_missing(promotion, project):
        yield missing
    elif needed and runs_out_at(promotion, project) <= now:
        yield expired(promotion, project)
