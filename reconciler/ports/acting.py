"""In whose name something is done, from where the request comes in to where it is recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts; the daemon itself where nobody is named."""

    actor: str = "reconciler"
    remote: str = ""  #: address or peer that the request came from
    request: str = ""  #: the request's id


_acting: ContextVar[Acting] = ContextVar("reconciler_acting")
_DAEMON = Acting()


def who_acts() -> Acting:
    """Return in whose name this thread or task works."""
    return _acting.get(_DAEMON)


@contextmanager
def acting_for(who: Acting) -> Iterator[None]:
    """Work in the name of ``who`` in the block."""
    token = _acting.set(who)
    try:
        yield
    finally:
        _acting.reset(token)
