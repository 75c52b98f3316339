"""What goes from one environment to the next: proposed, voted on, and deployed in its turn."""

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from reconciler.domain.deployment import Deployment, DeploymentId
from reconciler.domain.errors import (
    AccessDenied,
    Conflict,
    InvalidInput,
    NotFound,
    ReconcilerError,
    Refused,
    TooBusy,
)
from reconciler.domain.gate import Reason
from reconciler.domain.project import Project
from reconciler.domain.promoting import not_verified, soaking
from reconciler.domain.promotion import Promotion, PromotionId, PromotionStatus, Vote
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.state import ProjectState
from reconciler.log import fields
from reconciler.pipeline.promoting.advancing import Advancing, proposal_of
from reconciler.pipeline.promoting.origin import (
    Origin,
    find_deployment,
    read_origin,
    soak_of,
)
from reconciler.pipeline.promoting.prospects import Prospect, Prospects, first_looks
from reconciler.pipeline.promoting.soak import SoakWatch
from reconciler.pipeline.trigger import Brakes, TriggerResult
from reconciler.ports import Clock, Store

_log = logging.getLogger(__name__)

_TOKEN = "token:"  # noqa: S105  how records name who shows one


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a person wants to have in an environment."""

    deployment: DeploymentId | None = None  #: of the environment before; None: what is live there
    commit: CommitSha | None = None  #: the newest deployment that verified it
    override: str = ""  #: why it goes past soak, window and freeze; empty: it doesn't
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Proposed:
    """What became of a proposal."""

    promotion: Promotion
    result: TriggerResult | None  #: None: it waits for people, or for its time


@dataclass(slots=True)
class Promotions:
    """Proposes by itself and for people, counts votes, and deploys what may go on.

    An approval counts for who gives it once, whoever proposed it. Who comes through the daemon's
    own socket, ``local:0`` say, is a person; who shows a token is none.
    """

    store: Store
    clock: Clock
    brakes: Brakes
    watch: SoakWatch
    #: Called after something that another look at what waits may act on.
    on_change: Callable[[], object] = field(default=lambda: None)

    @property
    def _advancing(self) -> Advancing:
        return Advancing(self.store, self.clock, self.brakes)

    # ── What people do ────────────────────────────────────────────────────────────────────────

    def propose(self, name: ProjectName, proposal: Proposal, *, actor: str) -> Proposed:
        """Have an environment get what the one before it verified, once all agree.

        Raises:
            NotFound: no such project, or no such deployment of the environment before.
            InvalidInput: it is promoted from no other.
            Refused: what was chosen was not verified, or has not stood long enough, or is
                quarantined or live here; ``code`` is the reason's.
        """
        project = self.store.get_project(name)
        origin = read_origin(self.store, _required_origin(project))
        chosen = self._chosen(origin, proposal)
        _refuse(self._trouble(project, origin, chosen, proposal))
        wanted = proposal_of(
            project,
            chosen,
            self.clock.now(),
            asked_by=actor,
            reason=proposal.reason,
            override=proposal.override,
        )
        _refuse(self._advancing.refusal(project, origin, wanted, chosen))
        promotion, _ = self.store.propose(wanted)
        result = self._advancing.settle(project, origin, promotion)
        self.on_change()
        return Proposed(self.store.get_promotion(promotion.id), result)

    def approve(
        self, name: ProjectName, promotion: PromotionId | None, *, reason: str, actor: str
    ) -> Promotion:
        """Approve what waits, in a person's name.

        Raises:
            AccessDenied: a token asks, which is no person.
            NotFound: no such project, or no such promotion of it.
            Conflict: it waits no longer; or none was named, and not exactly one waits.
        """
        return self._vote(name, promotion, approves=True, reason=reason, actor=actor)

    def reject(
        self, name: ProjectName, promotion: PromotionId | None, *, reason: str, actor: str
    ) -> Promotion:
        """Reject what waits; see ``approve``. It is not proposed again by itself."""
        return self._vote(name, promotion, approves=False, reason=reason, actor=actor)

    def _vote(
        self,
        name: ProjectName,
        promotion: PromotionId | None,
        *,
        approves: bool,
        reason: str,
        actor: str,
    ) -> Promotion:
        if actor.startswith(_TOKEN):
            text = f"{actor} is no person, and approvals are counted by people: sign in as one"
            raise AccessDenied(text)
        project = self.store.get_project(name)
        meant = self._meant(name, promotion)
        vote = Vote(actor, approves, self.clock.now(), reason)
        after = self.store.vote(meant, vote, needed=project.rules.approvals)
        self.on_change()
        return after

    def _meant(self, name: ProjectName, promotion: PromotionId | None) -> PromotionId:
        """Return the promotion that is meant. Raises ``NotFound`` or ``Conflict``."""
        if promotion is not None:
            return self.get(name, promotion).id
        waiting = self.store.list_waiting(name)
        if not waiting:
            raise Conflict(f"no promotion to {name} waits")
        if len(waiting) > 1:
            which = ", ".join(f"{one.id} ({one.revision})" for one in waiting)
            raise Conflict(f"several promotions to {name} wait: {which}; say which one is meant")
        return waiting[0].id

    # ── What is known ─────────────────────────────────────────────────────────────────────────

    def list_waiting(self, projects: Collection[str] | None = None) -> Sequence[Promotion]:
        """Return what waits, oldest first, for ``projects``; None: for any."""
        waiting = self.store.list_waiting()
        return [one for one in waiting if projects is None or one.project in projects]

    def history(
        self, project: ProjectName, before: PromotionId | None = None, limit: int = 50
    ) -> Sequence[Promotion]:
        """Return newest first, whatever became of them; those with an id below ``before``."""
        return self.store.list_promotions(project, before=before, limit=limit)

    def get(self, project: ProjectName, promotion: PromotionId) -> Promotion:
        """Return one of ``project``. Raises ``NotFound``: another's is as if it were not there."""
        found = self.store.get_promotion(promotion)
        if found.project != project:
            raise NotFound(f"{project} has no promotion {promotion}")
        return found

    # ── What it does by itself ────────────────────────────────────────────────────────────────

    def tick(self) -> None:
        """Look once at every environment that is promoted from another, and act on it.

        Safe to repeat, and to do in several replicas at once.
        """
        projects = self.store.list_projects()
        if not any(one.promoted_from for one in projects):
            return
        states, now = self.store.list_states(), self.clock.now()
        for look in first_looks(self.store, projects, states, now).values():
            if look.waiting or look.candidate:  # else there is nothing to do, however many
                self._look_at(look)

    def _look_at(self, look: Prospect) -> None:
        """Act on one environment; what goes wrong with it keeps no other one waiting."""
        try:
            origin = read_origin(self.store, look.origin.project.name)
            # The newest first: it takes the place of those before it.
            for one in sorted(look.waiting, key=lambda one: (one.deployment, one.id), reverse=True):
                self._advancing.settle(look.project, origin, one)
            self._follow(look.project, look.state, origin)
        except ReconcilerError as error:
            more = fields(project=look.project.name, code=error.code)
            _log.warning("what may be promoted is not known: %s", error.message, extra=more)

    def _follow(self, project: Project, state: ProjectState, origin: Origin) -> None:
        """Propose by itself what the environment before has live, once it may go on."""
        prospects = Prospects(self.store, self.clock, self.watch.doubt)
        prospect = prospects.look_into(project, state, origin)
        if prospect.candidate is None or not prospect.follows:
            return
        now, held = self.clock.now(), prospect.held
        wanted = proposal_of(project, prospect.candidate, now)
        if held and held.status is PromotionStatus.PROMOTED:  # who wanted it wants it still
            wanted = replace(
                wanted, asked_by=held.asked_by, reason=held.reason, override=held.override
            )
        with suppress(Conflict, NotFound):  # it was overtaken in this very moment
            promotion, _ = self.store.propose(wanted, seen=prospect.seen)
            self._advancing.settle(project, prospect.origin, promotion)

    # ── What is proposed ──────────────────────────────────────────────────────────────────────

    def _chosen(self, origin: Origin, proposal: Proposal) -> Deployment:
        """Return the deployment that is meant. Raises ``NotFound`` or ``Refused``."""
        if proposal.deployment is not None:
            found = find_deployment(self.store, origin, proposal.deployment)
            if found is None:
                name = origin.project.name
                raise NotFound(f"{name} has no deployment {proposal.deployment}")
        elif proposal.commit is not None:
            found = origin.find_verified(proposal.commit)
        else:
            found = origin.state.live
        if found is None:
            what = proposal.commit.short if proposal.commit else "nothing"
            negated = " is not" if proposal.commit else " was"
            text = f"{what}{negated} verified on {origin.name} yet, so it can't go further"
            raise Refused(ReasonCode.NOT_VERIFIED_UPSTREAM, text)
        return found

    def _trouble(
        self, project: Project, origin: Origin, chosen: Deployment, proposal: Proposal
    ) -> Sequence[Reason]:
        """Return what keeps it from being handed on now, an override aside."""
        if trouble := origin.trouble_with(chosen):
            return (not_verified(origin.name, chosen, trouble),)
        soak = soak_of(self.store, origin, chosen, project, self.clock.now())
        if proposal.override or not soak.needed:
            return ()
        if not soak.over:
            return (soaking(origin.name, chosen, soak),)
        live = origin.state.live
        if live and live.id in origin.alike(chosen) and (doubt := self._doubt(origin)):
            text = f"it runs there, and is not known to be well: {doubt}"
            return (not_verified(origin.name, chosen, text),)
        return ()

    def _doubt(self, origin: Origin) -> str:
        """Return why nobody knows that what stands is well, and look if nobody did lately."""
        name = origin.project.name
        if self.watch.doubt(name):
            try:
                self.watch.look([name])
            except TooBusy as error:
                return error.message
        return self.watch.doubt(name)


def _required_origin(project: Project) -> ProjectName:
    if project.promoted_from is None:
        problem = (
            "is promoted from no other environment: it follows its own source; "
            f"`reconciler deploy {project.name}` deploys that"
        )
        raise InvalidInput("project", project.name, problem)
    return project.promoted_from


def _refuse(reasons: Sequence[Reason]) -> None:
    if reasons:
        raise Refused(reasons[0].code, reasons[0].text)
