"""Whether the configured registry answers; its images are not watched while it does not."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field

from reconciler.domain.failure import Failure
from reconciler.ports import ImageRegistry

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class RegistryProbe:
    """Remembers what the last probe of ``host`` gave."""

    registry: ImageRegistry
    host: str  #: empty: none is configured
    failure: Failure | None = field(default=None, init=False)

    def look(self) -> None:
        """Ask the registry's ``/v2/``, and say it once when the answer changes."""
        if not self.host:
            return
        before, self.failure = self.failure, self.registry.probe(self.host)
        if self.failure and not before:
            why = self.failure.message
            _log.warning(
                "registry %s: %s; its images are not watched until it answers", self.host, why
            )
        if before and not self.failure:
            _log.info("registry %s answers again", self.host)

    def unreachable(self) -> Collection[str]:
        """Return the hosts that are not asked about images now."""
        return {self.host} if self.failure else set()
