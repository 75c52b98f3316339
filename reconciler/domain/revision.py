"""One exact thing to run."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from reconciler.domain.references import CommitSha, Digest

#: Hex sha256 that two equal revisions share, across processes and restarts.
Fingerprint = NewType("Fingerprint", str)

#: Image as the followed tag names it (``registry/repository:tag``) → digest behind it.
ImageDigests = Mapping[str, Digest]


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit and one digest per followed image, of one generation of the declaration.

    What a trigger asks for may be partial: a push knows the commit only; its digests are
    resolved once, while the deployment is prepared.
    """

    commit: CommitSha | None  #: None for a project without a repository
    images: ImageDigests = field(default_factory=dict)
    generation: int = 1  #: of the project's declaration; grows with each edit of what would run

    @property
    def fingerprint(self) -> Fingerprint:
        """The revision's identity."""
        canonical = json.dumps(
            [
                self.commit.text if self.commit else None,
                sorted((image, digest.text) for image, digest in self.images.items()),
                self.generation,
            ]
        )
        return Fingerprint(hashlib.sha256(canonical.encode()).hexdigest())

    def satisfies(self, wanted: "Revision") -> bool:
        """Tell whether running this is running all that ``wanted`` names."""
        return (
            self.commit == wanted.commit
            and self.generation == wanted.generation
            and all(self.images.get(image) == digest for image, digest in wanted.images.items())
        )

    def __str__(self) -> str:
        count = len(self.images)
        images = f"{count} image{'' if count == 1 else 's'}"
        if self.commit is None:
            return images
        return f"{self.commit.short} + {images}" if count else self.commit.short


@dataclass(frozen=True, slots=True)
class ImageChange:
    """One image whose digest differs; None is 'not there'."""

    image: str
    before: Digest | None
    after: Digest | None


def changes_between(before: ImageDigests, after: ImageDigests) -> tuple[ImageChange, ...]:
    """Return what differs, by image name."""
    return tuple(
        ImageChange(image, before.get(image), after.get(image))
        for image in sorted({*before, *after})
        if before.get(image) != after.get(image)
    )


def is_image_name(name: str) -> bool:
    """Tell whether ``name``, of a revision, is an image's in full, and not that of a service."""
    return bool({"/", ":"} & set(name))
