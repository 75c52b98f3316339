"""Which of what an environment verified belongs to what the next one declares."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.domain.deployment import Built, Pin, PreparedRevision, Release
from reconciler.domain.host import HostName
from reconciler.domain.references import Digest
from reconciler.domain.revision import Revision, is_image_name

Exact = Pin | Built | Release


@dataclass(frozen=True, slots=True)
class HandedOn:
    """One image, or one release, that was verified."""

    pin: Exact
    hosts: tuple[HostName, ...]  #: that have it for as long as it is kept there


@dataclass(frozen=True, slots=True)
class Handover:
    """All that one environment hands on to the next one."""

    prepared: PreparedRevision  #: as it was verified
    revision: Revision  #: what is promoted; see ``handed_on``

    def find_of_service(self, name: str) -> HandedOn | None:
        """Return what the service of that name was verified with."""
        return self._find([(host, pin) for host, own, pin in self._pins() if own == name])

    def find_of_image(self, name: str) -> HandedOn | None:
        """Return the image that was verified under that name and tag."""
        found = [
            (host, pin)
            for host, _, pin in self._pins()
            if isinstance(pin, Pin) and str(pin.image) == name
        ]
        return self._find(found)

    def find(self, name: str) -> HandedOn | None:
        """Return what a declaration means by ``name``: an image in full, or a service."""
        return self.find_of_image(name) if is_image_name(name) else self.find_of_service(name)

    def _pins(self) -> Iterator[tuple[HostName, str, Exact]]:
        for target in self.prepared.targets:
            for service in target.services:
                if service.pin is not None:
                    yield target.host, service.name, service.pin

    def _find(self, found: Sequence[tuple[HostName, Exact]]) -> HandedOn | None:
        """Return that one of ``found`` which is promoted.

        Hosts differ where each was built for on its own; approvals are of one of those.
        """
        digests: set[Digest] = set(self.revision.images.values())
        pin = next((pin for _, pin in found if pin.digest in digests), None)
        if pin is None:
            return None
        return HandedOn(pin, tuple(host for host, own in found if own.digest == pin.digest))
