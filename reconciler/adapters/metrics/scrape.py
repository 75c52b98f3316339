"""One answer to Prometheus: within its time, and partial rather than late."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from reconciler.adapters.metrics.standing import families_of_process, families_of_store
from reconciler.domain.errors import ReconcilerError
from reconciler.log import fields
from reconciler.ports import Clock, Own, Shared

_log = logging.getLogger(__name__)


class Reading:
    """A read of the store that nobody waits for beyond a limit; one at a time, however many ask."""

    def __init__(self, read: Callable[[], Shared], limit: timedelta) -> None:
        self._read = read
        self._limit = limit.total_seconds()
        self._lock = threading.Lock()
        self._under_way: _Read | None = None

    def take(self) -> Shared | None:
        """Return what is read now; None if that fails or takes too long. Raises nothing."""
        with self._lock:
            if self._under_way is None or self._under_way.done.is_set():
                self._under_way = _Read()
                threading.Thread(
                    target=self._carry_out, args=(self._under_way,), name="figures", daemon=True
                ).start()
            mine = self._under_way
        mine.done.wait(self._limit)
        return mine.found

    def _carry_out(self, mine: "_Read") -> None:
        try:
            mine.found = self._read()
        except ReconcilerError as error:  # the answer says so; others log what the store has
            _log.debug("figures can't be read: %s", error.message, extra=fields(code=error.code))
        except Exception:  # noqa: BLE001  a partial answer is one, too
            _log.exception("reading figures failed unexpectedly")
        finally:
            mine.done.set()


@dataclass(slots=True)
class _Read:
    found: Shared | None = None
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Scrape:
    """``/metrics``: what was counted here, how this process stands, and what the store says."""

    registry: CollectorRegistry
    clock: Clock
    own: Callable[[], Own]
    shared: Reading
    per_project: bool

    def answer(self, accept: str) -> tuple[bytes, str]:
        """Return the text and its media type: OpenMetrics for whom ``accept`` asks for it."""
        began, now = time.monotonic(), self.clock.now()
        shared = self.shared.take()
        found = list(families_of_process(self.own(), threading.active_count(), now))
        if shared is not None:
            found += families_of_store(shared, self.clock.now(), per_project=self.per_project)
        found += _itself(shared is None, time.monotonic() - began)
        encode, media_type = choose_encoder(accept)
        return encode(_Together(self.registry, found)), media_type


def _itself(is_partial: bool, seconds: float) -> Iterator[Metric]:
    problem = "Whether figures of the store are missing: it failed, or took too long."
    yield GaugeMetricFamily("reconciler_scrape_problem", problem, value=is_partial)
    taken = "How long gathering these figures took."
    yield GaugeMetricFamily("reconciler_scrape_duration_seconds", taken, value=seconds)


class _Together(CollectorRegistry):
    """What is counted all the time, and what was found for this answer."""

    def __init__(self, counted: Collector, found: Sequence[Metric]) -> None:
        super().__init__()
        self._counted = counted
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """Yield each family once."""
        yield from self._counted.collect()
        yield from self._found
