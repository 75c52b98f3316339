"""What runs on each target now, asked there, and whether that is what should run."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import timedelta

from reconciler.domain.deployment import Deployment, DeploymentId, PreparedTarget
from reconciler.domain.errors import ReconcilerError, Recovery, TargetUnreachable, TooBusy
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.references import ProjectName
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.verification import Observation, Sample, Window, judge
from reconciler.pipeline.declaring.targets import get_target
from reconciler.ports import Store, Strategy, TargetReport

#: Hosts that are asked side by side.
_AT_ONCE = 32
#: Callers that wait side by side: each takes a thread from those that answer everybody.
_CALLS_AT_ONCE = 8
_NOW = timedelta(0)
#: One look decides: what is asked is what runs, not how long it has.
_AT_A_GLANCE = Window(healthy=_NOW, unchecked=_NOW, timeout=timedelta.max)


@dataclass(frozen=True, slots=True)
class Running:
    """What a target said of itself."""

    report: TargetReport
    differences: tuple[str, ...]  #: what is not as it was deployed; empty where all is
    samples: tuple[Sample, ...] = ()  #: all that runs there of what was deployed


@dataclass(frozen=True, slots=True)
class TargetNow:
    """A target, what should run there, and what does."""

    target: Target
    deployment: Deployment | None  #: whose revision should run there; None: nothing was deployed
    prepared: PreparedTarget | None  #: that revision, as it was made ready for this host
    running: Running | None = None
    error: Failure | None = None  #: why nobody could say what runs


_Key = tuple[ProjectName, HostName]


class TargetReports:
    """Asks targets side by side, within a time limit. Threads may share it."""

    def __init__(
        self,
        store: Store,
        strategies: Mapping[TargetStrategy, Strategy],
        troubles: Callable[[], Mapping[HostName, HostHealth]],
        *,
        within: timedelta = timedelta(seconds=10),
    ) -> None:
        """Make one.

        Args:
            store: what should run.
            strategies: what can look.
            troubles: hosts that are known to be in trouble, which are not asked.
            within: for all of one call; who has not answered by then is told as such.
        """
        self._store = store
        self._strategies = strategies
        self._troubles = troubles
        self._within = within
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="report")
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_CALLS_AT_ONCE)
        #: An answer that is compared with one deployment says nothing of the next.
        self._under_way: dict[_Key, tuple[DeploymentId | None, Future[Running]]] = {}

    def all(self, projects: Collection[str] | None = None) -> Sequence[TargetNow]:
        """Return the targets of ``projects``, by project; None: every one."""
        states = self._store.list_states()
        return self._ask(
            [
                _expected(target, states[project.name].live)
                for project in self._store.list_projects()
                if project.name in states and (projects is None or project.name in projects)
                for target in project.where
            ]
        )

    def of_project(self, name: ProjectName) -> Sequence[TargetNow]:
        """Return the targets of one project. Raises ``NotFound``."""
        project, live = self._store.get_project(name), self._store.get_state(name).live
        return self._ask([_expected(target, live) for target in project.where])

    def of_target(self, name: ProjectName, host: HostName) -> TargetNow:
        """Return one target. Raises ``NotFound``."""
        project, live = self._store.get_project(name), self._store.get_state(name).live
        return self._ask([_expected(get_target(project, host), live)])[0]

    def close(self) -> None:
        """Ask nobody any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, targets: Sequence[TargetNow]) -> Sequence[TargetNow]:
        """Ask them all. Raises ``TooBusy``: too many callers wait already."""
        if not self._places.acquire(blocking=False):
            raise TooBusy(f"{_CALLS_AT_ONCE} others ask what runs already")
        try:
            return self._ask_in_time(targets)
        finally:
            self._places.release()

    def _ask_in_time(self, targets: Sequence[TargetNow]) -> Sequence[TargetNow]:
        troubles = self._troubles()
        asked = {_key(one): self._begin(one) for one in targets if one.target.host not in troubles}
        wait(asked.values(), timeout=self._within.total_seconds())
        return [
            self._answered(one, asked.get(_key(one)), troubles.get(one.target.host))
            for one in targets
        ]

    def _begin(self, one: TargetNow) -> Future[Running]:
        """Ask, unless the same question to this target was not answered yet."""
        key, expected = _key(one), one.deployment.id if one.deployment else None
        with self._lock:
            compared, known = self._under_way.get(key, (None, None))
            if known is not None and compared == expected and not known.done():
                return known
            future = self._pool.submit(self._look, one)
            self._under_way[key] = expected, future
            return future

    def _look(self, one: TargetNow) -> Running:
        strategy = self._strategies[one.target.strategy]
        report = strategy.report(one.target)
        if one.prepared is None:
            return Running(report, ())
        seen = Observation(_NOW, tuple(strategy.observe(one.target)))
        return Running(report, _differences(one.prepared, seen), seen.samples)

    def _answered(
        self, one: TargetNow, future: Future[Running] | None, trouble: HostHealth | None
    ) -> TargetNow:
        if future is None:
            return _with(one, error=trouble.error if trouble else None)
        if not future.done():
            seconds = self._within.total_seconds()
            text = f"{one.target.host} did not answer within {seconds:.0f} s"
            return _with(one, error=Failure(TargetUnreachable.code, text, Recovery.RETRY))
        try:
            return _with(one, running=future.result())
        except ReconcilerError as error:
            return _with(one, error=Failure.of(error))


def _expected(target: Target, live: Deployment | None) -> TargetNow:
    prepared = live.prepared.find(target.host) if live and live.prepared else None
    return TargetNow(target, live if prepared else None, prepared)


def _differences(prepared: PreparedTarget, seen: Observation) -> tuple[str, ...]:
    """Return what is not as it was made ready; what had finished may have been cleared away."""
    there = {sample.service for sample in seen.samples}
    services = tuple(one for one in prepared.services if one.name in there or not one.may_finish)
    if prepared.services and not services:
        return ()
    return judge(replace(prepared, services=services), (seen,), _AT_A_GLANCE).problems


def _with(
    one: TargetNow, *, running: Running | None = None, error: Failure | None = None
) -> TargetNow:
    return TargetNow(one.target, one.deployment, one.prepared, running, error)


def _key(one: TargetNow) -> _Key:
    return one.target.project, one.target.host
