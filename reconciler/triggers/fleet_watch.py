"""A fleet file that is followed: applied when it changes. A broken one changes nothing."""

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.domain.document import DocumentForm
from reconciler.domain.errors import (
    Conflict,
    ReconcilerError,
    SeveralInvalid,
    SourceThrottled,
    StoreError,
)
from reconciler.log import fields
from reconciler.ports import Clock
from reconciler.triggers.fleet_sources import FleetSource, Seen

_log = logging.getLogger(__name__)

#: What is wrong may be elsewhere: a refused file is tried again though it stayed the same.
_AGAIN_AFTER_SECONDS = 60.0
_MOST_LOGGED = 20

#: Applies a file; tells in plain words what it changed.
ApplyFleet = Callable[[bytes, DocumentForm], str]


@dataclass(frozen=True, slots=True)
class FleetStanding:
    """How a followed fleet file stands."""

    where: str
    version: str = ""  #: that was applied last: a commit, or a part of its SHA-256
    applied_at: datetime | None = None  #: when it, or an earlier one, was applied last
    problems: tuple[str, ...] = ()  #: why the newest one is not applied; empty if it is
    since: datetime | None = None  #: since when it stands so


class FleetWatch:
    """Looks at one fleet file, and applies it at the start and whenever it changed."""

    def __init__(self, source: FleetSource, apply: ApplyFleet, clock: Clock) -> None:
        self._source = source
        self._apply = apply
        self._clock = clock
        self._lock = threading.Lock()
        self._standing = FleetStanding(source.where)
        self._out_of_sight = ""  #: why the source can't be looked at; empty if it can
        self._left_alone_until = 0.0  #: monotonic, as is the next; the server asked for it
        self._tried: bytes | None = None  #: content that was applied or refused
        self._again_at = math.inf  #: when that very content is tried again

    def tick(self) -> None:
        """Look, and apply what is new. Raises ``StoreError``, after which the next tick tries."""
        if self._clock.monotonic() < self._left_alone_until:
            return
        try:
            seen = self._source.look()
        except ReconcilerError as error:
            self._not_seen(error)
            return
        with self._lock:
            self._out_of_sight = ""
        if seen is None:
            return
        if seen.content != self._tried or self._clock.monotonic() >= self._again_at:
            self._take(seen)
        elif not self._standing.problems:
            # A commit that left the file as it was.
            self._stand(replace(self._standing, version=seen.version))

    def standing(self) -> FleetStanding:
        """Return how it stands."""
        with self._lock:
            unseen = (self._out_of_sight,) if self._out_of_sight else ()
            return replace(self._standing, problems=unseen or self._standing.problems)

    def _not_seen(self, error: ReconcilerError) -> None:
        if isinstance(error, SourceThrottled):
            wait = error.retry_after.total_seconds()
            self._left_alone_until = self._clock.monotonic() + wait
        problem = _told(error)
        with self._lock:
            known, self._out_of_sight = self._out_of_sight == problem, problem
        if not known:
            _log.warning("fleet file not read: %s", problem, extra=fields(code=error.code))

    def _take(self, seen: Seen) -> None:
        now = self._clock.now()
        try:
            told = self._apply(seen.content, self._source.form)
        except StoreError:
            raise
        except Conflict as error:
            # Somebody was at it at the same moment; the next look finds out what is left to do.
            _log.info("fleet file: %s", error.message)
            return
        except ReconcilerError as error:
            self._refuse(error, now)
            self._again_at = self._clock.monotonic() + _AGAIN_AFTER_SECONDS
        else:
            _log.info("fleet file applied: %s", told)
            self._stand(FleetStanding(self._source.where, seen.version, now, (), now))
            self._again_at = math.inf
        self._tried = seen.content

    def _refuse(self, error: ReconcilerError, now: datetime) -> None:
        several = error.problems if isinstance(error, SeveralInvalid) else (error,)
        problems = tuple(_told(one) for one in several)
        if problems == self._standing.problems:
            return
        for problem in problems[:_MOST_LOGGED]:
            _log.warning("fleet file not applied: %s", problem, extra=fields(code=error.code))
        self._stand(replace(self._standing, problems=problems, since=now))

    def _stand(self, standing: FleetStanding) -> None:
        with self._lock:
            self._standing = standing


def _told(problem: ReconcilerError) -> str:
    return "; ".join(part for part in (problem.message, problem.remedy) if part)
