"""Watches that ring: each says that something may have changed, and never what.

What is, is asked for by whoever is woken. So a watch that is cut off, too old (410 Gone) or
garbled costs one more look, and nothing else.

Source: "Kubernetes API Concepts": watches, bookmarks, 410 Gone.
"""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import urllib3

from reconciler.adapters.kubernetes.connection import Connection
from reconciler.domain.errors import ReconcilerError

#: A watch ends after so long, and is asked for anew.
_ONE_WATCH = timedelta(minutes=4)
_SLACK = timedelta(seconds=15)
_LONGEST_LINE = 4 << 20
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_MOST_FAILURES = 10  #: that are counted
#: Refused, or not to be had: asking again would only be refused again.
_NEVER = frozenset({403, 404, 405, 501})
_TROUBLE = (
    ReconcilerError,
    urllib3.exceptions.HTTPError,
    OSError,
    *(ValueError, LookupError, TypeError, AttributeError, RecursionError),  # of what is garbled
)


@dataclass
class Bells:
    """Some watches that run in threads of their own until the block ends."""

    connection: Connection
    paths: Iterable[str]  #: lists, each with its selector
    rung: threading.Event = field(default_factory=threading.Event)
    _bells: list["_Bell"] = field(default_factory=list)

    def __enter__(self) -> Self:
        for path in self.paths:
            bell = _Bell(self.connection, path, self.rung)
            self._bells.append(bell)
            threading.Thread(target=bell.run, name="cluster watch", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for bell in self._bells:
            bell.stop()

    @property
    def all_watch(self) -> bool:
        """Whether each of them may; where one may not, only looking now and then helps."""
        return not any(bell.refused for bell in self._bells)


class _Bell:
    """One watch."""

    def __init__(self, connection: Connection, path: str, rung: threading.Event) -> None:
        self._connection = connection
        self._path = path
        self._rung = rung
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._open: urllib3.BaseHTTPResponse | None = None
        self._version = ""
        self._failures = 0
        self.refused = False

    def run(self) -> None:
        while not self._stopped.is_set() and not self.refused:
            begun = time.monotonic()
            with suppress(*_TROUBLE):
                self._watch()
            # Whatever ended it, something may have been missed.
            self._rung.set()
            # Nor is one that ends well, and at once, begun anew without end.
            lasted = time.monotonic() - begun >= _LONGEST_PAUSE
            self._failures = 1 if lasted else min(self._failures + 1, _MOST_FAILURES)
            self._stopped.wait(min(_FIRST_PAUSE * 2 ** (self._failures - 1), _LONGEST_PAUSE))

    def stop(self) -> None:
        with self._lock:
            self._stopped.set()
            if self._open is not None:
                with suppress(OSError, ValueError, RuntimeError):
                    self._open.shutdown()

    def _watch(self) -> None:
        response = self._connection.open(self._target(), _ONE_WATCH + _SLACK)
        try:
            with self._lock:
                if self._stopped.is_set():
                    return
                self._open = response
            if response.status != HTTPStatus.OK:
                self._take_refusal(response.status)
                return
            for line in _lines(response):
                self._take(json.loads(line))
                if self._stopped.is_set():
                    return
        finally:
            with self._lock:
                self._open = None
            response.close()

    def _target(self) -> str:
        asked = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(round(_ONE_WATCH.total_seconds())),
        }
        if self._version:
            asked["resourceVersion"] = self._version
        return f"{self._path}&{urlencode(asked)}"

    def _take(self, event: Any) -> None:
        kind, said = event["type"], event["object"]
        if kind == "ERROR":
            self._take_refusal(int(said.get("code") or 500))
            return
        self._version = str(said["metadata"]["resourceVersion"])
        if kind != "BOOKMARK":
            self._rung.set()

    def _take_refusal(self, status: int) -> None:
        self._version = ""  # 410 Gone: what there is now comes first
        self.refused = status in _NEVER


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Yield the lines as they come."""
    rest = bytearray()
    while chunk := response.read1(64 << 10, decode_content=False):
        # The end of a line is looked for in what is new alone: it may come byte by byte.
        *whole, last = chunk.split(b"\n")
        for end in whole:
            line, rest = bytes(rest + end), bytearray()
            if line.strip():
                yield line
        rest += last
        if len(rest) > _LONGEST_LINE:
            raise ValueError("a line of a watch has no end")
