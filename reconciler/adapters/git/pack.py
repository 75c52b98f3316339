"""Packs of strangers: weighed before anything is unpacked, then looked into in memory.

A pack of 1 MB may unpack to 1 GB. Source: git's ``gitformat-pack``.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dulwich.object_store import MemoryObjectStore
from dulwich.objects import Blob, Commit, ObjectID, Tree

from reconciler.adapters.git.files import check_mode
from reconciler.adapters.git.refs import PROTOCOL_ERRORS
from reconciler.domain.errors import SourceProtocolError
from reconciler.domain.references import CommitSha, RepositoryPath

_OFFSET_DELTA, _REFERENCE_DELTA = 6, 7
_CHUNK_BYTES = 4096
_DELTA_HEAD_BYTES = 20
Kind = TypeVar("Kind", Blob, Commit, Tree)


class PackTooLarge(Exception):
    """It is over its limit, packed or unpacked."""


def check_weight(pack: bytes, limit_bytes: int, id_bytes: int = 20) -> None:
    """Make sure that all objects of ``pack`` take at most ``limit_bytes`` unpacked.

    Raises:
        PackTooLarge: they take more.
        SourceProtocolError: it is no pack, or it is cut short.
    """
    if pack[:4] != b"PACK" or len(pack) < 12:
        raise SourceProtocolError("the server sent no pack")
    position, room = 12, limit_bytes
    for _ in range(int.from_bytes(pack[8:12], "big")):
        kind, position = _skip_header(pack, position)
        if kind == _OFFSET_DELTA:
            position = _skip_number(pack, position)
        elif kind == _REFERENCE_DELTA:
            position += id_bytes
        size, head, position = _inflate(pack, position, room)
        room -= size
        if kind in {_OFFSET_DELTA, _REFERENCE_DELTA}:
            room -= _result_size(head)
        if room < 0:
            raise PackTooLarge


@dataclass(frozen=True, slots=True)
class PackedFiles:
    """The objects of checked packs, in memory; found by their own hash, so never mistaken."""

    objects: MemoryObjectStore

    def add(self, pack: bytes) -> None:
        """Take in a pack that `check_weight` let pass.

        Raises:
            SourceProtocolError: it is damaged.
        """
        file, commit, abort = self.objects.add_pack()
        try:
            file.write(pack)
            commit()
        except PROTOCOL_ERRORS as error:
            abort()
            raise SourceProtocolError(f"the server sent a damaged pack: {error}") from error

    def entries(
        self, commit: CommitSha, paths: Iterable[RepositoryPath]
    ) -> Mapping[RepositoryPath, ObjectID]:
        """Return the blob ids of those ``paths`` that are regular files at ``commit``.

        Raises:
            InvalidComposeFile: one is a symlink or a submodule.
            SourceProtocolError: the commit or a folder is not in the packs.
        """
        root = self.root(ObjectID(commit.text.encode()))
        found = {}
        for path in paths:
            if blob := self._find(root, path):
                found[path] = blob
        return found

    def missing(self, blobs: Iterable[ObjectID]) -> list[ObjectID]:
        """Return those that have to be asked for."""
        return sorted({blob for blob in blobs if blob not in self.objects})

    def content(self, blob: ObjectID) -> bytes:
        """Return a file's bytes. Raises ``SourceProtocolError`` if it did not come."""
        return self._get(blob, Blob).data

    def message(self, commit: ObjectID) -> bytes:
        """Return a commit's message. Raises ``SourceProtocolError`` if it did not come."""
        message: bytes | None = self._get(commit, Commit).message
        return message or b""

    def root(self, commit: ObjectID) -> ObjectID:
        """Return the id of a commit's tree. Raises ``SourceProtocolError`` if it did not come."""
        tree: ObjectID = self._get(commit, Commit).tree
        return tree

    def folder(self, tree: ObjectID) -> Mapping[bytes, tuple[int, ObjectID]]:
        """Return name → mode and id of what is in a folder.

        Raises:
            SourceProtocolError: it did not come, or is none.
        """
        entries = self._get(tree, Tree).items()
        return {entry.path: (entry.mode, entry.sha) for entry in entries}

    def _find(self, root: ObjectID, path: RepositoryPath) -> ObjectID | None:
        *folders, name = path.encode().split(b"/")
        tree = self._get(root, Tree)
        for folder in folders:
            if folder not in tree or tree[folder][0] != 0o040000:
                return None
            tree = self._get(tree[folder][1], Tree)
        if name not in tree:
            return None
        mode, blob = tree[name]
        return blob if check_mode(path, mode) else None

    def _get(self, name: ObjectID, kind: type[Kind]) -> Kind:
        try:
            found = self.objects[name]
        except KeyError:
            raise SourceProtocolError(f"the server left out {name.decode()}") from None
        if not isinstance(found, kind):
            raise SourceProtocolError(f"{name.decode()} is no {kind.__name__.lower()}")
        return found


def _skip_header(pack: bytes, position: int) -> tuple[int, int]:
    """Return the object's kind, and where its header ends."""
    try:
        kind = (pack[position] >> 4) & 7
    except IndexError:
        raise SourceProtocolError("the server's pack is cut short") from None
    return kind, _skip_number(pack, position)


def _skip_number(pack: bytes, position: int) -> int:
    while pack[position : position + 1] >= b"\x80":
        position += 1
    return position + 1


def _inflate(pack: bytes, position: int, room: int) -> tuple[int, bytes, int]:
    """Return how much an object unpacks to, its first bytes, and where it ends."""
    inflater = zlib.decompressobj()
    size, head = 0, b""
    while not inflater.eof:
        chunk = pack[position : position + _CHUNK_BYTES]
        position += len(chunk)
        try:
            data = inflater.decompress(chunk, room - size + 1)
        except zlib.error as error:
            raise SourceProtocolError(f"the server's pack is damaged: {error}") from None
        size += len(data)
        if size > room:
            raise PackTooLarge
        if not chunk:
            raise SourceProtocolError("the server's pack is cut short")
        head = (head + data)[:_DELTA_HEAD_BYTES]
    return size, head, position - len(inflater.unused_data)


def _result_size(delta: bytes) -> int:
    """Return what a delta's result takes: the second number at its beginning."""
    start = _skip_number(delta, 0)
    size = 0
    for shift, byte in enumerate(delta[start : _skip_number(delta, start)]):
        size |= (byte & 0x7F) << (7 * shift)
    return size
