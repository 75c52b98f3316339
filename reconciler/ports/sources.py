"""Where revisions come from: git servers, hosted repositories, compose files, registries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from reconciler.domain.compose import ComposeFile
from reconciler.domain.failure import Failure
from reconciler.domain.project import Source
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    Digest,
    GitUrl,
    ImageReference,
    ProjectName,
    RepositoryPath,
)
from reconciler.domain.secret import Secret


@dataclass(frozen=True, slots=True)
class GitCredentials:
    """What a git server is shown. Bound to one origin; never sent to another."""

    origin: str  #: as ``GitUrl.origin`` writes it
    username: str = ""
    token: Secret | None = None  #: HTTPS
    ssh_key: Secret | None = None  #: SSH, an OpenSSH private key
    known_host_key: str = ""  #: SSH, pinned: ``ssh-ed25519 AAAA…``; empty before first contact


class GitRemote(Protocol):
    """External git servers. Every call is bounded in time and bytes, whatever the server does."""

    def tip(
        self, url: GitUrl, branch: BranchName, credentials: GitCredentials | None = None
    ) -> CommitSha | None:
        """Return the branch's tip; None if the server answered and the branch is not there.

        Raises:
            SourceError: anything else, within 30 s.
        """
        ...

    def read_files(
        self,
        url: GitUrl,
        commit: CommitSha,
        paths: Sequence[RepositoryPath],
        credentials: GitCredentials | None = None,
    ) -> Mapping[RepositoryPath, bytes]:
        """Return those of ``paths`` that are regular files at ``commit``, with the least transfer.

        Raises:
            RevisionNotFound: the server no longer has the commit.
            InvalidComposeFile: a file is over 1 MiB, a symlink or a submodule.
            SourceError: anything else, within its limit.
        """
        ...

    def fetch(
        self, url: GitUrl, commit: CommitSha, into: Path, credentials: GitCredentials | None = None
    ) -> None:
        """Bring ``commit`` and its files into the bare repository ``into``, made if need be.

        Raises:
            RevisionNotFound: the server no longer has the commit.
            SourceError: anything else, within its limit.
        """
        ...


class Repositories(Protocol):
    """The bare repositories that this daemon keeps."""

    def create(self, name: ProjectName) -> Path:
        """Make an empty one and return its folder. Safe to repeat."""
        ...

    def remove(self, name: ProjectName) -> None:
        """Delete it with all it holds."""
        ...

    def names(self) -> Sequence[ProjectName]:
        """Return all there are, sorted."""
        ...

    def path(self, name: ProjectName) -> Path:
        """Return its folder.

        Raises:
            NotFound: there is no such repository.
        """
        ...

    def tip(self, name: ProjectName, branch: BranchName) -> CommitSha | None:
        """Return the branch's tip, read from disk; None if there is no such branch."""
        ...

    def branches(self, name: ProjectName) -> Mapping[BranchName, CommitSha]:
        """Return branch → tip, of the branches whose name we accept. Raises ``NotFound``."""
        ...

    def read_files(
        self, name: ProjectName, commit: CommitSha, paths: Sequence[RepositoryPath]
    ) -> Mapping[RepositoryPath, bytes]:
        """As ``GitRemote.read_files``, from disk."""
        ...


class Commits(Protocol):
    """The commits of a project that were brought here."""

    def fetch(
        self,
        project: ProjectName,
        source: Source,
        commit: CommitSha,
        credentials: GitCredentials | None,
    ) -> None:
        """Bring ``commit`` into the project's own repository. Safe to repeat.

        Raises:
            SourceError: as ``GitRemote.fetch``.
        """
        ...

    def read_files(
        self, project: ProjectName, commit: CommitSha, paths: Sequence[RepositoryPath]
    ) -> Mapping[RepositoryPath, bytes]:
        """As ``GitRemote.read_files``, of a commit that was fetched."""
        ...


class Checkouts(Commits, Protocol):
    """A repository and a work tree per project, from which it is deployed.

    The work tree stays where it is for the life of the project, so that relative bind mounts
    keep their data; its files change only in ``switch``.
    """

    def export(self, project: ProjectName, commit: CommitSha, into: Path) -> None:
        """Write the files of ``commit`` into the empty folder ``into``; the work tree stays.

        Raises:
            PreconditionFailed: no space, or more files or bytes than allowed.
        """
        ...

    def repository(self, project: ProjectName) -> Path:
        """Return the project's bare repository, which may not exist yet."""
        ...

    def tree(self, project: ProjectName) -> Path:
        """Return the work tree's folder, which may not exist yet."""
        ...

    def switch(self, project: ProjectName, commit: CommitSha) -> None:
        """Make the work tree hold exactly ``commit``; untracked files stay.

        ``.deploy/`` is ignored through the repository's private exclude file. Safe to repeat.

        Raises:
            WorkTreeDirty: tracked files were changed; nothing was overwritten.
        """
        ...

    def keep(self, project: ProjectName, commits: Sequence[CommitSha]) -> None:
        """Let go of all commits but these."""
        ...

    def remove(self, project: ProjectName) -> None:
        """Delete the project's repository; its work tree stays, it may hold data."""
        ...


class ComposeReader(Protocol):
    """Reads compose files of strangers, within limits."""

    def read(self, content: bytes) -> ComposeFile:
        """Return the services of one file.

        Raises:
            InvalidComposeFile: too large, too deep, not YAML, duplicate keys, no services.
        """
        ...

    def read_environment(self, content: bytes) -> Mapping[str, str]:
        """Return the variables of a ``.env`` file, as compose reads it.

        Raises:
            InvalidComposeFile: it can't be read as one.
        """
        ...


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """What one registry host is shown, or its token server on its behalf."""

    host: str
    username: str
    password: Secret
    identity_token: bool = False  #: ``password`` is an OAuth2 refresh token


@dataclass(frozen=True, slots=True)
class RegistryStatus:
    """How one registry host fares, for status and health."""

    host: str
    reachable: bool | None  #: whether it answered last time; None before it was asked
    error: str  #: what its last look-up failed of; empty after one that did not
    cooling_until: datetime | None  #: it asked to be left alone until then
    limit: int | None  #: pulls in its window, as its ``ratelimit-limit`` says
    limit_remaining: int | None  #: as its last ``ratelimit-remaining`` said
    requests_sent: int  #: since the start, token requests included


class ImageRegistry(Protocol):
    """Container registries, over the OCI distribution API."""

    def digest(self, image: ImageReference, project: ProjectName | None = None) -> Digest:
        """Return the digest behind the image's tag now: of its index where it has one.

        Args:
            image: what to look up; its own digest, if any, plays no part.
            project: whose stored credentials may be used.

        Raises:
            RevisionNotFound: no such repository or tag.
            SourceThrottled: the host is cooling down; nothing was sent if it was before.
            SourceError: anything else, within 30 s.
        """
        ...

    def probe(self, host: str) -> Failure | None:
        """Ask ``/v2/``: None if it answers 200 or 401, else what is wrong. Never raises."""
        ...
