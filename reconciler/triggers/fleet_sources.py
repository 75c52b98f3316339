"""Where a fleet file is: in a file of this machine, or in a git repository."""

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from reconciler.domain.document import DocumentForm, form_of
from reconciler.domain.errors import PreconditionFailed, RevisionNotFound
from reconciler.domain.project import ExternalSource, HostedSource, Source
from reconciler.domain.references import CommitSha, RepositoryPath
from reconciler.domain.secret import Secret
from reconciler.ports import GitCredentials, GitRemote, Repositories

_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """The fleet file as it is now."""

    content: bytes
    version: str  #: differs where the content does: its commit, or a part of its SHA-256


class FleetSource(Protocol):
    """Where a fleet file is."""

    @property
    def where(self) -> str:
        """For people; no secret."""
        ...

    @property
    def form(self) -> DocumentForm:
        """How it is written."""
        ...

    def look(self) -> Seen | None:
        """Return the file; None while it is being written.

        Raises:
            ReconcilerError: it is not there, or can't be had now.
        """
        ...


class FleetFile:
    """A file of this machine. It counts once two looks in a row find it the same."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: tuple[int, ...] = ()
        self._seen: Seen | None = None

    @property
    def where(self) -> str:
        """Its path."""
        return str(self._path)

    @property
    def form(self) -> DocumentForm:
        """As the ending of its name says."""
        return form_of(str(self._path))

    def look(self) -> Seen | None:
        """Return the file; it is read again only where it changed."""
        try:
            mark = _mark_of(self._path.stat())
            if mark != self._mark:
                self._mark, self._seen = mark, None
            elif self._seen is None:
                self._seen = self._read()
        except OSError as error:
            self._mark, self._seen = (), None
            raise PreconditionFailed(f"{self._path} can't be read ({error.strerror})") from None
        return self._seen

    def _read(self) -> Seen | None:
        # Without waiting: in its place may be a pipe by now.
        with os.fdopen(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            about = os.fstat(stream.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise PreconditionFailed(f"{self._path} is no regular file")
            if about.st_mode & stat.S_IWOTH:
                problem = "may be written by everybody on this machine, who could deploy anything"
                raise PreconditionFailed(f"{self._path} {problem}")
            content = stream.read(_LIMIT_BYTES + 1)
            if _mark_of(os.fstat(stream.fileno())) != self._mark:
                return None
        return Seen(content, hashlib.sha256(content).hexdigest()[:12])


def _mark_of(about: os.stat_result) -> tuple[int, ...]:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


@dataclass(slots=True)
class FleetInGit:
    """A file at the tip of a branch."""

    source: Source
    path: RepositoryPath
    remote: GitRemote
    repositories: Repositories
    user: str = ""
    token: Secret | None = None
    key_file: Path | None = None
    _seen: Seen | None = field(default=None, init=False)

    @property
    def where(self) -> str:
        """Repository, branch and path."""
        name = self.source.url if isinstance(self.source, ExternalSource) else self._hosted
        return f"{self.path} at {self.source.branch} of {name}"

    @property
    def form(self) -> DocumentForm:
        """As the ending of its name says."""
        return form_of(self.path)

    def look(self) -> Seen | None:
        """Return the file at the branch's tip; it is read once a commit."""
        credentials = self._credentials()
        tip = self._tip(credentials)
        if tip is None:
            raise RevisionNotFound(f"there is no branch {self.source.branch} to read {self.where}")
        if self._seen is None or self._seen.version != tip.text:
            content = self._read(tip, credentials)
            if content is None:
                raise RevisionNotFound(f"there is no {self.where} ({tip.text[:8]})")
            self._seen = Seen(content, tip.text)
        return self._seen

    @property
    def _hosted(self) -> str:
        return self.source.repository if isinstance(self.source, HostedSource) else ""

    def _tip(self, credentials: GitCredentials | None) -> CommitSha | None:
        match self.source:
            case HostedSource(repository, branch):
                return self.repositories.tip(repository, branch)
            case ExternalSource(url, branch):
                return self.remote.tip(url, branch, credentials)

    def _read(self, tip: CommitSha, credentials: GitCredentials | None) -> bytes | None:
        paths = [self.path]
        match self.source:
            case HostedSource(repository):
                return self.repositories.read_files(repository, tip, paths).get(self.path)
            case ExternalSource(url):
                return self.remote.read_files(url, tip, paths, credentials).get(self.path)

    def _credentials(self) -> GitCredentials | None:
        if not isinstance(self.source, ExternalSource) or not (self.token or self.key_file):
            return None
        key = None
        if self.key_file is not None:
            try:
                key = Secret.of(self.key_file.read_text())
            except (OSError, ValueError):
                raise PreconditionFailed(f"{self.key_file} can't be read as a key") from None
        return GitCredentials(self.source.url.origin, self.user, self.token, key)
