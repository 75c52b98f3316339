"""Which exact image each followed one is, resolved once."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from reconciler.domain.deployment import Pin
from reconciler.domain.references import Digest, ImageReference
from reconciler.domain.revision import ImageDigests


@dataclass(slots=True)
class FollowedImages:
    """Resolves each followed image once; what a trigger saw wins over a new look."""

    seen: ImageDigests  #: by what asked for it
    look_up: Callable[[ImageReference], Digest]
    #: Image as the declaration names it → its digest.
    digests: dict[str, Digest] = field(default_factory=dict)

    def pin(self, image: ImageReference) -> Pin:
        """Return what ``image`` is now; one that names its digest is just that, and not followed.

        Raises:
            SourceError: as ``look_up``.
        """
        if image.digest:
            return Pin(replace(image, digest=None), image.digest)
        name = str(image)
        if name not in self.digests:
            self.digests[name] = self.seen.get(name) or self.look_up(image)
        return Pin(image, self.digests[name])
