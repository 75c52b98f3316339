"""How far a promotion that waits gets: to its end, to a deployment, or no further for now.

Nothing is remembered between two looks, so that each may be repeated, by any replica, whenever
the one before was cut off: a deployment that was admitted for it is found again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.domain.admission import Decision, Hold, Refuse, Request, decide_admission
from reconciler.domain.deployment import Cause, Deployment, DeploymentId, Trigger
from reconciler.domain.gate import Reason
from reconciler.domain.project import Project
from reconciler.domain.promoting import (
    approvals_missing,
    not_verified,
    runs_out_at,
    soaking,
    went_back_from,
)
from reconciler.domain.promotion import Promotion, PromotionId, PromotionStatus, handed_on
from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.promoting.origin import (
    Origin,
    find_deployment,
    reasons_of_age,
    soak_of,
)
from reconciler.pipeline.trigger import Brakes, TriggerResult, trigger_deployment
from reconciler.ports import Clock, Store

#: Deployments among which one is looked for that was admitted before we were cut off.
_LAST_ADMITTED = 10
#: Refusals that end it.
_NEVER = frozenset({ReasonCode.QUARANTINED, ReasonCode.NOTHING_TO_DEPLOY})
#: Refusals that pass by themselves.
_PASSING = frozenset(
    {
        ReasonCode.WINDOW_CLOSED,
        ReasonCode.FROZEN,
        ReasonCode.IMAGE_TOO_YOUNG,
        ReasonCode.ALREADY_QUEUED,
    }
)
#: Until one waits for a window, say, that needs nobody's approval.
_PATIENCE = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Advancing:
    """Takes promotions as far as they get now."""

    store: Store
    clock: Clock
    brakes: Brakes

    def settle(
        self, project: Project, origin: Origin, promotion: Promotion
    ) -> TriggerResult | None:
        """End it, deploy it, or leave it waiting; return what became of the request, if any."""
        now = self.clock.now()
        chosen = find_deployment(self.store, origin, promotion.deployment)
        if ended := self._ended(project, origin, promotion, chosen):
            # What somebody else ended meanwhile, a person's no most of all, is not asked anew.
            done = self.store.decide(promotion.id, ended, now)
            if done and ended is PromotionStatus.SUPERSEDED and chosen:
                self._ask_anew(project, promotion, chosen)
            return None
        if chosen is None or self.reasons_to_wait(project, origin, promotion, chosen):
            return None
        if (admitted := self._find_admitted(promotion)) is not None:
            self._promoted(promotion, admitted)
            return None
        return self._deploy(project, origin, promotion, chosen)

    def reasons_to_wait(
        self, project: Project, origin: Origin, promotion: Promotion, chosen: Deployment
    ) -> tuple[Reason, ...]:
        """Return what has to happen before it may be deployed; age holds what nobody asked for."""
        now = self.clock.now()
        soak = soak_of(self.store, origin, chosen, project, now)
        found = [
            soaking(origin.name, chosen, soak) if not (soak.over or promotion.override) else None,
            approvals_missing(promotion, project),
        ]
        if not promotion.asked_by:
            found += reasons_of_age(self.store, origin, project, promotion.revision, now)
        return tuple(one for one in found if one)

    def refusal(
        self, project: Project, origin: Origin, promotion: Promotion, chosen: Deployment
    ) -> Sequence[Reason]:
        """Return why it can't become a deployment however long it waits; empty: it can."""
        if trouble := origin.trouble_with(chosen):
            return (not_verified(origin.name, chosen, trouble),)
        match self._decision(project, self._request(project, origin, promotion, chosen)):
            case Refuse(reasons) if reasons[0].code not in _PASSING:
                return reasons
        return ()

    def _ended(
        self, project: Project, origin: Origin, promotion: Promotion, chosen: Deployment | None
    ) -> PromotionStatus | None:
        """Return what became of it already; None: it waits."""
        if runs_out_at(promotion, project) <= self.clock.now():
            return PromotionStatus.EXPIRED
        moved = promotion.origin != project.promoted_from
        declared_anew = promotion.revision.generation != project.generation
        if chosen is None or moved or declared_anew or origin.trouble_with(chosen):
            return PromotionStatus.SUPERSEDED
        if not promotion.asked_by and went_back_from(origin.state, chosen):
            return PromotionStatus.SUPERSEDED
        state = self.store.get_state(project.name)
        bad = any(one.revision.satisfies(promotion.revision) for one in state.quarantined)
        return PromotionStatus.SUPERSEDED if bad else None

    def _ask_anew(self, project: Project, promotion: Promotion, chosen: Deployment) -> None:
        """Keep a person's wish where the declaration changed: it is another revision by now."""
        same_way = promotion.origin == project.promoted_from
        if not (promotion.asked_by and same_way and chosen.prepared):
            return
        if promotion.revision.generation != project.generation:
            self.store.propose(
                proposal_of(
                    project,
                    chosen,
                    self.clock.now(),
                    asked_by=promotion.asked_by,
                    reason=promotion.reason,
                    override=promotion.override,
                )
            )

    def _find_admitted(self, promotion: Promotion) -> DeploymentId | None:
        """Return the deployment that was admitted for it, where we were cut off right after."""
        for one in self.store.list_deployments(promotion.project, limit=_LAST_ADMITTED):
            same = one.revision.fingerprint == promotion.revision.fingerprint
            if same and one.promotes == promotion.deployment and not one.forced:
                return one.id if one.created_at >= promotion.proposed_at else None
        return None

    def _deploy(
        self, project: Project, origin: Origin, promotion: Promotion, chosen: Deployment
    ) -> TriggerResult | None:
        request = self._request(project, origin, promotion, chosen)
        match self._decision(project, request):
            case Hold():
                return None  # nothing is recorded of it: it comes by again in a moment
            case Refuse(reasons) if reasons[0].code not in {*_NEVER, ReasonCode.ALREADY_LIVE}:
                return None
        now = self.clock.now()
        result = trigger_deployment(self.store, request, brakes=self.brakes, now=now)
        self._record(promotion, result)
        return result

    def _record(self, promotion: Promotion, result: TriggerResult) -> None:
        reason = result.reasons[0]
        if result.deployment is not None:
            self._promoted(promotion, result.deployment.id)
        elif reason.code is ReasonCode.ALREADY_LIVE and reason.deployment is not None:
            self._promoted(promotion, DeploymentId(reason.deployment))
        elif reason.code in _NEVER:
            self.store.decide(promotion.id, PromotionStatus.SUPERSEDED, self.clock.now())

    def _promoted(self, promotion: Promotion, became: DeploymentId) -> None:
        """End it, and those that wait for what is older."""
        now = self.clock.now()
        self.store.decide(promotion.id, PromotionStatus.PROMOTED, now, became=became)
        for one in self.store.list_waiting(promotion.project):
            if one.deployment < promotion.deployment:
                self.store.decide(one.id, PromotionStatus.SUPERSEDED, now)

    def _decision(self, project: Project, request: Request) -> Decision:
        switch = self.brakes(self.store.get_switch())
        state, now = self.store.get_state(project.name), self.clock.now()
        return decide_admission(project, state, request, switch, now)

    def _request(
        self, project: Project, origin: Origin, promotion: Promotion, chosen: Deployment
    ) -> Request:
        revision, person = promotion.revision, self._asked_by(project, promotion)
        what = revision.commit.short if revision.commit else str(revision)
        detail = f"promotion of {what} from {origin.name} (deployment {chosen.id})"
        detail += f": {promotion.reason}" if promotion.reason else ""
        trigger = Trigger.PERSON if person else Trigger.PROMOTION
        return Request(
            promotion.project,
            revision,
            Cause(trigger, person or str(Trigger.PROMOTION), detail),
            promotes=promotion.deployment,
            override=promotion.override,
        )

    def _asked_by(self, project: Project, promotion: Promotion) -> str:
        """Return which person wants it; empty: it follows by itself, and all brakes hold it.

        Who approves asks for it, so that the toggle is no matter. What stops everything was perhaps
        put on since then, though: after that somebody has to say it anew.
        """
        if promotion.asked_by or not project.rules.approvals:
            return promotion.asked_by
        last = max(promotion.approvals, key=lambda vote: vote.at, default=None)
        switch = self.brakes(self.store.get_switch())
        if last is None or switch.emergency_file:
            return ""
        knowingly = switch.enabled or (
            switch.changed_at is not None and last.at > switch.changed_at
        )
        return last.person if knowingly else ""


def proposal_of(
    project: Project,
    chosen: Deployment,
    now: datetime,
    *,
    asked_by: str = "",
    reason: str = "",
    override: str = "",
) -> Promotion:
    """Return a promotion of what ``chosen`` verified to ``project``, as one that begins to wait."""
    assert chosen.prepared is not None  # noqa: S101  it was verified
    rules = project.rules
    return Promotion(
        PromotionId(0),
        project.name,
        chosen.project,
        chosen.id,
        handed_on(chosen.prepared, project.generation),
        now,
        now + (rules.approval_lifetime if rules.approvals else _PATIENCE),
        asked_by,
        reason,
        override,
    )
