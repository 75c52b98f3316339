"""Numbers that an operator writes, each within its limits."""

from datetime import timedelta

from reconciler.domain.errors import InvalidInput


def parse_whole(value: object, field: str, most: int) -> int:
    """Return ``value`` as a whole number from 1 to ``most``. Raises ``InvalidInput``."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput(field, shown(value), f"must be a whole number from 1 to {most}")
    return value


def parse_port(value: object, field: str = "port") -> int:
    """Return ``value`` as a port. Raises ``InvalidInput``."""
    return parse_whole(value, field, 65535)


def parse_seconds(value: object, field: str, least: float, most: float) -> timedelta:
    """Return ``value`` seconds, from ``least`` to ``most``. Raises ``InvalidInput``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        problem = f"must be a number of seconds from {least:g} to {most:g}"
        raise InvalidInput(field, shown(value), problem)
    return timedelta(seconds=value)


def seconds_of(duration: timedelta) -> int | float:
    """Return ``duration`` as JSON has it, whole where it is."""
    seconds = duration.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def shown(value: object) -> object:
    """Return what of ``value`` a message can show; None for lists, objects and the like."""
    return value if isinstance(value, str | int | float) else None
