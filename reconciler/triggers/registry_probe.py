"""Whether the configured registry answers; its images are not watched while it does not."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from reconciler.domain.failure import Failure
from reconciler.ports import ImageRegistry

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class RegistryProbe:
    """Remembers what the last probe of ``host`` gave."""

    registry: ImageRegistry
    host: str  #: empty: none is configured
    #: Told what the first probe gave, and what one gave that differs from the one before.
    on_change: Callable[[Failure | None], object] = lambda _: None
    failure: Failure | None = field(default=None, init=False)
    looks: int = field(default=0, init=False)
    failure_at_start: Failure | None = field(default=None, init=False)  #: of the first look
    #: Whether it was told of a failure; None: of nothing yet, or that could not be recorded.
    _told: bool | None = field(default=None, init=False)

    def look(self) -> None:
        """Ask the registry's ``/v2/``, and say it once when the answer changes."""
        if not self.host:
            return
        before, self.failure = self.failure, self.registry.probe(self.host)
        if not self.looks:
            self.failure_at_start = self.failure
        self.looks += 1
        if self.failure and not before:
            why = self.failure.message
            _log.warning(
                "registry %s: %s; its images are not watched until it answers", self.host, why
            )
        if before and not self.failure:
            _log.info("registry %s answers again", self.host)
        if self._told is not bool(self.failure):
            self._told = None
            self.on_change(self.failure)
            self._told = bool(self.failure)

    def unreachable(self) -> Collection[str]:
        """Return the hosts that are not asked about images now."""
        return {self.host} if self.failure else set()
