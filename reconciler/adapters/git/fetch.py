"""Commits and files from git servers, received through dulwich, within limits.

Credentials never leave this process: git itself is only given a pack that is already here.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from dulwich.client import GitClient
from dulwich.object_format import SHA1, SHA256
from dulwich.object_store import MemoryObjectStore, ObjectStoreGraphWalker
from dulwich.objects import ObjectID

from reconciler.adapters.deadline import Deadline
from reconciler.adapters.git.binary import Git, object_format_of
from reconciler.adapters.git.files import FILE_LIMIT_BYTES, read_files, too_large
from reconciler.adapters.git.pack import PackedFiles, PackTooLarge, check_weight
from reconciler.adapters.git.ssh import path_of
from reconciler.adapters.process import check
from reconciler.domain.errors import (
    CommandFailed,
    CommitNotFound,
    PreconditionFailed,
    SourceError,
    SourceProtocolError,
    SourceUnreachable,
)
from reconciler.domain.references import CommitSha, GitUrl, RepositoryPath
from reconciler.ports import CommandRunner, GitCredentials

_MIB = 1 << 20
#: Protocol and progress around the pack itself.
_OVERHEAD_BYTES = 1 << 20
#: An answer that names no more refs than need be: we want a commit, not a branch.
_NO_REFS = (b"HEAD",)
#: What git's upload-pack says of an object that it does not have, or does not give by its id.
_NOT_THERE = "not our ref"

#: Lends a dulwich client for one conversation of at most so many bytes, and names its errors.
Lend = Callable[[GitUrl, GitCredentials | None, Deadline, int], AbstractContextManager[GitClient]]


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How much a server may send."""

    time: timedelta = timedelta(minutes=5)  #: for one whole fetch
    pack_bytes: int = 1024 * _MIB  #: on disk
    memory_pack_bytes: int = 32 * _MIB  #: of a commit and its folders, without files
    #: The same, unpacked. Folders of many small entries take thirty times that as objects.
    memory_bytes: int = 16 * _MIB


@dataclass(frozen=True, slots=True)
class Wanted:
    """One commit of one repository, to be had by a deadline."""

    url: GitUrl
    commit: CommitSha
    credentials: GitCredentials | None
    deadline: Deadline


class Fetcher:
    """Brings commits here: whole onto the disk, or single files into memory."""

    def __init__(
        self, lend: Lend, runner: CommandRunner, folder: Path, limits: FetchLimits
    ) -> None:
        """Use ``folder`` for what memory is too small for; what a kill left there goes."""
        self._lend = lend
        self._runner = runner
        self._folder = folder
        self._limits = limits
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in folder.glob("read-*"):
            shutil.rmtree(leftover)

    def read_files(
        self, wanted: Wanted, paths: Sequence[RepositoryPath]
    ) -> Mapping[RepositoryPath, bytes]:
        """Return those of ``paths`` that are regular files; see ``GitRemote.read_files``."""
        try:
            return self._read_in_memory(wanted, paths)
        except PackTooLarge:
            # The server sent the files although we asked for none of them.
            return self._read_from_disk(wanted, paths)

    def fetch(self, wanted: Wanted, into: Path) -> None:
        """Bring the commit into the bare repository ``into``; see ``GitRemote.fetch``.

        Raises:
            PreconditionFailed: it can't be written here.
        """
        try:
            self._fetch(wanted, into)
        except TimeoutError as error:
            raise SourceUnreachable(f"{wanted.url}: {error}") from error
        except OSError as error:
            message = f"{into} can't be written: {error.strerror or error}"
            raise PreconditionFailed(message) from error

    def _fetch(self, wanted: Wanted, into: Path) -> None:
        git = Git(self._runner, into)
        git.create(object_format_of(wanted.commit))
        if git.has(wanted.commit):
            return
        for leftover in into.glob("incoming-*"):
            shutil.rmtree(leftover)
        with TemporaryDirectory(prefix="incoming-", dir=into) as incoming:
            pack = Path(incoming) / "fetched.pack"
            shallow = self._receive_into(pack, wanted)
            self._take_in(git, pack, wanted)
        _add_shallow(into / "shallow", shallow)
        try:
            git.keep(wanted.commit)
        except CommandFailed as error:
            message = f"{wanted.url}: the server left out part of commit {wanted.commit.short}"
            raise SourceProtocolError(message) from error

    def _read_in_memory(
        self, wanted: Wanted, paths: Sequence[RepositoryPath]
    ) -> Mapping[RepositoryPath, bytes]:
        sha256 = object_format_of(wanted.commit) == "sha256"
        objects = MemoryObjectStore(object_format=SHA256 if sha256 else SHA1)
        files = PackedFiles(objects)
        commit = ObjectID(wanted.commit.text.encode())
        files.add(self.receive(wanted, [commit], filter_spec=b"blob:none", depth=1))
        blobs = files.entries(wanted.commit, paths)
        if missing := files.missing(blobs.values()):
            self._add_blobs(wanted, files, missing, paths)
        contents = {path: files.content(blob) for path, blob in blobs.items()}
        for path, content in contents.items():
            if len(content) > FILE_LIMIT_BYTES:
                raise too_large(path)
        return contents

    def _add_blobs(
        self,
        wanted: Wanted,
        files: PackedFiles,
        blobs: list[ObjectID],
        paths: Sequence[RepositoryPath],
    ) -> None:
        limit = FILE_LIMIT_BYTES * len(blobs)
        try:
            files.add(self.receive(wanted, blobs, limit_bytes=limit))
        except PackTooLarge:
            raise too_large(paths[0]) from None

    def receive(
        self,
        wanted: Wanted,
        objects: list[ObjectID],
        *,
        filter_spec: bytes | None = None,
        depth: int | None = None,
        limit_bytes: int | None = None,
    ) -> bytes:
        """Return a pack of ``objects`` that may be taken in.

        Raises:
            PackTooLarge: it is more than memory is meant for.
            RevisionNotFound: the server does not have one of them any more.
        """
        pack = _Collector(self._limits.memory_pack_bytes)
        with self._lend_for(wanted, self._limits.memory_pack_bytes) as client:
            _ask(client, wanted, objects, pack.take, filter_spec=filter_spec, depth=depth)
        data = bytes(pack.data)
        check_weight(data, limit_bytes or self._limits.memory_bytes, len(wanted.commit.text) // 2)
        return data

    def _read_from_disk(
        self, wanted: Wanted, paths: Sequence[RepositoryPath]
    ) -> Mapping[RepositoryPath, bytes]:
        with self.on_disk(wanted) as git:
            return read_files(git, wanted.commit, paths)

    @contextmanager
    def on_disk(self, wanted: Wanted, *others: CommitSha) -> Iterator[Git]:
        """Lend a repository that has the whole commit, and those of ``others`` that still are.

        Raises:
            RevisionNotFound: the server no longer has the commit.
        """
        with TemporaryDirectory(prefix="read-", dir=self._folder) as folder:
            into = Path(folder) / "whole.git"
            whole = replace(wanted, deadline=Deadline.after(self._limits.time))
            self.fetch(whole, into)
            for other in others:
                with suppress(CommitNotFound):
                    self.fetch(replace(whole, commit=other), into)
            yield Git(self._runner, into)

    def _receive_into(self, pack: Path, wanted: Wanted) -> Iterable[bytes]:
        """Write the pack, safe on the disk; return the commits whose parents it leaves out."""
        commit = ObjectID(wanted.commit.text.encode())
        with pack.open("wb") as file:
            writer = _Writer(file.write, self._limits.pack_bytes, wanted.url)
            with self._lend_for(wanted, self._limits.pack_bytes) as client:
                shallow = _ask(client, wanted, [commit], writer.take, depth=1)
            file.flush()
            os.fsync(file.fileno())
        return shallow

    def _take_in(self, git: Git, pack: Path, wanted: Wanted) -> None:
        """Check and index the pack, and make it part of the repository in one step."""
        left = timedelta(seconds=wanted.deadline.seconds_left())
        done = git.run("index-pack", "--fsck-objects", str(pack), timeout=left)
        try:
            name = check(done).stdout.split()[-1]
        except CommandFailed as error:
            raise SourceProtocolError(f"{wanted.url}: a damaged pack: {error.message}") from error
        target = git.repository / "objects" / "pack" / f"pack-{name}"
        # Git finds a pack by its index, so that one comes last.
        pack.replace(target.with_suffix(".pack"))
        pack.with_suffix(".idx").replace(target.with_suffix(".idx"))

    @contextmanager
    def _lend_for(self, wanted: Wanted, limit_bytes: int) -> Iterator[GitClient]:
        limit = limit_bytes + _OVERHEAD_BYTES
        try:
            with self._lend(wanted.url, wanted.credentials, wanted.deadline, limit) as client:
                yield client
        except SourceError as error:
            if _NOT_THERE not in f"{error.message} {error.evidence}":
                raise
            message = f"{wanted.url} does not have commit {wanted.commit.short} any more"
            raise CommitNotFound(message, commit=wanted.commit.text) from error


def _ask(
    client: GitClient,
    wanted: Wanted,
    objects: list[ObjectID],
    take: Callable[[bytes], int],
    *,
    filter_spec: bytes | None = None,
    depth: int | None = None,
) -> Iterable[bytes]:
    """Ask for ``objects``; return the commits whose parents were left out."""
    result = client.fetch_pack(
        path_of(wanted.url).encode(),
        lambda _refs, depth=None: objects,  # noqa: ARG005 - dulwich names it
        ObjectStoreGraphWalker([], lambda _: [], shallow=set()),
        take,
        depth=depth,
        ref_prefix=_NO_REFS,
        filter_spec=filter_spec,
        protocol_version=2,
    )
    return result.new_shallow or ()


class _Collector:
    """Keeps a pack in memory, up to a limit."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.data = bytearray()

    def take(self, chunk: bytes) -> int:
        self.data += chunk
        if len(self.data) > self._limit_bytes:
            raise PackTooLarge
        return len(chunk)


class _Writer:
    """Passes a pack on to a file, up to a limit."""

    def __init__(self, write: Callable[[bytes], int], limit_bytes: int, url: GitUrl) -> None:
        self._write = write
        self._limit_bytes = limit_bytes
        self._room = limit_bytes
        self._url = url

    def take(self, chunk: bytes) -> int:
        self._room -= len(chunk)
        if self._room < 0:
            message = f"{self._url}: the commit is over {self._limit_bytes >> 20} MiB"
            raise SourceProtocolError(message, limit_bytes=str(self._limit_bytes))
        return self._write(chunk)


def _add_shallow(path: Path, commits: Iterable[bytes]) -> None:
    """Note in git's own file that the parents of ``commits`` are not here."""
    known = set(path.read_text().split()) if path.exists() else set()
    wanted = known | {commit.decode() for commit in commits}
    if wanted != known:
        new = path.with_name("shallow.new")
        new.write_text("".join(f"{commit}\n" for commit in sorted(wanted)))
        new.replace(path)
