"""Images on their way from one engine to another one, through this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.domain.deployment import Built, Pin
from reconciler.domain.host import LOCAL
from reconciler.domain.references import Digest
from reconciler.ports import Engine, Machines
from reconciler.strategies.compose.building.images import ImageCli
from reconciler.strategies.compose.cli import ComposeOptions


@dataclass(frozen=True, slots=True)
class ImageMover:
    """Moves images for one deployment."""

    machines: Machines
    options: ComposeOptions
    folder: Path  #: of the deployment's own, for archives
    cancel: threading.Event

    def move(self, image: Digest, origin: Engine, to: Engine) -> None:
        """Have ``to`` take an image of ``origin``, under no name."""
        with self.saved(image, origin) as archive:
            self.images_of(to).load(archive)

    @contextmanager
    def saved(self, image: Digest, origin: Engine) -> Iterator[Path]:
        """Give an image of ``origin`` as an archive until the block ends."""
        archive = self.folder / f"{image.text.partition(':')[2]}.tar"
        try:
            self.images_of(origin).save(image, archive)
            yield archive
        finally:
            archive.unlink(missing_ok=True)

    def images_of(self, engine: Engine) -> ImageCli:
        """Return Docker's own command line for the images of ``engine``."""
        return ImageCli(
            runner=self.machines.get(LOCAL),
            program=self.options.program[0],
            address=engine.address(),
            cancel=self.cancel,
            timeout=self.options.pull_timeout,
        )


def exact_name(pin: Pin | Built) -> str:
    """Return the name by which an engine finds that very image, and no other."""
    return pin.digest.text if isinstance(pin, Built) else f"{pin.image.name}@{pin.digest}"
