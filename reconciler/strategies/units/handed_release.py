"""The release of a promotion: what the environment before verified, and never built anew.

It is the very release that was built there, or a folder of an image that was verified there.
"""

from dataclasses import dataclass
from pathlib import Path

from reconciler.domain.deployment import Built, Pin, Release
from reconciler.domain.errors import CommandFailed, NotHandedOn
from reconciler.domain.handing_on import HandedOn, Handover
from reconciler.domain.references import Digest, ProjectName, RepositoryPath
from reconciler.ports import ImageFiles, Work
from reconciler.strategies.units.kept_releases import KeptReleases
from reconciler.strategies.units.local_release import LocalRelease, assemble


def image_of(work: Work) -> HandedOn | None:
    """Return the image that the release is taken out of; None: it is one that is, or was, built.

    Raises:
        NotHandedOn: an image is declared, and none of that name was verified.
    """
    name, handover = work.target.image, work.find_handover()
    if handover is None or not name:
        return None
    found = handover.find(name)
    if found is None or not isinstance(found.pin, Pin | Built):
        raise NotHandedOn(
            f"{_origin(work)} did not hand on the image {name}",
            "name one of its images in full, or the service that it is built for",
            image=name,
        )
    return found


def digest_of_image(work: Work) -> Digest | None:
    """Return the digest of that image. Raises ``NotHandedOn``."""
    found = image_of(work)
    return found.pin.digest if found else None


@dataclass(frozen=True, slots=True)
class HandedReleases:
    """Gives promotions their releases."""

    kept: KeptReleases
    images: ImageFiles

    def obtain(self, work: Work, handover: Handover, own: Path) -> LocalRelease:
        """Return what was handed on, in a folder below ``own``.

        Raises:
            NotHandedOn: it was not, or is not to be had any more.
            ReconcilerError: it can't be taken out of its image.
        """
        if image := image_of(work):
            return self._take_out(work, image, own)
        return self._take_kept(work, handover, own / "release")

    def _take_out(self, work: Work, image: HandedOn, own: Path) -> LocalRelease:
        files, into = own / "source", own / "release"
        files.mkdir()
        into.mkdir()
        folder = work.target.image_folder
        work.log(f"taking {folder} out of {image.pin}, as {_origin(work)} has it")
        self.images.take_out(work, image, folder, files)
        if not (files / _binary(work)).is_file():
            raise CommandFailed(f"{folder} of {image.pin} has no file {_binary(work)}")
        marker = work.revision.commit or image.pin.digest
        return assemble(files, _binary(work), work.target.files, into, marker)

    def _take_kept(self, work: Work, handover: Handover, into: Path) -> LocalRelease:
        origin, release = _origin(work), self._release(work, handover)
        # What this environment verified itself it keeps for longer than the one before, perhaps.
        kept_by = (origin, work.project.name)
        if not any(self.kept.take(one, release, _binary(work), into) for one in kept_by):
            raise NotHandedOn(
                f"{release}, which {origin} verified, is not kept here any more, or not unchanged",
                f"`reconciler deploy {origin} --force` builds it anew, to be promoted; what is "
                "built on its host (systemd-remote) is not kept here at all",
                release=release.name,
            )
        for path in work.target.files:
            if not (into / path).exists():
                raise NotHandedOn(
                    f"{release}, which {origin} verified, has no {path}",
                    f"name it among the files of {origin}, too, or leave it out here",
                    release=release.name,
                )
        work.log(f"{release}, as {origin} built and verified it")
        return LocalRelease(release, into)

    def _release(self, work: Work, handover: Handover) -> Release:
        origin = _origin(work)
        found = handover.find_of_service(origin)
        if found is None or not isinstance(found.pin, Release):
            raise NotHandedOn(
                f"{origin} hands on images, and the target on {work.target.host} names none",
                "declare `image` and `image_folder`: the release is that folder of that image",
            )
        return found.pin


def _origin(work: Work) -> ProjectName:
    return work.project.promoted_from or ProjectName("")


def _binary(work: Work) -> RepositoryPath:
    binary = work.target.binary
    assert binary is not None  # noqa: S101  for the type checker: the site has one
    return binary
