"""The targets of one deployment, and each step of it carried out on all of them, side by side."""

import contextvars
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from reconciler.domain.deployment import (
    AS_BEFORE,
    UNTOUCHED,
    Deployment,
    PreparedRevision,
    PreparedTarget,
    Stage,
    TargetStatus,
)
from reconciler.domain.errors import (
    HostsFailed,
    Interrupted,
    ReconcilerError,
    StoreError,
    TargetUnreachable,
)
from reconciler.domain.evidence import Evidence, Verification
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostName
from reconciler.domain.project import Project
from reconciler.domain.revision import Revision
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.verification import Life, Window
from reconciler.pipeline.rollout.checkup import Checkup, require_version_to_ask
from reconciler.pipeline.rollout.record import Record
from reconciler.pipeline.rollout.watch import Watch, find_untroubled
from reconciler.pipeline.rollout.work import WorkOrders
from reconciler.ports import Clock, LineSink, Prober, Strategy, Work

#: An engine that is restarted, for an upgrade say, is back within a minute or so.
_WAITS_FOR_ENGINE = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 40))

_WELL = frozenset({TargetStatus.APPLIED, TargetStatus.VERIFIED})

Answer = TypeVar("Answer")


@dataclass(slots=True)
class RolloutTargets:
    """Where one deployment goes, and how far it got on each target."""

    strategies: Mapping[TargetStrategy, Strategy]
    prober: Prober
    clock: Clock
    window: Window
    record: Record
    project: Project
    deployment: Deployment
    every: tuple[Target, ...]
    live: PreparedRevision | None  #: what was verified last
    order: Callable[[Target, Revision, LineSink, PreparedTarget | None], Work]
    log: LineSink
    cancel: threading.Event
    _status: dict[HostName, TargetStatus] = field(default_factory=dict, init=False)
    #: What went wrong there last: it stays told while the host waits again, or went back.
    _failures: dict[HostName, Failure] = field(default_factory=dict, init=False)
    #: What was read back there, by the stage that it was read in.
    _evidence: dict[HostName, Evidence] = field(default_factory=dict, init=False)
    #: Where applying changed nothing: what was verified before, and runs on.
    _untouched: dict[HostName, frozenset[Life]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Take up what an earlier worker, or an earlier attempt, recorded."""
        for one in self.deployment.targets:
            self._status[one.host] = one.status
            if one.error:
                self._failures[one.host] = one.error
            if one.evidence:
                self._evidence[one.host] = one.evidence

    # ── What is known ─────────────────────────────────────────────────────────────────────────

    @property
    def touched(self) -> tuple[Target, ...]:
        """Those on which something may have changed."""
        return tuple(one for one in self.every if self.status(one) not in UNTOUCHED)

    @property
    def any_changed(self) -> bool:
        """Whether anywhere something else may run than before."""
        return any(self.status(one) not in AS_BEFORE for one in self.every)

    def status(self, target: Target) -> TargetStatus:
        """Return how far it got there."""
        return self._status.get(target.host, TargetStatus.WAITING)

    def go_by(self, project: Project, orders: WorkOrders) -> None:
        """Take each further step by another declaration of ``project``, on the same hosts."""
        hosts = {target.host for target in self.every}
        self.project, self.order = project, orders.order
        self.every = tuple(one for one in project.where if one.host in hosts)

    # ── The steps ─────────────────────────────────────────────────────────────────────────────

    def prepare(self, revision: Revision, *, all_or_none: bool) -> PreparedRevision:
        """Make the revision ready on each host; what the first one resolves, the others are given.

        A host that can't be reached is left out, and recorded as such, unless ``all_or_none``.

        Raises:
            TargetUnreachable: none of them can be reached, or one of ``all_or_none``.
            ReconcilerError: it could not be made ready somewhere; nothing was changed.
        """
        ready: dict[HostName, PreparedTarget] = {}
        gone: dict[HostName, ReconcilerError] = {}
        waiting = list(self.every)
        while waiting and not ready:
            done, errors = self._each(waiting[:1], lambda one: self._prepare(one, revision))
            del waiting[:1]
            self._sort_out(errors, gone, all_or_none=all_or_none or not (waiting or gone))
            ready.update(done)
        if ready:
            first = next(iter(ready.values()))
            revision = first.revision
            done, errors = self._each(waiting, lambda one: self._prepare(one, revision, first))
            self._sort_out(errors, gone, all_or_none=all_or_none)
            ready.update(done)
        if not ready:
            raise self._together(gone)
        images = {
            name: digest for one in ready.values() for name, digest in one.revision.images.items()
        }
        return PreparedRevision(
            replace(revision, images=images),
            tuple(ready[one.host] for one in self.every if one.host in ready),
        )

    def apply(self, prepared: PreparedRevision, targets: Sequence[Target]) -> None:
        """Make ``targets`` run what is prepared for them."""

        def step(target: Target, ready: PreparedTarget) -> None:
            self._mark(target, TargetStatus.APPLIED)
            before = self._lives_of_verified(target, ready)
            self._apply_patiently(target, ready)
            if before and before == self._lives_of_verified(target, ready):
                self._untouched[target.host] = before

        self._on_each(prepared, targets, step)

    def verify(self, prepared: PreparedRevision, targets: Sequence[Target]) -> None:
        """See that ``targets`` run it, and well; then make it permanent there."""
        failed = threading.Event()

        def step(target: Target, ready: PreparedTarget) -> None:
            try:
                untouched = self._untouched.get(target.host, frozenset())
                self._prove(Stage.VERIFY, target, ready, failed.is_set, untouched)
            except ReconcilerError:
                failed.set()
                raise
            self._mark(target, TargetStatus.VERIFIED)

        self._on_each(prepared, targets, step)

    def go_back(self, earlier: PreparedRevision, targets: Sequence[Target]) -> None:
        """Make ``targets`` run what they ran before, and prove it."""

        def step(target: Target, ready: PreparedTarget) -> None:
            self._apply_patiently(target, ready)
            self._prove(Stage.ROLL_BACK, target, ready)
            self._mark(target, TargetStatus.ROLLED_BACK)

        self._on_each(earlier, targets, step)

    def _lives_of_verified(self, target: Target, ready: PreparedTarget) -> frozenset[Life]:
        live = self.live.find(target.host) if self.live else None
        if live is None or live.services != ready.services:
            return frozenset()
        return find_untroubled(self.strategies[target.strategy], target)

    # ── On one host ───────────────────────────────────────────────────────────────────────────

    def _prepare(
        self, target: Target, revision: Revision, elsewhere: PreparedTarget | None = None
    ) -> PreparedTarget:
        if self.status(target) in AS_BEFORE:
            self._mark(target, TargetStatus.WAITING)
        work = self.work(target, revision, elsewhere)
        ready = self.strategies[target.strategy].prepare(work)
        require_version_to_ask(self.project, target, ready)
        if self.status(target) is TargetStatus.VERIFIED and not self._was_prepared(ready):
            self._mark(target, TargetStatus.APPLIED)  # what was verified there is something else
        return ready

    def _was_prepared(self, ready: PreparedTarget) -> bool:
        """Tell whether an earlier attempt prepared the very same for that host."""
        before = self.deployment.prepared.find(ready.host) if self.deployment.prepared else None
        return before is not None and before.services == ready.services

    def _apply_patiently(self, target: Target, ready: PreparedTarget) -> None:
        """Apply, and again where the engine went away meanwhile: going back would need it too."""
        strategy, work = self.strategies[target.strategy], self.work(target, ready.revision)
        for wait in _WAITS_FOR_ENGINE:
            try:
                strategy.apply(work, ready)
            except TargetUnreachable as error:
                work.log(f"{error.message}; trying again in {wait.total_seconds():.0f} s")
                if self.clock.wait(self.cancel, wait.total_seconds()):
                    raise Interrupted("stopped while the engine was away") from error
            else:
                return
        strategy.apply(work, ready)

    def _prove(
        self,
        stage: Stage,
        target: Target,
        ready: PreparedTarget,
        moot: Callable[[], bool] = lambda: False,
        untouched: frozenset[Life] = frozenset(),
    ) -> None:
        """See that ``target`` runs ``ready``, and well; then make it permanent there."""
        strategy, say = self.strategies[target.strategy], self._say(target)
        checkup = Checkup(self.prober, self.project, target, ready, brief=bool(untouched))
        watch = Watch(strategy, self.clock, checkup, self.window, say, moot, untouched)
        try:
            watch.until_proved(ready, self.cancel)
        except ReconcilerError as error:
            self._keep(stage, target, watch.verification(error.message))
            raise
        self._keep(stage, target, watch.verification(""))
        strategy.confirm(self.work(target, ready.revision), ready)

    def _keep(self, stage: Stage, target: Target, verification: Verification) -> None:
        """Keep what was read back, to be recorded with what the host comes to stand at by it."""
        before = self._evidence.get(target.host, {})
        evidence = self.record.evidence_of(verification)
        self._evidence[target.host] = {**before, str(stage): evidence}

    def work(
        self, target: Target, revision: Revision, elsewhere: PreparedTarget | None = None
    ) -> Work:
        """Return what is to be done on ``target``, as of now; its log names the host."""
        return self.order(target, revision, self._say(target), elsewhere)

    def _say(self, target: Target) -> LineSink:
        if len(self.every) == 1:
            return self.log
        return lambda line: self.log(f"[{target.host}] {line}")

    def _mark(
        self, target: Target, status: TargetStatus, error: ReconcilerError | None = None
    ) -> None:
        if error:
            self._failures[target.host] = self.record.failure_of(error)
        elif status in _WELL:
            self._failures.pop(target.host, None)
        failure, evidence = self._failures.get(target.host), self._evidence.get(target.host)
        self.record.target(target.host, status, failure, evidence)
        self._status[target.host] = status

    # ── On all of them ────────────────────────────────────────────────────────────────────────

    def _on_each(
        self,
        prepared: PreparedRevision,
        targets: Sequence[Target],
        step: Callable[[Target, PreparedTarget], None],
    ) -> None:
        """Take ``step`` on each that something is prepared for.

        Raises:
            ReconcilerError: it failed on one, or on several of them; all were tried.
        """

        def take(target: Target) -> None:
            ready = prepared.find(target.host)
            if ready is None:
                return
            try:
                step(target, ready)
            except (StoreError, Interrupted):
                raise
            except ReconcilerError as error:
                self._mark(target, TargetStatus.FAILED, error)
                raise

        _, errors = self._each(targets, take)
        if errors:
            raise self._together(errors)

    def _each(
        self, targets: Sequence[Target], step: Callable[[Target], Answer]
    ) -> tuple[dict[HostName, Answer], dict[HostName, ReconcilerError]]:
        """Return what ``step`` gave, and where it failed.

        Raises:
            StoreError, Interrupted: no host's matter; every step that was begun has ended.
        """
        done: dict[HostName, Answer] = {}
        errors: dict[HostName, ReconcilerError] = {}
        if not targets:
            return done, errors
        with ThreadPoolExecutor(len(targets), thread_name_prefix="target") as pool:
            futures = {
                one.host: pool.submit(contextvars.copy_context().run, step, one) for one in targets
            }
        fatal: list[ReconcilerError] = []
        for host, future in futures.items():
            try:
                done[host] = future.result()
            except (StoreError, Interrupted) as error:
                fatal.append(error)
            except ReconcilerError as error:
                errors[host] = error
        if fatal:
            # A claim that was lost outranks the interruption that it brought about.
            raise next((one for one in fatal if isinstance(one, StoreError)), fatal[0])
        return done, errors

    def _sort_out(
        self,
        errors: Mapping[HostName, ReconcilerError],
        gone: dict[HostName, ReconcilerError],
        *,
        all_or_none: bool,
    ) -> None:
        """Leave out the hosts that can't be reached; every other error counts for all."""
        for target in self.every:
            error = errors.get(target.host)
            if isinstance(error, TargetUnreachable):
                # What an earlier attempt changed there is still to be gone back on.
                known = self.status(target)
                self._mark(target, TargetStatus.UNREACHABLE if known in AS_BEFORE else known, error)
                gone[target.host] = error
            elif error:
                self._mark(target, self.status(target), error)
        if len(errors) > sum(host in gone for host in errors) or (errors and all_or_none):
            raise self._together({**gone, **errors})

    def _together(self, errors: Mapping[HostName, ReconcilerError]) -> ReconcilerError:
        if len(self.every) == 1:
            return next(iter(errors.values()))
        return HostsFailed({str(host): error for host, error in errors.items()})
