"""Which exact image each service runs, and which of them have to be pulled."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.domain.compose import BUILD_POLICY
from reconciler.domain.deployment import Built, Pin, PlannedService
from reconciler.domain.followed import FollowedImages
from reconciler.domain.foreign_labels import read_foreign_labels
from reconciler.domain.references import Digest, ImageReference, ServiceName
from reconciler.ports import Engine, ImageRegistry, Work
from reconciler.strategies.compose.rendering import RenderedService, Rendering

#: What decides how an image is pulled.
_PULL_KEYS = ("platform", "pull_policy")


@dataclass(slots=True)
class Pinning:
    """Pins each service to the image that it is to run."""

    work: Work
    registry: ImageRegistry
    _images: FollowedImages = field(init=False)
    _kept: dict[str, Digest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with what a trigger saw."""
        name = self.work.project.name
        self._images = FollowedImages(
            self.work.revision.images, lambda image: self.registry.digest(image, name)
        )

    @property
    def followed(self) -> Mapping[str, Digest]:
        """Image as the files name it → its digest, of those that were pinned so far.

        Where one service follows an image and another keeps its own, it is the follower's.
        """
        return self._kept | self._images.digests

    def plan(
        self, service: RenderedService, known: Mapping[ServiceName, Pin | Built]
    ) -> PlannedService:
        """Return what the service is to run.

        Args:
            service: the service.
            known: what was built so far, or handed on; a service that is still to be built gets
                no pin yet.
        """
        exposed = service.name == self.work.project.expose_service
        pin = known.get(service.name)
        if pin is None and service.build is None:
            pin = self._find_pin(service)
            shown = pin or f"{service.image}, not pinned: it is stateful"
            self.work.log(f"{service.name}: {shown}")
        return PlannedService(
            service.name,
            pin,
            service.replicas,
            may_finish=service.finishes and not exposed,
            stateful=service.is_stateful(self.work.project.stateful_services),
        )

    def _find_pin(self, service: RenderedService) -> Pin | None:
        stateful = service.is_stateful(self.work.project.stateful_services)
        if stateful and not service.image.digest:
            return None
        if kept := pin_to_keep(service, self.work):
            self._kept[str(kept.image)] = kept.digest
            reason = read_foreign_labels(service.labels).reason
            self.work.log(f"{service.name} keeps what it runs: {reason}")
            return kept
        return self._images.pin(service.image)


def pin_to_keep(service: RenderedService, work: Work) -> Pin | None:
    """Return what the service runs already, where a label says that it is to be left alone.

    None: it is followed, or new, or the files name another image or tag for it by now.
    """
    if read_foreign_labels(service.labels).follows:
        return None
    ready = (one for one in (work.earlier, work.elsewhere) if one)
    pins = (each.pin for one in ready for each in one.services if each.name == service.name)
    return next((pin for pin in pins if isinstance(pin, Pin) and pin.image == service.image), None)


def missing_images(
    engine: Engine, rendering: Rendering, planned: Collection[PlannedService]
) -> dict[str, ImageReference]:
    """Return service → the exact image that the engine has yet to pull for it."""
    images = {service.name: service.image for service in rendering.services}
    to_build = {one.name for one in rendering.services if one.build is not None}
    exact = {
        service.name: _exact(service, images[service.name])
        for service in planned
        if isinstance(service.pin, Pin) or (service.pin is None and service.name not in to_build)
    }
    return {name: image for name, image in exact.items() if not engine.has_image(image)}


def pull_text(rendering: Rendering, missing: dict[str, ImageReference]) -> str:
    """Return a compose file that is good for pulling ``missing``, and for nothing else."""
    bodies = rendering.document["services"]
    services = {
        name: {"image": str(image)} | _how_to_pull(bodies[name]) for name, image in missing.items()
    }
    return json.dumps({"services": services})


def _how_to_pull(body: Mapping[str, Any]) -> dict[str, Any]:
    said = {key: body[key] for key in _PULL_KEYS if key in body}
    if said.get("pull_policy") == BUILD_POLICY:  # it was built and pushed elsewhere
        del said["pull_policy"]
    return said


def _exact(service: PlannedService, image: ImageReference) -> ImageReference:
    if not isinstance(service.pin, Pin):
        return image
    return replace(service.pin.image, digest=service.pin.digest)
