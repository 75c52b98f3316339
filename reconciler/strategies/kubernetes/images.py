"""Which exact image each container of a target gets."""

from dataclasses import replace

from reconciler.domain.deployment import Built, Pin
from reconciler.domain.errors import NotHandedOn, PreconditionFailed
from reconciler.domain.followed import FollowedImages
from reconciler.domain.handing_on import Handover
from reconciler.domain.references import ImageReference
from reconciler.domain.revision import Revision
from reconciler.ports import ImageRegistry, Work

_SHOWN = 10  #: images, of those that were handed on


def pinned_name(pin: Pin) -> str:
    """Return what a pod template names the image: its repository, at exactly its digest."""
    return f"{pin.image.name}@{pin.digest}"


def pins_of(work: Work, registry: ImageRegistry) -> tuple[dict[str, Pin], Revision]:
    """Return image as the target names it → the exact one; and the revision with all of them.

    What is promoted is what was handed on, and nothing is looked up for it.

    Raises:
        NotHandedOn: an image is not among what was.
        PreconditionFailed: an image is none that the project follows.
        SourceError: an image that is followed can't be looked up.
    """
    names = [name for one in work.target.workloads for name in one.containers.values()]
    if work.project.promoted_from is not None:
        return {name: _find_handed_on(name, work) for name in names}, work.revision
    project = work.project.name
    followed = FollowedImages(work.revision.images, lambda image: registry.digest(image, project))
    pins = {name: followed.pin(_own(name, work)) for name in names}
    return pins, replace(work.revision, images=followed.digests)


def _own(name: str, work: Work) -> ImageReference:
    """Return the image that the project follows, if ``name`` is that."""
    image = work.project.image
    if image is None or name != str(image):
        raise PreconditionFailed(
            f"{work.target.host}: a container is to get {name}, and {work.project.name} follows "
            f"{image or 'no image'}",
            image=name,
        )
    return image


def _find_handed_on(name: str, work: Work) -> Pin:
    before = work.project.promoted_from
    found = None
    if work.handed_on is not None:
        found = Handover(work.handed_on, work.revision).find(name)
    if found is None:
        there = ", ".join(sorted(work.revision.images)[:_SHOWN]) or "no image"
        raise NotHandedOn(
            f"{before} handed on nothing that is called {name}: it verified {there}",
            "name one of these, or the service that it is for, in the target's workloads",
            image=name,
        )
    if isinstance(found.pin, Pin):
        return found.pin
    what = f"what {before} handed on as {name} is"
    if isinstance(found.pin, Built):
        raise NotHandedOn(
            f"{what} an image on its host, and in no registry from which a cluster could pull it",
            f"`reconciler project set {before} --push-images` has what it builds pushed",
            image=name,
        )
    raise NotHandedOn(f"{what} the release of a unit", "name an image that it verified", image=name)
