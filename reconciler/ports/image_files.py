"""What is in images, without running them."""

from pathlib import Path
from typing import Protocol

from reconciler.domain.handing_on import HandedOn
from reconciler.domain.host import HostPath
from reconciler.ports.work import Work


class ImageFiles(Protocol):
    """Gives files out of images that were verified."""

    def take_out(self, work: Work, image: HandedOn, folder: HostPath, into: Path) -> None:
        """Write all that an image has in ``folder`` into the empty folder ``into``.

        It is exactly what was verified; links are as they are in the image, also those that lead
        out of it. Files that are needed meanwhile lie beside ``into``.

        Raises:
            NotHandedOn: the image is not to be had any more.
            SourceUnreachable: there is no way now to where it is.
            CommandFailed: it has no such folder, or one that is no good as a release.
            Interrupted: the work was stopped.
        """
        ...
