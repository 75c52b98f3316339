"""The daemon's loops, their schedule, and how they start and end. The only user of apscheduler.

A job of the scheduler does nothing but wake a loop of ours.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, timedelta
from functools import partial
from typing import TYPE_CHECKING

from reconciler.domain.references import ProjectName
from reconciler.log import correlated, correlation_id
from reconciler.ports import Metering, Store
from reconciler.scheduling.deployments import Deployments
from reconciler.scheduling.loops import Loop, LoopHealth, LoopSpec

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

#: The loops that the workers need to the end.
_KEEPERS = frozenset({"leases", "expiry"})
#: A store that is out of reach says so by then.
_LONGEST_CLAIM = timedelta(seconds=15)


class Daemon:
    """All loops, their schedule, and the order in which they start and end."""

    def __init__(
        self, store: Store, deployments: Deployments, loops: Sequence[LoopSpec], *, grace: timedelta
    ) -> None:
        self._store = store
        self._deployments = deployments
        self._grace = grace
        self._follows = {spec.name: spec.follows for spec in loops if spec.follows}
        self._scheduler: BackgroundScheduler | None = None
        #: Done before any loop runs, and after the last has ended.
        self.on_start: Callable[[], object] = lambda: None
        self.on_end: Callable[[], object] = lambda: None
        #: Looks at one project's source and images.
        self.look: Callable[[ProjectName], object] = lambda _: None
        self.state = "starting"
        every = (
            *loops,
            LoopSpec("deployments", deployments.claim, timedelta(seconds=1)),
            LoopSpec("leases", deployments.keep_leases, timedelta(milliseconds=500)),
            LoopSpec("expiry", deployments.let_go, timedelta(milliseconds=500)),
            LoopSpec("settings", self.follow_settings, timedelta(seconds=2)),
        )
        self._loops = {
            spec.name: Loop(spec.name, spec.work, deployments.clock, spec.every, spec.rest)
            for spec in every
        }
        deployments.on_free = self._loops["deployments"].wake

    def meter_with(self, metering: Metering) -> None:
        """Have passes timed, and what goes wrong counted."""
        self._deployments.metering = metering
        for loop in self._loops.values():
            loop.metering = metering

    def start(self) -> None:
        """Mend what an earlier life left, then begin."""
        from apscheduler.schedulers.background import BackgroundScheduler  # heavy

        self.on_start()
        # A wake-up that it skips, under load, is one that has come already.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            daemon=True,
            # Never skip a wake-up because it is late, never pile them up.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for name, setting in self._follows.items():
            self._loops[name].interval = self._setting(setting)
        for name, loop in self._loops.items():
            self._scheduler.add_job(
                loop.wake, "interval", seconds=loop.interval.total_seconds(), id=name
            )
            loop.start()
        self._scheduler.start()
        self.state = "ready"

    def wake(self, name: str) -> None:
        """Run a pass of the named loop now."""
        self._loops[name].wake()

    def follow_settings(self) -> None:
        """Give loops the interval that their setting has now.

        Only a changed one is rescheduled, because rescheduling starts the interval anew.
        """
        for name, setting in self._follows.items():
            interval = self._setting(setting)
            if interval != self._loops[name].interval and self._scheduler is not None:
                self._loops[name].interval = interval
                self._scheduler.reschedule_job(
                    name, trigger="interval", seconds=interval.total_seconds()
                )

    def loops(self) -> Sequence[LoopHealth]:
        """Return how each loop is doing."""
        return [loop.health() for loop in self._loops.values()]

    def look_now(self, name: ProjectName) -> None:
        """Look at the project's source and images in the background, without awaiting its time."""
        look = partial(self._look, name, correlation_id())
        threading.Thread(target=look, name=f"look {name}", daemon=True).start()

    def _look(self, name: ProjectName, correlation: str) -> None:
        with correlated(correlation):
            self.look(name)

    def drain(self) -> bool:
        """Begin nothing new, let what runs come to an end, then stop. Safe to repeat.

        Returns whether everything ended by itself.
        """
        if self.state == "draining":
            return True
        self.state = "draining"
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
        for name, loop in self._loops.items():
            if name not in _KEEPERS:
                loop.stop()
        # What is being claimed at this moment is waited for like the rest.
        self._loops["deployments"].join(_LONGEST_CLAIM.total_seconds())
        ended = self._deployments.drain(self._grace)
        for name in _KEEPERS:
            self._loops[name].stop()
        late = [loop for loop in self._loops.values() if not loop.join(5)]
        ended = ended and not late
        self.on_end()
        return ended

    def _setting(self, key: str) -> timedelta:
        return timedelta(seconds=int(self._store.get_settings()[key].value))
