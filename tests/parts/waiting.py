"""Waiting for what will be true soon, instead of sleeping for as long as it usually takes."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def eventually(predicate: Callable[[], Answer], *, within: float = 10.0, what: str = "") -> Answer:
    """Return the first truthy answer of ``predicate``; what it raises is not caught.

    Args:
        predicate: asked again and again, quickly at first.
        within: seconds after which the wait is given up.
        what: names in the error what was waited for.

    Raises:
        AssertionError: it was not true in time; the message shows the last answer.
    """
    deadline = time.monotonic() + within
    pause = 0.005
    while not (answer := predicate()):
        if time.monotonic() > deadline:
            name = what or getattr(predicate, "__qualname__", repr(predicate))
            raise AssertionError(f"not within {within:g} s: {name} (last answer: {answer!r})")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return answer
