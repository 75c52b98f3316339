"""Compose files that lie in a folder on a host: read there, and recorded in a repository here.

So what is deployed is a commit, as with every other source: planned, compared and gone back to.
What compose does not read as a compose file stays in the folder and is not recorded: data, and
environment files, which mostly hold secrets.
"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.domain.compose import ComposeFile, ReachKind
from reconciler.domain.errors import (
    InvalidComposeFile,
    PreconditionFailed,
    RevisionNotFound,
    SourceUnreachable,
    TargetUnreachable,
)
from reconciler.domain.project import Project
from reconciler.domain.references import RepositoryPath, parse_repository_path
from reconciler.domain.target import Target
from reconciler.ports import BaseFiles, Clock, ComposeReader, ProjectStore, Repositories

_MOST_FILES = 50


@dataclass(frozen=True, slots=True)
class Folders:
    """Reads folders, and keeps the repositories that are made of them. Safe in any thread."""

    repositories: Repositories
    files: BaseFiles
    reader: ComposeReader
    clock: Clock
    store: ProjectStore

    def bring(self, project: Project) -> None:
        """Record what changed in the project's folder; nothing where it follows none by now.

        Raises:
            SourceError: the folder can't be read, or lacks a compose file.
            InvalidComposeFile: what is there can't be read as one.
        """
        target = project.followed_folder
        if target is None:
            return
        files = self.read(target, project.compose_path)
        # That takes as long as the host does: by now it may be the repository of who pushes there.
        followers = self.store.list_followers(project.name)
        if target in [follower.followed_folder for follower in followers]:
            self.record(project, target, files)

    def record(
        self, project: Project, target: Target, files: Mapping[RepositoryPath, bytes]
    ) -> None:
        """Make the project's branch hold what was read in a target's base."""
        assert project.source is not None  # noqa: S101  it follows a folder
        self.repositories.record(
            project.name,
            project.source.branch,
            files,
            f"Take over {', '.join(files)} from {target.base} on {target.host}",
            self.clock.now(),
        )

    def read(self, target: Target, compose_path: RepositoryPath) -> Mapping[RepositoryPath, bytes]:
        """Return the compose files of a target's base, with all that they include or extend.

        Raises:
            SourceError: the folder can't be read, or lacks one.
            InvalidComposeFile: what is there can't be read as one.
        """
        found: dict[RepositoryPath, bytes] = {}
        wanted = dict.fromkeys((compose_path, *target.compose_files))
        while missing := [path for path in wanted if path not in found]:
            if len(wanted) > _MOST_FILES:
                raise InvalidComposeFile(f"the compose file reaches more than {_MOST_FILES} files")
            found |= self._read(target, missing)
            for path in missing:
                # What another main file says is resolved against the first one's folder, too.
                written_in = compose_path if path in target.compose_files else path
                reached = self._reached(posixpath.dirname(written_in), self._parse(path, found))
                wanted |= dict.fromkeys(reached)
        return found

    def _read(self, target: Target, paths: list[RepositoryPath]) -> Mapping[RepositoryPath, bytes]:
        try:
            read = self.files.read(target, paths)
        except TargetUnreachable as error:
            raise SourceUnreachable(error.message, **error.evidence) from error
        except PreconditionFailed as error:
            raise RevisionNotFound(error.message, **error.evidence) from error
        for path in paths:
            if path not in read:
                raise RevisionNotFound(f"{path} is not in {target.base} on {target.host}")
        return {path: read[path] for path in paths}

    def _parse(self, path: RepositoryPath, found: Mapping[RepositoryPath, bytes]) -> ComposeFile:
        try:
            return self.reader.read(found[path])
        except InvalidComposeFile as error:
            raise InvalidComposeFile(f"{path}: {error.message}") from None

    def _reached(self, folder: str, file: ComposeFile) -> Iterator[RepositoryPath]:
        """Yield the compose files that one names; what can't be followed is refused later."""
        for reach in file.reaches:
            plain = "$" not in reach.path and "://" not in reach.path
            if reach.kind is not ReachKind.COMPOSE or not plain or reach.path.startswith("/"):
                continue
            joined = posixpath.normpath(posixpath.join(folder, reach.path))
            if not joined.startswith(".."):
                yield parse_repository_path(joined, reach.where)
