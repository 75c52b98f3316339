"""One folder of an image: what its layers amount to there, and its files written down.

Nothing is written before it is known what there is, links last: so none is ever followed.
Source: OCI image-spec, ``layer.md``, "Applying Changesets".
"""

import os
import tarfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from reconciler.domain.errors import CommandFailed, Interrupted
from reconciler.domain.host import HostPath

_MOST_ENTRIES = 300_000  #: of all layers
_MOST_FILES = 100_000  #: in the folder
_DEEPEST = 100
_LARGEST_BYTES = 2 << 30  #: of all files in the folder
_LARGEST_HEADER_BYTES = 1 << 20
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_CHUNK_BYTES = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_HEADERS = frozenset(
    {
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    }
)


class _Entry(tarfile.TarInfo):
    """A member whose headers of its own are read into memory only while they are small."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.type in _HEADERS and found.size > _LARGEST_HEADER_BYTES:
            raise CommandFailed("a layer of the image has a header that is too large")
        return found


@dataclass(slots=True)
class _Node:
    """A file or folder, as the layers so far have it."""

    entry: tarfile.TarInfo | None = None  #: None: a folder
    layer: int = 0  #: that it is of
    below: dict[str, "_Node"] = field(default_factory=dict)


@dataclass(slots=True)
class ImageFolder:
    """What an image has in one folder."""

    path: HostPath
    cancel: threading.Event
    _top: _Node = field(default_factory=_Node)
    _seen: int = 0

    # ── What there is ─────────────────────────────────────────────────────────────────────────

    def add(self, number: int, layer: IO[bytes]) -> None:
        """Apply one layer to those before it.

        Raises:
            CommandFailed: it is no layer, or has more than anybody needs.
            Interrupted: the work was stopped.
        """
        with _tar(layer) as members:
            found = list(self._entries(members))
        # What a layer removes is of those below it, wherever in the layer that is said.
        for parts, _ in found:
            self._remove(parts)
        for parts, entry in found:
            if not parts[-1].startswith(_WHITEOUT):
                self._put(parts, entry, number)

    def _entries(self, members: tarfile.TarFile) -> Iterator[tuple[list[str], tarfile.TarInfo]]:
        """Yield what concerns the folder, with its place in the image."""
        wanted = _parts(self.path)
        for entry in members:
            self._seen += 1
            if self._seen > _MOST_ENTRIES:
                raise CommandFailed(f"the image has more than {_MOST_ENTRIES} files")
            if self.cancel.is_set():
                raise Interrupted("stopped while a release was taken out of an image")
            parts = _parts(entry.name)
            shared = min(len(what := _meant(parts)), len(wanted))
            if parts and what[:shared] == wanted[:shared]:
                yield parts, entry

    def _remove(self, parts: list[str]) -> None:
        *above, name = parts
        if not name.startswith(_WHITEOUT):
            return
        node = self._find(above)
        if node is None:
            return
        if name == _OPAQUE:
            node.below.clear()
        else:
            node.below.pop(name.removeprefix(_WHITEOUT), None)

    def _find(self, parts: Iterable[str]) -> _Node | None:
        node: _Node | None = self._top
        for part in parts:
            node = node.below.get(part) if node else None
        return node

    def _put(self, parts: list[str], entry: tarfile.TarInfo, layer: int) -> None:
        if ".." in parts or len(parts) > _DEEPEST:
            raise CommandFailed(f"the image has a file in a place of no sense: {_shown(parts)}")
        *above, name = parts
        node = self._top
        for part in above:
            node = node.below.setdefault(part, _Node())
            if node.entry is not None:
                raise CommandFailed(f"the image has a file below one: {_shown(parts)}")
        if not entry.isdir():
            node.below[name] = _Node(entry, layer)
        elif (there := node.below.get(name)) is None or there.entry is not None:
            node.below[name] = _Node()

    # ── Writing it ────────────────────────────────────────────────────────────────────────────

    def plan(self) -> "Plan":
        """Return what there is to write.

        Raises:
            CommandFailed: there is no such folder, or what is in it is no good as a release.
        """
        node, at = self._top, ""
        for part in _parts(self.path):
            at, below = f"{at}/{part}", node.below.get(part)
            if below is None:
                raise CommandFailed(f"the image has no folder {self.path}")
            if below.entry is not None:
                kind = "a link: name the folder it leads to" if below.entry.issym() else "no folder"
                raise CommandFailed(f"{at} in the image is {kind}")
            node = below
        plan = Plan()
        plan.take(node)
        return plan


@dataclass(slots=True)
class Plan:
    """What is to be written, by its path below the folder."""

    folders: list[str] = field(default_factory=list)  #: outer ones first
    files: dict[int, dict[str, tarfile.TarInfo]] = field(default_factory=dict)  #: by layer
    links: dict[str, str] = field(default_factory=dict)
    _bytes: int = 0
    _count: int = 0

    def take(self, node: _Node, below: str = "") -> None:
        """Take what is in a folder, and in those below it."""
        for name, one in node.below.items():
            path = f"{below}{name}"
            self._count += 1
            if self._count > _MOST_FILES:
                raise CommandFailed(f"the image's folder has more than {_MOST_FILES} files")
            if one.entry is None:
                self.folders.append(path)
                self.take(one, f"{path}/")
            elif one.entry.issym():
                self.links[path] = one.entry.linkname
            elif one.entry.isreg() or one.entry.islnk():
                self.files.setdefault(one.layer, {})[path] = one.entry
            else:
                raise CommandFailed(
                    f"{_shown([path])} in the image is a device, a pipe or the like"
                )

    def write_folders(self, into: Path) -> None:
        """Make the folders in the empty folder ``into``."""
        for path in self.folders:
            (into / path).mkdir(mode=0o755)

    def write_files(self, number: int, layer: IO[bytes], into: Path) -> None:
        """Write the files that are of one layer."""
        wanted = self.files.get(number)
        if not wanted:
            return
        with _tar(layer) as members:
            known = {entry.offset: entry for entry in members}
            named = {tuple(_parts(one.name)): one for one in known.values() if one.isreg()}
            for path, entry in wanted.items():
                # A link to a file of the same layer is that file: it is written once more.
                file = entry if entry.isreg() else named.get(tuple(_parts(entry.linkname)))
                source = members.extractfile(known[file.offset]) if file else None
                if source is None:
                    raise CommandFailed(f"{_shown([path])} in the image is a link to nothing")
                with source:
                    self._write(source, into / path, 0o755 if entry.mode & 0o100 else 0o644)

    def _write(self, source: IO[bytes], path: Path, mode: int) -> None:
        with os.fdopen(os.open(path, _NEW, mode), "wb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                self._bytes += len(chunk)
                if self._bytes > _LARGEST_BYTES:
                    raise CommandFailed(f"the folder has more than {_LARGEST_BYTES >> 30} GiB")
                file.write(chunk)

    def write_links(self, into: Path) -> None:
        """Write the links: nothing is written after them."""
        for path, leads in self.links.items():
            (into / path).symlink_to(leads)


def _tar(layer: IO[bytes]) -> tarfile.TarFile:
    layer.seek(0)
    return tarfile.open(fileobj=layer, mode="r:", tarinfo=_Entry)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _meant(parts: list[str]) -> list[str]:
    """Return the place that an entry is about: what it removes, or what it is."""
    if not parts or not parts[-1].startswith(_WHITEOUT):
        return parts
    return parts[:-1] + ([] if parts[-1] == _OPAQUE else [parts[-1].removeprefix(_WHITEOUT)])


def _shown(parts: list[str]) -> str:
    return "/".join(parts)[:200].encode(errors="replace").decode()
