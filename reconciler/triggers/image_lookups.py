"""One look-up of an image, as the image watch and registry events make it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.domain.errors import ReconcilerError
from reconciler.domain.failure import Failure
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.domain.state import WatchedImage
from reconciler.ports import ImageRegistry, Store
from reconciler.triggers.git_poll import OnBug


@dataclass(frozen=True, slots=True)
class Lookup:
    """An image, and the project whose own registry credentials it needs, if any."""

    image: ImageReference
    owner: ProjectName | None = None

    def ask(self, registry: ImageRegistry, on_bug: OnBug) -> Digest | Failure | None:
        """Return what the registry says; None if asking failed in an unexpected way."""
        try:
            return registry.digest(self.image, self.owner)
        except ReconcilerError as error:
            return Failure.of(error)
        except Exception as bug:  # noqa: BLE001  one image's bug must not stop the others
            on_bug(f"looking up {self.image}", bug)
            return None


#: Tells how an image of a project is looked up.
LookupFor = Callable[[ProjectName, WatchedImage], Lookup]


def lookups_for(store: Store) -> LookupFor:
    """Return what tells how images are looked up; it asks once for each project and registry."""
    own: dict[tuple[ProjectName, str], bool] = {}

    def lookup_for(project: ProjectName, image: WatchedImage) -> Lookup:
        reference = ImageReference.parse(image.image)
        key = project, reference.registry
        if key not in own:
            own[key] = store.has_registry_credentials(reference.registry, project)
        return Lookup(reference, project if own[key] else None)

    return lookup_for


def looked(image: WatchedImage, result: Digest | Failure | None, now: datetime) -> WatchedImage:
    """Return ``image`` after a look-up that gave ``result``; None: it gave nothing."""
    match result:
        case Digest() as digest:
            since = image.first_seen_at if digest == image.digest else now
            return replace(image, digest=digest, first_seen_at=since, looked_at=now, error=None)
        case Failure() as failure:
            return replace(image, looked_at=now, error=failure)
    return image


def first_seen(images: Iterable[WatchedImage]) -> dict[str, datetime]:
    """Return when each image's digest was seen first, as ``looked`` has it."""
    return {one.image: one.first_seen_at for one in images if one.first_seen_at}
