"""Releases of verified deployments, kept here for the environments that come after."""

import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from reconciler.domain.deployment import Release
from reconciler.domain.references import ProjectName, RepositoryPath
from reconciler.strategies.units.local_release import LocalRelease, content_of, sha256_of

#: As ``release_name`` makes them: a host that made one up must not lead us elsewhere.
_NAME = re.compile(r"[0-9a-f]{12}-[0-9a-f]{12}(?:-[0-9a-f]{8})?")


@dataclass(frozen=True, slots=True)
class KeptReleases:
    """Each lies in ``folder/PROJECT/kept/DEPLOYMENT/NAME``, sharing its files with what was built.

    Beside its files stands a hash of all of them. What is not whole has another name yet.
    """

    folder: Path

    def keep(self, project: ProjectName, deployment: str, built: LocalRelease) -> None:
        """Keep a release for a deployment of ``project``. Safe to repeat.

        Raises:
            OSError: it can't be written.
        """
        kept = self._of(project) / deployment / built.release.name
        if kept.exists():
            return
        new = kept.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True, mode=0o700)
        _link(built.folder, new / "release")
        (new / "content").write_text(content_of(new / "release"))
        os.sync()
        new.rename(kept)

    def take(
        self, project: ProjectName, release: Release, binary: RepositoryPath, into: Path
    ) -> bool:
        """Have ``into`` hold exactly what ``project`` verified; False if that is not kept here.

        Args:
            project: whose deployment was verified.
            release: what it ran.
            binary: where the program is in it.
            into: a folder that is not there yet.

        Raises:
            OSError: it can't be read or written.
        """
        if not _NAME.fullmatch(release.name):
            return False
        for kept in self._of(project).glob(f"*/{release.name}"):
            _link(kept / "release", into)
            if _is(release, binary, into, (kept / "content").read_text()):
                return True
            shutil.rmtree(into)
        return False

    def forget(self, project: ProjectName, deployment: str, kept: Collection[str]) -> None:
        """Drop what is kept for a deployment and those before it, ``kept`` ones left alone."""
        for own in self._of(project).glob("[0-9]*"):
            if own.name not in kept and int(own.name) <= int(deployment):
                shutil.rmtree(own, ignore_errors=True)

    def _of(self, project: ProjectName) -> Path:
        return self.folder / project / "kept"


def _link(source: Path, into: Path) -> None:
    shutil.copytree(source, into, symlinks=True, copy_function=os.link)


def _is(release: Release, binary: RepositoryPath, folder: Path, content: str) -> bool:
    """Tell whether every file in ``folder`` is as it was when the release was verified."""
    program, marked = folder / binary, release.name.split("-")[2:]
    return (
        content_of(folder) == content
        and all(content.startswith(digits) for digits in marked)
        and program.is_file()
        and f"sha256:{sha256_of(program)}" == release.digest.text
    )
