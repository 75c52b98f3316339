"""What an adopted project runs before its first deployment, which changes no image of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.domain.deployment import Pin
from reconciler.domain.errors import InvalidReference
from reconciler.domain.references import Digest, ImageReference, ServiceName
from reconciler.domain.stack import ComposeContainer
from reconciler.ports import Engine, Work
from reconciler.strategies.compose.rendering import Rendering


def run_by_hand(work: Work, engine: Engine) -> Sequence[ComposeContainer]:
    """Return what runs of an adopted project; nothing once we deployed it."""
    if work.may_take_over or not work.target.base:
        return ()
    found = engine.compose_containers()
    return [one for one in found if one.label("project") == work.project.name and one.is_running]


def pins_as_it_runs(work: Work, engine: Engine, rendering: Rendering) -> Mapping[ServiceName, Pin]:
    """Return what each service of an adopted project runs; nothing once we deployed it.

    So the first deployment proves what is known to work, and every later one has it to go back to.
    Left out is what runs another image than the file names, or one that no registry has; and what
    keeps data, which is never pinned. A deployment has one digest of an image: of services that run
    several it is the first one's, and it is also that of a service that does not run yet.
    """
    found = dict[ImageReference, Digest]()
    running = {one.service: one for one in run_by_hand(work, engine)}
    stateful = work.project.stateful_services
    followed = {
        one.name: one.image
        for one in rendering.services
        if not one.image.digest and not one.is_stateful(stateful)
    }
    for service, image in followed.items():
        container = running.get(service)
        if image in found or container is None or not _names(container, image):
            continue
        if digest := _digest_of(engine, container.image_id, image):
            found[image] = digest
    return {one: Pin(image, found[image]) for one, image in followed.items() if image in found}


def with_pins(work: Work, pins: Mapping[ServiceName, Pin]) -> Work:
    """Return ``work`` with the digests of ``pins`` in place of what their tags mean by now."""
    if not pins:
        return work
    digests = {str(pin.image): pin.digest for pin in pins.values()}
    work.log("note: the first deployment of what ran before runs the same images once more")
    images = {**work.revision.images, **digests}
    return replace(work, revision=replace(work.revision, images=images))


def _names(container: ComposeContainer, image: ImageReference) -> bool:
    """Tell whether it was made of what the file names; an id says that the tag moved since."""
    if container.image.startswith("sha256:"):
        return True
    try:
        return ImageReference.parse(container.image) == image
    except InvalidReference:
        return False


def _digest_of(engine: Engine, image_id: Digest, image: ImageReference) -> Digest | None:
    """Return the digest by which that very image was pulled under this name."""
    known = engine.find_image(str(image_id))
    for digest in sorted(known.digests, key=str) if known else ():
        if engine.has_image(replace(image, digest=digest)):
            return digest
    return None
