"""Whether what stands in an environment is well: looked at while another one waits for it.

A look that finds it otherwise ends its stretch; once it is well again, another one begins. What
nobody could look at breaks nothing, but neither does its soak come to an end.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from reconciler.domain.errors import ReconcilerError
from reconciler.domain.promotion import Standing
from reconciler.domain.references import ProjectName
from reconciler.pipeline.target_reports import TargetNow
from reconciler.ports import Clock, Prober, Store

EVERY = timedelta(seconds=30)
#: A look that is older tells nothing of now.
_GOOD_FOR = 3 * EVERY
#: Health checks that are asked side by side.
_AT_ONCE = 16
_NOT_YET = "nobody has looked at what runs there yet"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at all that runs of a project gave."""

    at: float  #: monotonic
    unwell: str = ""  #: what is not as it was verified; empty: nothing
    unknown: str = ""  #: why nobody could look at all of it; empty: it was looked at

    @property
    def well(self) -> bool:
        """Whether all of it was seen, and is well."""
        return not self.unwell and not self.unknown


class SoakWatch:
    """Looks at environments in which something soaks. Threads may share it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ask: Callable[[Collection[str] | None], Sequence[TargetNow]],
        prober: Prober,
    ) -> None:
        """Make one; ``ask`` tells what runs of projects now, side by side and bounded."""
        self._store = store
        self._clock = clock
        self._ask = ask
        self._prober = prober
        self._lock = threading.Lock()
        self._looks: dict[ProjectName, Look] = {}

    def tick(self) -> None:
        """Look once at each environment that another one has to wait for."""
        self.look(_soaking(self._store))

    def look(self, projects: Collection[ProjectName]) -> None:
        """Look at ``projects`` now, and end or begin what stands by it.

        Raises:
            TooBusy: too many others ask what runs already.
        """
        if not projects:
            return
        standings, seen = self._store.current_standings(), self._looked_at(projects)
        for name, look in seen.items():
            self._conclude(name, look, standings.get(name))
        with self._lock:
            self._looks.update(seen)

    def doubt(self, name: ProjectName) -> str:
        """Return why nobody knows that what runs there is well; empty: it was, just now."""
        with self._lock:
            look = self._looks.get(name)
        if look is None or self._clock.monotonic() - look.at > _GOOD_FOR.total_seconds():
            return _NOT_YET
        return look.unwell or look.unknown

    def _looked_at(self, projects: Collection[ProjectName]) -> Mapping[ProjectName, Look]:
        # Read before the look: what ends or begins meanwhile is not judged by it.
        at, now = self._clock.monotonic(), self._ask(projects)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="soak") as pool:
            verdicts = list(pool.map(self._verdict, now))
        found: dict[ProjectName, Look] = {}
        for name in projects:
            mine = [one for target, one in zip(now, verdicts, strict=True) if _of(target) == name]
            unwell = [one.unwell for one in mine if one.unwell]
            unknown = [one.unknown for one in mine if one.unknown]
            found[name] = Look(at, "; ".join(unwell), "; ".join(unknown))
        return found

    def _verdict(self, one: TargetNow) -> Look:
        """Return what is to be said of one target; each of its health checks is asked once."""
        if one.prepared is None:
            return Look(0)  # it never came there: no part of what was verified
        if one.running is None:
            return Look(0, unknown=one.error.message if one.error else _NOT_YET)
        if one.running.differences:
            return Look(0, unwell="; ".join(one.running.differences))
        commit = one.prepared.revision.commit
        for ready, check in ((False, one.target.health), (True, one.target.ready)):
            if check is None:
                continue
            try:
                answer = self._prober.probe(one.target, commit, ready=ready)
            except ReconcilerError as error:
                return Look(0, unknown=error.message)
            if answer.problem:
                name = "its check for readiness" if ready else "its health check"
                return Look(0, unwell=f"{name}: {answer.problem}")
        return Look(0)

    def _conclude(self, name: ProjectName, look: Look, standing: Standing | None) -> None:
        """End what stands where it is not well, and begin anew where it is well again."""
        now = self._clock.now()
        if standing is not None and look.unwell:
            self._store.break_standing(standing, look.unwell, now)
        elif standing is None and look.well:
            live = self._store.get_state(name).live
            if live is not None:
                self._store.resume_standing(name, live.id, now)


def _of(one: TargetNow) -> ProjectName:
    return one.target.project


def _soaking(store: Store) -> Sequence[ProjectName]:
    """Return the environments that one with a soak time is promoted from, and that are at rest."""
    waited_for = {
        project.environment.promoted_from
        for project in store.list_projects()
        if project.environment and project.environment.promoted_from and project.environment.soak
    }
    if not waited_for:
        return []
    states = store.list_states()
    return [name for name in sorted(waited_for) if name in states and states[name].running is None]
