"""Where revisions come from: git servers, hosted repositories, compose files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from reconciler.domain.compose import ComposeFile
from reconciler.domain.history import CommitInfo, History
from reconciler.domain.project import Project, Source
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    GitUrl,
    ProjectName,
    RepositoryPath,
)
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target


@dataclass(frozen=True, slots=True)
class GitCredentials:
    """What a git server is shown. Bound to one origin; never sent to another."""

    origin: str  #: as ``GitUrl.origin`` writes it
    username: str = ""
    token: Secret | None = None  #: HTTPS
    ssh_key: Secret | None = None  #: SSH, an OpenSSH private key
    known_host_key: str = ""  #: SSH, pinned: ``ssh-ed25519 AAAA…``; empty before first contact


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one commit differs from another."""

    #: That differ: added, deleted, changed, or of another mode; sorted. None: it can't be told.
    paths: tuple[str, ...] | None
    message: str  #: of the newer one, at most 64 KiB of it
    untold_because: str = ""  #: why ``paths`` can't be told; empty where they are


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

    def compare(
        self,
        url: GitUrl,
        before: CommitSha,
        after: CommitSha,
        credentials: GitCredentials | None = None,
    ) -> Comparison:
        """Return how ``after`` differs from ``before``, with the least transfer.

        Which paths differ can't be told where ``before`` is there no more, or where they are over
        20,000.

        Raises:
            RevisionNotFound: the server no longer has ``after``.
            SourceError: anything else, within its limit.
        """
        ...

    def history(
        self,
        url: GitUrl,
        tip: CommitSha,
        base: CommitSha,
        credentials: GitCredentials | None = None,
    ) -> History:
        """Return the commits that lead from ``base`` to ``tip``, without any file.

        Raises:
            RevisionNotFound: the server no longer has ``tip``.
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

    def record(
        self,
        name: ProjectName,
        branch: BranchName,
        files: Mapping[RepositoryPath, bytes],
        message: str,
        at: datetime,
    ) -> CommitSha:
        """Make a branch hold exactly ``files``, by a commit on top if need be; return its tip.

        Raises:
            SourceError: somebody moved it at the same moment.
        """
        ...

    def compare(self, name: ProjectName, before: CommitSha, after: CommitSha) -> Comparison:
        """As ``GitRemote.compare``, from disk."""
        ...

    def history(self, name: ProjectName, tip: CommitSha, base: CommitSha) -> History:
        """As ``GitRemote.history``, from disk."""
        ...


class BaseFiles(Protocol):
    """The files of a compose project where its target has them: in ``Target.base``."""

    def read(self, target: Target, paths: Sequence[str]) -> Mapping[str, bytes]:
        """Return those of ``paths``, below the base, that are files there; large ones are cut.

        Raises:
            TargetUnreachable: there is no way to the host.
            InvalidComposeFile: one is no regular file, or leads out of that folder.
            PreconditionFailed: one may not be read, or the base is not there.
        """
        ...


#: Records what changed in a project's folder on a host; nothing where it follows none.
Bring = Callable[[Project], None]


def bring_nothing(_project: Project) -> None:
    """Find no folder to follow."""


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

    def describe(self, project: ProjectName, commit: CommitSha) -> CommitInfo:
        """Return a commit that was fetched, as people know it.

        Raises:
            SourceError: it is not there, or can't be read.
        """
        ...


class Exports(Commits, Protocol):
    """Commits whose files can be written anywhere."""

    def export(self, project: ProjectName, commit: CommitSha, into: Path) -> None:
        """Write the files of ``commit`` into the empty folder ``into``; no work tree changes.

        Raises:
            PreconditionFailed: no space, or more files or bytes than allowed.
        """
        ...


class Checkouts(Exports, Protocol):
    """A repository and a work tree per project, from which it is deployed.

    The work tree stays where it is for the life of the project, so that relative bind mounts
    keep their data; its files change only in ``switch``.
    """

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
