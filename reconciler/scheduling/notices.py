"""Sends what waits in the outbox, several at once, so that a channel that hangs delays no other."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from reconciler.pipeline.notices import Notices
from reconciler.ports import Message, OutboxKind, Store

log = logging.getLogger(__name__)

_AT_ONCE = 4
#: Longer than any sending takes.
_LEASE = timedelta(minutes=3)
#: As often one that a bug ends is tried: all that follow it to its channel wait for it.
_MOST_BUGS = 3


class Sending:
    """Claims messages and has them sent, one of each channel at a time."""

    def __init__(self, store: Store, notices: Notices, owner: str) -> None:
        self._store = store
        self._notices = notices
        self._owner = owner
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="notice")
        self._lock = threading.Condition()
        self._busy: set[str] = set()
        self._cancel = threading.Event()
        #: Called when a place is free again.
        self.on_free: Callable[[], None] = lambda: None

    def tick(self) -> None:
        """Put out what is due, and begin to send whatever there is room for."""
        try:
            self._notices.tell()
        finally:
            self._begin()

    def _begin(self) -> None:
        while not self._cancel.is_set() and len(busy := self._addresses()) < _AT_ONCE:
            claimed = self._store.claim_messages(
                OutboxKind.NOTICE, self._owner, limit=1, lease=_LEASE, busy=busy
            )
            if not claimed:
                return
            with self._lock:
                self._busy.add(claimed[0].address)
            self._pool.submit(self._send, claimed[0])

    def drain(self, grace: timedelta) -> bool:
        """Wait for what is being sent; stop what takes longer, which is sent by the next life.

        Returns whether all of it ended by itself.
        """
        ended = self._idle(grace)
        self._cancel.set()
        self._idle(timedelta(seconds=5))
        self._pool.shutdown(wait=False, cancel_futures=True)
        return ended

    def _addresses(self) -> set[str]:
        with self._lock:
            return set(self._busy)

    def _idle(self, within: timedelta) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: not self._busy, within.total_seconds())

    def _send(self, message: Message) -> None:
        try:
            self._notices.send(message, self._owner, self._cancel)
        except Exception:
            # Its lease runs out, and it is tried again.
            log.exception("message %d to %s failed unexpectedly", message.id, message.address)
            if message.attempts + 1 >= _MOST_BUGS:
                self._store.settle_message(message, self._owner, "a bug keeps it from being sent")
        finally:
            with self._lock:
                self._busy.discard(message.address)
                self._lock.notify_all()
            self.on_free()
