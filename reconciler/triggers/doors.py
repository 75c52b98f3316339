"""The webhooks that are open, kept in memory: a delivery that arrives reads no database.

What this process changes counts at once, what another replica changes within a second. While the
store can't be read no door is open: what was true once is never taken for true.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Webhook, WebhookName
from reconciler.ports import Clock, Store, WebhookRecord

#: What was read counts for so long. Under load it is read anew in half the time, by the loop that
#: records deliveries, so that no request waits for it.
_FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Door:
    """A webhook, with the secrets that open it."""

    webhook: Webhook
    secrets: Sequence[Secret]  #: the present one, then a previous one; never empty


@dataclass(frozen=True, slots=True)
class _Known:
    """All webhooks as they were at one moment."""

    mark: object = None  #: of the store, from before it was asked
    read_at: float = 0.0  #: monotonic, likewise
    #: Webhook → what differs once anything of it does. Names that nobody declared take no room.
    states: Mapping[WebhookName, object] = field(default_factory=dict)
    doors: dict[WebhookName, Door] = field(default_factory=dict)  #: those used since they changed


class Doors:
    """Which webhook a name is, for any thread."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known = _Known()
        self._lock = threading.Lock()

    def is_at_hand(self, name: WebhookName) -> bool:
        """Tell whether ``find`` answers without asking the store."""
        known = self._known
        unread = name in known.states and name not in known.doors
        return self._is_fresh(known) and not unread

    def find(self, name: WebhookName) -> Door | None:
        """Return the webhook that takes deliveries under ``name``; None: there is none.

        Raises:
            StoreError: what is known is too old, and can't be read again.
        """
        known = self._known
        if not self._is_fresh(known):
            known = self._read(_FRESH_SECONDS)
        if name not in known.states:
            return None
        return known.doors.get(name) or self._open(known, name)

    def keep_fresh(self) -> None:
        """Read again what is half as old as it may be. Raises ``StoreError``."""
        if not self._is_fresh(self._known, _FRESH_SECONDS / 2):
            self._read(_FRESH_SECONDS / 2)

    def _is_fresh(self, known: _Known, seconds: float = _FRESH_SECONDS) -> bool:
        age = self._clock.monotonic() - known.read_at
        return known.mark is self._store.webhooks_mark and age < seconds

    def _read(self, seconds: float) -> _Known:
        with self._lock:
            before = self._known
            if self._is_fresh(before, seconds):  # somebody else read it meanwhile
                return before
            mark, now = self._store.webhooks_mark, self._clock.monotonic()
            states = {one.webhook.name: _state(one) for one in self._store.list_webhooks()}
            same = states.items() & before.states.items()
            doors = {name: before.doors[name] for name, _ in same if name in before.doors}
            self._known = _Known(mark, now, states, doors)
            return self._known

    def _open(self, known: _Known, name: WebhookName) -> Door | None:
        """Unseal its secrets; if they are newer than what is known, the next look drops them."""
        found = self._store.find_webhook_secrets(name)
        if found is None:
            return None
        door = Door(*found)
        with self._lock:
            known.doors[name] = door
        return door


def _state(record: WebhookRecord) -> object:
    return record.webhook, record.fingerprint, record.previous_fingerprint, record.rotated_at
