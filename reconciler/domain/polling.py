"""When a source is looked at next."""

from datetime import timedelta

#: A poll is spread by this share of its interval either way, so that a restart sends no herd.
JITTER = 0.1
#: Backoff doubles from the interval up to here.
LONGEST_BACKOFF = timedelta(minutes=15)


def time_until_next_look(interval: timedelta, failures: int, spread: float) -> timedelta:
    """Return how long to wait after a look.

    Args:
        interval: between looks while all is well.
        failures: looks that failed in a row, this one included.
        spread: a random number from 0 to 1, given so that the decision stays pure.
    """
    longest = max(interval, LONGEST_BACKOFF)
    wait = min(interval * (1 << min(failures, 16)), longest)
    return wait * (1 - JITTER + 2 * JITTER * spread)


def time_until_next_attempt(attempt: int, spread: float) -> timedelta:
    """Return how long a deployment that failed for a passing reason waits: 10 s, doubled."""
    wait = min(timedelta(seconds=10) * (1 << min(attempt - 1, 16)), LONGEST_BACKOFF)
    return wait * (1 - JITTER + 2 * JITTER * spread)
