"""Which images a project follows, read from its compose file once per commit."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from reconciler.domain.compose import ComposeService, FollowedImage, followed_images
from reconciler.domain.manifest import (
    MANIFEST_PATH,
    decode_manifest,
    overlaid,
    parse_manifest,
)
from reconciler.domain.project import ExternalSource, HostedSource, Project, ProjectKind
from reconciler.domain.references import CommitSha, RepositoryPath, parse_repository_path
from reconciler.domain.state import WatchedImage
from reconciler.ports import ComposeReader, GitRemote, Repositories, Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Composition:
    """What a project's compose file is made of at one commit."""

    services: tuple[ComposeService, ...]
    images: tuple[FollowedImage, ...]


@dataclass(frozen=True, slots=True)
class ComposeImages:
    """Keeps each project's list of images as its compose file has it."""

    store: Store
    remote: GitRemote
    repositories: Repositories
    reader: ComposeReader

    def refresh(self, project: Project, commit: CommitSha | None) -> None:
        """Read the project's images at ``commit``, unless that very reading is what is kept.

        Raises:
            SourceError: the file could not be had; what was read before stays.
            InvalidComposeFile: the file can't be used; what was read before stays.
            InvalidManifest, ManifestRefused: its manifest can't; likewise.
        """
        key = _reading(project, commit)
        if self.store.images_read_at(project.name) == key:
            return
        if project.kind is ProjectKind.IMAGE:
            images = [WatchedImage(str(project.image), ("app",), _pinned(project))]
        elif commit is not None:
            composition = self.read(project, commit)
            images = [_watched(image) for image in (composition.images if composition else ())]
        else:
            return
        self.store.put_images(project.name, key, images)
        for image in images:
            if image.unwatched_because:
                why = image.unwatched_because
                _log.info("%s: %s is not watched: %s", project.name, image.image, why)

    def read(self, project: Project, commit: CommitSha) -> Composition | None:
        """Return what the project's compose file has at ``commit``; None: it is not there.

        Raises:
            SourceError, InvalidComposeFile, InvalidManifest, ManifestRefused: as ``refresh``.
        """
        project = self._with_manifest(project, commit)
        beside = project.compose_path.rpartition("/")[0]
        dotenv = parse_repository_path(f"{beside}/.env" if beside else ".env")
        files = self._files(project, commit, (project.compose_path, dotenv))
        if project.compose_path not in files:
            return None
        compose = self.reader.read(files[project.compose_path])
        environment = dict(self.reader.read_environment(files.get(dotenv, b"")))
        environment |= {
            name: value.reveal() for name, value in self.store.variables(project.name).items()
        }
        images = followed_images(compose, environment, project.stateful_services)
        return Composition(compose.services, images)

    def _with_manifest(self, project: Project, commit: CommitSha) -> Project:
        """Return ``project`` as it would be deployed: its manifest may name another file."""
        if not project.allow_manifest:
            return project
        content = self._files(project, commit, (MANIFEST_PATH,)).get(MANIFEST_PATH)
        if content is None:
            return project
        return overlaid(project, parse_manifest(decode_manifest(content), project.kind)).project

    def _files(
        self, project: Project, commit: CommitSha, paths: tuple[RepositoryPath, ...]
    ) -> Mapping[RepositoryPath, bytes]:
        match project.source:
            case HostedSource(repository):
                return self.repositories.read_files(repository, commit, paths)
            case ExternalSource(url):
                credentials = self.store.git_credentials(project.name, project.source)
                return self.remote.read_files(url, commit, paths, credentials)
            case None:
                return {}


def _watched(image: FollowedImage) -> WatchedImage:
    because, note = image.unwatched_because, "; ".join(image.notes)
    return WatchedImage(image.text, tuple(image.services), because, note=note)


def _pinned(project: Project) -> str:
    return "it is pinned by digest" if project.image and project.image.digest else ""


def _reading(project: Project, commit: CommitSha | None) -> str:
    """Return what the list depends on: the commit, and the declaration's generation."""
    text = f"{commit}\n{project.compose_path}\n{project.image}\n{project.generation}"
    return sha256(text.encode()).hexdigest()
