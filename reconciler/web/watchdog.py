"""Telling the service manager, for as long as it is so, that the daemon does its work."""

import asyncio
from collections.abc import Callable, Sequence

from anyio import CapacityLimiter, to_thread

from reconciler.adapters.service_manager import ServiceManager

#: Messages within the manager's patience: one may come late, one get lost.
_WITHIN_PATIENCE = 3


async def report_health(
    manager: ServiceManager, status: str, find_problems: Callable[[], Sequence[str]]
) -> None:
    """Report until cancelled, while ``find_problems`` finds none; at once if there is no watchdog.

    It runs in the loop that answers requests, so a loop that hangs is silent, too.
    """
    if manager.patience is None:
        return
    # Not among the threads of the requests: those may all be at work without anything being wrong.
    thread = CapacityLimiter(1)

    def report() -> None:
        if problems := find_problems():
            manager.troubled(f"failing: {'; '.join(problems)}")
        else:
            manager.alive(status)

    while True:
        await to_thread.run_sync(report, limiter=thread, abandon_on_cancel=True)
        await asyncio.sleep(manager.patience.total_seconds() / _WITHIN_PATIENCE)
