"""Which exact image each service runs, and which of them have to be pulled."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.domain.compose import BUILD_POLICY
from reconciler.domain.deployment import Built, Pin, PlannedService
from reconciler.domain.references import Digest, ImageReference, ServiceName
from reconciler.ports import Engine, ImageRegistry, Work
from reconciler.strategies.compose.rendering import RenderedService, Rendering

#: What decides how an image is pulled.
_PULL_KEYS = ("platform", "pull_policy")


@dataclass(slots=True)
class Pinning:
    """Resolves each followed image once; what a trigger saw wins over a new look."""

    work: Work
    registry: ImageRegistry
    #: Image as the files name it → its digest.
    followed: dict[str, Digest] = field(default_factory=dict)

    def plan(
        self, service: RenderedService, built: Mapping[ServiceName, Pin | Built]
    ) -> PlannedService:
        """Return what the service is to run.

        Args:
            service: the service.
            built: what was built so far; a service that is still to be built gets no pin yet.
        """
        exposed = service.name == self.work.project.expose_service
        pin = built.get(service.name)
        if service.build is None:
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
        image = service.image
        if image.digest:
            return Pin(replace(image, digest=None), image.digest)
        if service.is_stateful(self.work.project.stateful_services):
            return None
        name = str(image)
        if name not in self.followed:
            seen = self.work.revision.images.get(name)
            self.followed[name] = seen or self.registry.digest(image, self.work.project.name)
        return Pin(image, self.followed[name])


def missing_images(
    engine: Engine, rendering: Rendering, planned: Collection[PlannedService]
) -> dict[str, ImageReference]:
    """Return service → the exact image that the engine has yet to pull for it."""
    images = {service.name: service.image for service in rendering.services}
    to_build = {one.name for one in rendering.services if one.build is not None}
    exact = {
        service.name: _exact(service, images[service.name])
        for service in planned
        if isinstance(service.pin, Pin) or service.name not in to_build
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
