"""Which addresses this process connects to, as Python's own audit events tell."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: (who connects, the address), of each connection while somebody watches.
_watching: list[list[tuple[str, tuple[Any, ...]]]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        for seen in _watching:
            seen.append((event, arguments[1][:2]))


@contextmanager
def watched_connections() -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """Give the list of connections over IP that begin while the block runs."""
    if not getattr(sys, "_connections_are_watched", False):
        sys.addaudithook(_note)  # there is no way to take one away again
        sys._connections_are_watched = True  # type: ignore[attr-defined]
    seen: list[tuple[str, tuple[Any, ...]]] = []
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.remove(seen)
