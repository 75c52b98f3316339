"""What deploying now would change: looked at everywhere, changed nowhere.

The tip is asked for first. Then, side by side, the way there and what the files amount to; then the
digests behind the tags, and what there is to know of them. Nothing of it is recorded.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from reconciler.domain.admission import Request, decide_admission, plan_outdated
from reconciler.domain.deployment import Cause, Trigger
from reconciler.domain.errors import ReconcilerError, Refused, TooBusy
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.plan import Finding, ImageStep, Plan, PlanBasis, Weight
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.target import TargetStrategy
from reconciler.pipeline.planning.budget import Budget
from reconciler.pipeline.planning.findings import Seen, findings_of
from reconciler.pipeline.planning.images import Digests, described, look_up, steps_of
from reconciler.pipeline.planning.outlook import Outlook, Outlooks
from reconciler.pipeline.planning.promotion import plan_promotion, steps_between
from reconciler.pipeline.planning.route import Route, find_route, start_of
from reconciler.pipeline.planning.showing import without_secrets
from reconciler.pipeline.planning.standing import Standing
from reconciler.pipeline.planning.verdict import verdict_of
from reconciler.pipeline.requests import images_told_apart_by
from reconciler.pipeline.sources import Sources
from reconciler.pipeline.trigger import Brakes
from reconciler.ports import (
    Clock,
    ImageRegistry,
    OpenScratch,
    Planner,
    Store,
)

_AT_ONCE = 2
#: Of the 60 s that a plan may take; the rest is for what was told to stop.
_SECONDS = 50.0


@dataclass(frozen=True, slots=True)
class PlanParts:
    """What plans are made with."""

    store: Store
    clock: Clock
    brakes: Brakes
    sources: Sources
    registry: ImageRegistry
    open_scratch: OpenScratch
    planners: Mapping[TargetStrategy, Planner]
    #: Returns the hosts on which nothing can be done now, and why.
    troubles: Callable[[], Mapping[HostName, HostHealth]] = dict


@dataclass(frozen=True, slots=True)
class Plans:
    """Makes plans, few at once. Safe to use from any thread, also while something is deployed."""

    parts: PlanParts
    seconds: float = _SECONDS
    _slots: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_AT_ONCE), init=False
    )
    #: Its own: who may only look must not keep anybody from deploying.
    _confirmations: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_AT_ONCE), init=False
    )

    def plan(self, name: ProjectName, commit: CommitSha | None = None) -> Plan:
        """Return what deploying ``commit``, or the branch's tip, would change now.

        Raises:
            NotFound: there is no such project.
            SourceError: the tip could not be asked for.
            TooBusy: too many are made already.
        """
        with self._look(name, commit, self._slots) as look:
            return look.plan()

    def confirm(self, name: ProjectName, commit: CommitSha | None, plan: str) -> PlanBasis:
        """Return what the plan of that id was made from, if a plan made now would be the same.

        Raises:
            Refused: it would be another.
            ReconcilerError: as ``plan``.
        """
        with self._look(name, commit, self._confirmations) as look:
            basis = look.basis()
        if basis.id != plan:
            reason = plan_outdated(name)
            raise Refused(reason.code, reason.text)
        return basis

    @contextmanager
    def _look(
        self, name: ProjectName, commit: CommitSha | None, slots: threading.BoundedSemaphore
    ) -> Iterator["_Look"]:
        if not slots.acquire(blocking=False):
            raise TooBusy(f"{_AT_ONCE} plans are being made already")
        try:
            with Budget(self.parts.clock, self.seconds) as budget:
                yield _Look(self.parts, budget, self._standing(name, commit), commit)
        finally:
            slots.release()

    def _standing(self, name: ProjectName, commit: CommitSha | None) -> Standing:
        store = self.parts.store
        project, state = store.get_project(name), store.get_state(name)
        promotion = plan_promotion(store, self.parts.clock, project, commit)
        return Standing(project, state, self.parts.brakes(store.get_switch()), promotion)


@dataclass(slots=True)
class _Look:
    """One plan under way."""

    parts: PlanParts
    budget: Budget
    standing: Standing
    named: CommitSha | None
    digests: Digests = field(default_factory=Digests)

    def basis(self) -> PlanBasis:
        """Return what a plan would be made from, and no more than that."""
        commit = self._commit()
        outlook = self._look_at_files(commit)
        return self._based_on(commit, self.budget.wait(outlook))

    def plan(self) -> Plan:
        """Return all that could be seen."""
        standing, commit = self.standing, self._commit()
        start = start_of(standing.live_commit, commit, first=standing.live is None)
        promotion = standing.promotion
        asked = promotion.origin.project if promotion else standing.project  # whose history it is
        way = self.budget.begin(lambda: find_route(self.parts.sources, asked, start))
        outlook = self.budget.attempt(self._look_at_files(commit))
        basis = self._based_on(commit, outlook)
        steps = self._steps(outlook)
        route = self.budget.attempt(way)
        told: tuple[Finding, ...]
        if isinstance(route, ReconcilerError):
            text = f"the commits between are not known: {route.message}"
            told = (Finding(Weight.TELLS, route.code, text, route.remedy),)
            route = start
        else:
            told = route.findings()
        findings = (*findings_of(self._seen(basis, outlook)), *told)
        return self._assembled(basis, route, outlook, steps, findings)

    def _commit(self) -> CommitSha | None:
        if self.named is not None:
            return self.named
        project, promotion = self.standing.project, self.standing.promotion
        if promotion is not None:
            revision = promotion.revision(project)
            return revision.commit if revision else self.standing.live_commit
        return self.budget.wait(self.budget.begin(lambda: self.parts.sources.tip(project)))

    def _look_at_files(self, commit: CommitSha | None) -> Future[Outlook]:
        parts = self.parts
        outlooks = Outlooks(parts.store, parts.open_scratch, parts.planners)
        cancel = self.budget.cancel
        return self.budget.begin(lambda: outlooks.look(self.standing, commit, cancel))

    def _based_on(self, commit: CommitSha | None, outlook: Outlook | ReconcilerError) -> PlanBasis:
        """Look up what is behind the tags, and return what the plan is made from."""
        project, live = self.standing.project, self.standing.live
        if promotion := self.standing.promotion:  # nothing is looked up
            promoted = promotion.revision(project) or Revision(commit, {}, project.generation)
            self.digests = Digests(dict(promoted.images))
            return PlanBasis(live.id if live else None, promoted)
        if isinstance(outlook, Outlook):
            services = outlook.foreseen.services
            self.digests = look_up(self.budget, self.parts.registry, project.name, services)
        revision = Revision(commit, self.digests.found, project.generation)
        return PlanBasis(live.id if live else None, revision)

    def _steps(self, outlook: Outlook | ReconcilerError) -> tuple[ImageStep, ...]:
        if isinstance(outlook, ReconcilerError) or not outlook.foreseen.services:
            live = self.standing.live
            before = live.target_revision.images if live else {}
            return steps_between(before, self.digests.found) if self.standing.promotion else ()
        name, foreseen = self.standing.project.name, outlook.foreseen
        steps = steps_of(foreseen.services, self.standing.by_host, self.digests)
        return described(self.budget, self.parts.registry, name, steps, foreseen.platform)

    def _seen(self, basis: PlanBasis, outlook: Outlook | ReconcilerError) -> Seen:
        standing, revision, store = self.standing, basis.revision, self.parts.store
        known = images_told_apart_by(standing.live, revision.commit) if not self.named else ()
        images = {image: revision.images[image] for image in known if image in revision.images}
        chosen = standing.promotion.chosen if standing.promotion else None
        asked = Request(
            standing.project.name,
            revision if chosen else replace(revision, images=images),
            Cause(Trigger.PERSON, "plan"),
            promotes=chosen.id if chosen else None,
        )
        return Seen(
            standing,
            outlook,
            self.digests,
            decide_admission(
                standing.project, standing.state, asked, standing.switch, self.parts.clock.now()
            ),
            store.find_approval(standing.project.name, revision.fingerprint),
            self.parts.troubles(),
        )

    def _assembled(
        self,
        basis: PlanBasis,
        route: Route,
        outlook: Outlook | ReconcilerError,
        steps: tuple[ImageStep, ...],
        findings: tuple[Finding, ...],
    ) -> Plan:
        standing = self.standing
        known = outlook if isinstance(outlook, Outlook) else Outlook(standing.project)
        plan = Plan(
            project=standing.project.name,
            basis=basis,
            live_commit=standing.live_commit,
            direction=route.direction,
            hosts=tuple(target.host for target in known.project.where),
            verdict=verdict_of(
                route, steps, known.files, findings, promotes=standing.promotion is not None
            ),
            changes=not findings or findings[0].weight is Weight.TELLS,
            history=route.history,
            images=steps,
            files=known.files,
            difference=known.foreseen.difference,
            findings=findings,
            elsewhere=standing.elsewhere,
        )
        return without_secrets(plan, self.parts.store.variables(standing.project.name).values())
