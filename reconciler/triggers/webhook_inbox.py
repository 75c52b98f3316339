"""What came in through webhooks and waits to be recorded, in memory and in bounds."""

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from reconciler.domain.errors import TooBusy
from reconciler.domain.webhook import HeaderValues, Webhook, WebhookName
from reconciler.log import correlation_id
from reconciler.ports import Delivery, Hint

BATCH = 500
#: Verified deliveries that wait to be recorded; more are refused, and the forge told to come again.
MOST_WAITING = 20_000
#: Refused deliveries of one webhook that wait to be recorded; more are counted only.
_MOST_REFUSED_WAITING = 50


@dataclass(frozen=True, slots=True)
class Knock:
    """A request as it came."""

    headers: HeaderValues
    remote: str  #: address that it came from
    body: bytes = b""
    key: str | None = field(default=None, repr=False)  #: last part of the path, if it has one


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified delivery, before it is recorded."""

    delivery: Delivery
    webhook: Webhook
    is_ping: bool = False
    #: Id of the request that it came with.
    correlation: str = field(default_factory=correlation_id)

    @property
    def hint(self) -> Hint | None:
        """Where it points; None: it announces nothing."""
        return self.delivery.hint


class Inbox:
    """What came and waits to be recorded: bounded, and the refused apart from the others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrivals: deque[Arrival] = deque()
        self._refused: dict[WebhookName, deque[Delivery]] = {}
        self._left_out: Counter[WebhookName] = Counter()

    def add(self, arrival: Arrival) -> None:
        """Let it wait. Raises ``TooBusy``."""
        with self._lock:
            if len(self._arrivals) >= MOST_WAITING:
                raise TooBusy(f"{len(self._arrivals)} deliveries wait to be looked at")
            self._arrivals.append(arrival)

    def refuse(self, delivery: Delivery) -> None:
        """Let the record of a refused one wait; of many, the newest."""
        with self._lock:
            waiting = self._refused.setdefault(delivery.webhook, deque())
            waiting.append(delivery)
            if len(waiting) > _MOST_REFUSED_WAITING:
                waiting.popleft()
                self._left_out[delivery.webhook] += 1

    def take(self) -> tuple[list[Arrival], list[Delivery], Mapping[WebhookName, int]]:
        """Return what waits, oldest first, and how many refused ones were left out of it."""
        with self._lock:
            arrivals = list(islice(self._arrivals, BATCH))
            for _ in arrivals:
                self._arrivals.popleft()
            refused = [one for waiting in self._refused.values() for one in waiting]
            left_out = dict(self._left_out)
            self._refused.clear()
            self._left_out.clear()
        return arrivals, sorted(refused, key=lambda one: one.at), left_out

    def put_back(self, arrivals: Sequence[Arrival]) -> None:
        """Let them wait again, before the others."""
        with self._lock:
            self._arrivals.extendleft(reversed(arrivals))
