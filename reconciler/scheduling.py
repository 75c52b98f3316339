"""When. The only place that knows apscheduler.

A job of the scheduler does nothing but wake a loop of ours. A loop runs one pass at a time, keeps
a wake-up that comes while it runs, says when it last got anywhere, and ends when it is told to.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from reconciler.domain.errors import ClaimLost, Interrupted, ReconcilerError
from reconciler.domain.references import ProjectName
from reconciler.pipeline.journal import Journal
from reconciler.pipeline.rollout import Rollout
from reconciler.ports import Claim, Clock, Store

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

log = logging.getLogger("reconciler.scheduling")

#: A loop that made no progress for this long past its interval is stuck, and healthz says so.
_STUCK_AFTER = timedelta(minutes=6)


@dataclass(frozen=True, slots=True)
class LoopHealth:
    """How a loop is doing."""

    name: str
    last_progress_at: datetime | None  #: end of the last pass; None before the first
    late: timedelta  #: by how much the next pass is overdue; zero while it is not
    ok: bool
    error: str = ""  #: of the last pass; empty if it went well


class Loop:
    """One pass at a time, in a thread of its own, whenever it is woken."""

    def __init__(
        self, name: str, work: Callable[[], object], clock: Clock, interval: timedelta
    ) -> None:
        self.name = name
        self.interval = interval
        self._work = work
        self._clock = clock
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._progress = clock.monotonic()
        self._progress_at: datetime | None = None
        self._error = ""

    def start(self) -> None:
        """Begin; the first pass runs at once."""
        self._progress = self._clock.monotonic()
        self._woken.set()
        self._thread.start()

    def wake(self) -> None:
        """Run a pass now, or one more after the one that runs."""
        self._woken.set()

    def stop(self) -> None:
        """Begin no further pass."""
        self._stopped.set()
        self._woken.set()

    def join(self, seconds: float) -> bool:
        """Wait for the pass that runs; False if it takes longer."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def health(self) -> LoopHealth:
        """Return how it is doing."""
        since = timedelta(seconds=self._clock.monotonic() - self._progress)
        late = max(since - self.interval, timedelta(0))
        stuck = late > _STUCK_AFTER or not self._thread.is_alive()
        return LoopHealth(self.name, self._progress_at, late, not stuck, self._error)

    def _run(self) -> None:
        while True:
            self._woken.wait()
            if self._stopped.is_set():
                return
            self._woken.clear()
            self._pass()

    def _pass(self) -> None:
        """Run the work once. Here any exception ends: the next pass starts afresh."""
        try:
            self._work()
            self._error = ""
        except ReconcilerError as error:
            if error.message != self._error:
                log.warning("%s: %s", self.name, error.message, extra={"code": error.code})
            self._error = error.message
        except Exception as bug:
            log.exception("%s failed unexpectedly", self.name)
            self._error = f"unexpected: {type(bug).__name__}"
        self._progress = self._clock.monotonic()
        self._progress_at = self._clock.now()


class Deployments:
    """Claims deployments and carries them out, several at once; keeps their leases."""

    def __init__(
        self,
        store: Store,
        rollout: Rollout,
        *,
        owner: str,
        at_once: int,
        lease: timedelta = timedelta(minutes=1),
    ) -> None:
        self._store = store
        self._rollout = rollout
        self.clock = rollout.clock
        self._owner = owner
        self._at_once = at_once
        self._lease = lease
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="deployment")
        self._lock = threading.Condition()
        self._active: dict[int, tuple[Claim, Journal, threading.Event]] = {}
        self._extended: dict[int, float] = {}
        #: Called when a place is free again.
        self.on_free: Callable[[], None] = lambda: None

    def claim(self) -> None:
        """Claim and start whatever there is room for."""
        while self._free():
            claim = self._store.claim_next(self._owner, self.clock.now(), lease=self._lease)
            if claim is None:
                return
            cancel = threading.Event()
            journal = self._rollout.journal(claim)
            with self._lock:
                self._active[claim.deployment.id] = (claim, journal, cancel)
                self._extended[claim.deployment.id] = self.clock.monotonic()
            self._pool.submit(self._carry_out, claim, journal, cancel)

    def keep_leases(self) -> None:
        """Extend the leases that are a quarter over, and write what was said meanwhile.

        A worker whose lease could not be extended in time stops: somebody else may have it.
        """
        with self._lock:
            active = list(self._active.values())
        for claim, journal, cancel in active:
            journal.flush()
            age = self.clock.monotonic() - self._extended.get(claim.deployment.id, 0.0)
            if age < self._lease.total_seconds() / 4:
                continue
            try:
                self._store.extend(claim, lease=self._lease)
                self._extended[claim.deployment.id] = self.clock.monotonic()
            except ClaimLost:
                cancel.set()
            except ReconcilerError:
                if age > self._lease.total_seconds() * 0.75:
                    cancel.set()

    def drain(self, grace: timedelta) -> bool:
        """Wait for what runs; stop what takes longer. The next life goes on from there.

        Returns whether all of it ended by itself.
        """
        ended = self._idle(grace)
        with self._lock:
            for _, _, cancel in self._active.values():
                cancel.set()
        self._idle(timedelta(seconds=15))
        self._pool.shutdown(wait=False, cancel_futures=True)
        return ended

    def _idle(self, within: timedelta) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: not self._active, within.total_seconds())

    def _free(self) -> bool:
        with self._lock:
            return len(self._active) < self._at_once

    def _carry_out(self, claim: Claim, journal: Journal, cancel: threading.Event) -> None:
        name = f"deployment {claim.deployment.id} of {claim.deployment.project}"
        try:
            self._rollout.run(claim, journal, cancel)
        except Interrupted as interrupted:
            log.warning("%s was interrupted: %s", name, interrupted.message)
        except ClaimLost:
            log.warning("%s is carried on by another worker", name)
        except Exception:
            # Its lease runs out, and it is taken up again; the third time a person is asked.
            log.exception("%s failed unexpectedly", name)
        finally:
            with self._lock:
                self._active.pop(claim.deployment.id, None)
                self._extended.pop(claim.deployment.id, None)
                self._lock.notify_all()
            self.on_free()


@dataclass(frozen=True, slots=True)
class LoopSpec:
    """One loop to run."""

    name: str
    work: Callable[[], object]  #: one pass of it
    every: timedelta = timedelta(minutes=1)
    follows: str = ""  #: the live setting that is its interval, in place of ``every``


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
            LoopSpec("settings", self.follow_settings, timedelta(seconds=2)),
        )
        self._loops = {
            spec.name: Loop(spec.name, spec.work, deployments.clock, spec.every) for spec in every
        }
        deployments.on_free = self._loops["deployments"].wake

    def start(self) -> None:
        """Mend what an earlier life left, then begin."""
        from apscheduler.schedulers.background import BackgroundScheduler  # heavy

        self.on_start()
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
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
        threading.Thread(target=self.look, args=(name,), name=f"look {name}", daemon=True).start()

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
            if name != "leases":
                loop.stop()
        ended = self._deployments.drain(self._grace)
        self._loops["leases"].stop()
        late = [loop for loop in self._loops.values() if not loop.join(5)]
        ended = ended and not late
        self.on_end()
        return ended

    def _setting(self, key: str) -> timedelta:
        return timedelta(seconds=int(self._store.get_settings()[key].value))
