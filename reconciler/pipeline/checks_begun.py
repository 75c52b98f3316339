"""Checks of machines in the background: each on its own, and never two of one at once."""

import logging
import threading
from collections.abc import Callable
from functools import partial

from reconciler.domain.host import HostName

log = logging.getLogger(__name__)

#: Runs a task of a machine apart from those of others; ``suspect``: it failed last time.
Submit = Callable[[HostName, Callable[[], object], bool], object]


class ChecksBegun:
    """Begins them, and knows which go on. Threads may share it."""

    def __init__(self, submit: Submit, check: Callable[[HostName], object]) -> None:
        self._submit = submit
        self._check = check
        self._lock = threading.Lock()
        self._going_on: set[HostName] = set()

    def begin(self, name: HostName, *, suspect: bool) -> None:
        """Begin one, unless the last one of that name goes on."""
        with self._lock:
            if name in self._going_on:
                return
            self._going_on.add(name)
        self._submit(name, partial(self._carry_out, name), suspect)

    def _carry_out(self, name: HostName) -> None:
        try:
            self._check(name)
        except Exception:
            log.exception("checking %s failed unexpectedly", name)
        finally:
            with self._lock:
                self._going_on.discard(name)
