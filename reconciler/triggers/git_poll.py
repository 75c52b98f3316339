"""Branch tips of external repositories: asked side by side, each bounded, none delaying another."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from reconciler.domain.deployment import Trigger
from reconciler.domain.errors import ReconcilerError, SourceThrottled
from reconciler.domain.failure import Failure
from reconciler.domain.polling import time_until_next_look
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.state import SourceHealth
from reconciler.domain.wish import Wish
from reconciler.log import correlated
from reconciler.ports import (
    UNMETERED,
    Clock,
    GitRemote,
    Metering,
    PollResult,
    PollTask,
    Store,
)
from reconciler.triggers.lanes import Lanes

#: Told of each tip that was seen: the project, the tip, what was acted on before, and who wanted
#: the look if anybody did; returns in plain words what came of it.
OnTip = Callable[[ProjectName, CommitSha, CommitSha | None, Wish | None], str]
#: Told of a bug that a look ran into; the loop goes on.
OnBug = Callable[[str, Exception], None]

_BATCH = 500
#: A claimed poll that nobody finished (its process died) is due again after this.
_HOLD_FOR = timedelta(minutes=2)


@dataclass(slots=True)
class GitPoll:
    """Looks at every external source that is due."""

    store: Store
    remote: GitRemote
    clock: Clock
    lanes: Lanes
    on_tip: OnTip
    on_bug: OnBug
    random: Callable[[], float]
    metering: Metering = UNMETERED
    on_wish_done: Callable[[], object] = lambda: None  #: called after a look that was wished for
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _results: list[PollResult] = field(default_factory=list, init=False)
    _ticked_at: datetime = field(default=datetime.max.replace(tzinfo=UTC), init=False)

    def tick(self, interval: timedelta) -> int:
        """Record what came back, start the looks that are due; return how many were started."""
        self.record()
        self.lanes.relieve()
        now = self.clock.now()
        if now < self._ticked_at:
            # Before the first tick too: the clock may have been set while nobody ran.
            self.store.correct_polls(now)
        self._ticked_at = now
        # What waits for a host that hangs keeps nobody from what was wished for elsewhere.
        room = max(_BATCH - self.lanes.unfinished, 0)
        tasks = self.store.claim_due_polls(now, hold_for=_HOLD_FOR, limit=room)
        for task in tasks:
            suspect = task.health.failures > 0
            self.lanes.submit(task.source.url.origin, self._look(task, interval), suspect=suspect)
        return len(tasks)

    def record(self) -> None:
        """Write what came back, in one transaction; what can't be written waits."""
        with self._lock:
            results, self._results = self._results, []
        if not results:
            return
        try:
            self.store.record_polls(results)
        except ReconcilerError:
            with self._lock:
                self._results = [*results, *self._results][-2 * _BATCH :]
            raise

    def _look(self, task: PollTask, interval: timedelta) -> Callable[[], None]:
        def look() -> None:
            late = self.clock.now() - task.due_at if task.due_at else None
            try:
                with correlated(task.wish.correlation if task.wish else ""):
                    health = self._observe(task, interval)
            except Exception as bug:  # noqa: BLE001  one project's bug must not stop the others
                self.on_bug(f"looking at the source of {task.project}", bug)
                return
            self.metering.polled(_outcome(health), health.error.code if health.error else "", late)
            with self._lock:
                self._results.append(PollResult(task.project, health, _announced(task, health)))
            if task.wish is not None:  # another may have come meanwhile
                self.on_wish_done()

        return look

    def _observe(self, task: PollTask, interval: timedelta) -> SourceHealth:
        try:
            credentials = None
            if task.has_credentials:
                credentials = self.store.git_credentials(task.project, task.source)
            tip = self.remote.tip(task.source.url, task.source.branch, credentials)
            said = f"branch {task.source.branch} is gone; what runs stays as it is"
            if tip is not None:
                said = self.on_tip(task.project, tip, task.tracked, task.wish)
        except ReconcilerError as error:
            self._report(task, error.message)
            return self._failed(task.health, error, interval)
        self._report(task, said)
        now = self.clock.now()
        return SourceHealth(
            looked_at=now,
            next_look_at=now + time_until_next_look(interval, 0, self.random()),
            observed=tip or task.health.observed,
            observed_at=now if tip else task.health.observed_at,
            branch_gone=tip is None,
        )

    def _report(self, task: PollTask, said: str) -> None:
        """Tell the delivery that the look goes back to what it gave; only its record needs that."""
        if task.wish is None or task.wish.delivery is None:
            return
        try:
            self.store.record_outcomes({task.wish.delivery: {task.project: said}})
        except ReconcilerError as error:
            self.on_bug(f"recording what a delivery led to for {task.project}", error)

    def _failed(
        self, before: SourceHealth, error: ReconcilerError, interval: timedelta
    ) -> SourceHealth:
        wait = time_until_next_look(interval, before.failures + 1, self.random())
        if isinstance(error, SourceThrottled):
            wait = max(wait, error.retry_after)
        now = self.clock.now()
        return before.after_failure(Failure.of(error), now, now + wait)


def _outcome(seen: SourceHealth) -> str:
    return "failed" if seen.error else "branch-gone" if seen.branch_gone else "ok"


def _announced(task: PollTask, seen: SourceHealth) -> bool | None:
    """Tell whether a webhook announced the move that a look found; None: there is none to judge.

    The first sight of a branch is no move, and what a person had looked at was not waited for.
    """
    if task.health.observed in {None, seen.observed}:
        return None
    if task.wish is not None and task.wish.trigger is Trigger.WEBHOOK:
        return True
    return False if task.health.next_look_at is not None else None
