"""Spans of time as people write them: ``30m``, ``12h``, ``90d``."""

import re

from reconciler.cli import show
from reconciler.cli.failure import CommandFailed, ExitStatus

_SPAN = re.compile(r"([1-9][0-9]{0,8})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_span(text: str, option: str, like: str, *, none: str = "") -> int:
    """Return a span in seconds.

    Args:
        text: as it was given.
        option: what it was given for, for the error.
        like: examples of what suits that option.
        none: what says that there is to be none, where that may be said.

    Raises:
        CommandFailed: it is no span.
    """
    if none and text == none:
        return 0
    match = _SPAN.fullmatch(text)
    if match is None:
        wanted = f"{like}, or {none}" if none else like
        problem = f"{option} {show.word(text) or 'with nothing'} is not a span like {wanted}"
        raise CommandFailed(problem, status=ExitStatus.USAGE)
    return int(match[1]) * _SECONDS[match[2]]
