"""An image as `docker image save` writes it, read as far as it proves to be that very image.

Every byte that is used follows from the image's id: that is the hash of its configuration, or of a
manifest that has the configuration's, and the configuration has the hash of each layer.
Sources: moby, ``image/tarexport``; OCI image-spec, ``config.md``, "Layer DiffID".
"""

import gzip
import hashlib
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, cast

from reconciler.domain.errors import CommandFailed
from reconciler.domain.references import Digest

_LARGEST_DOCUMENT_BYTES = 4 << 20
#: Of all layers together, unpacked.
_LARGEST_IMAGE_BYTES = 16 << 30
_CHUNK_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
#: What reading documents of another shape than ours ends with.
_OTHER_SHAPE = (AttributeError, KeyError, IndexError, TypeError, ValueError)

_Bytes = IO[bytes]


@dataclass(slots=True)
class ImageArchive:
    """The layers of one image, in an archive that may be anybody's."""

    _members: tarfile.TarFile
    _layers: tuple[str, ...]  #: paths in the archive, lowest first
    _hashes: tuple[str, ...]  #: of each, unpacked
    _left_bytes: int = 0

    @classmethod
    @contextmanager
    def open(cls, path: Path, image: Digest) -> Iterator[Self]:
        """Give the archive of ``image`` until the block ends.

        Raises:
            CommandFailed: it is of another image, or can't be read.
        """
        try:
            with tarfile.open(path, "r:") as members:
                yield cls(members, *_parts_of(members, image))
        except (tarfile.TarError, EOFError, *_OTHER_SHAPE) as error:
            text = str(error)[:200] or type(error).__name__
            raise CommandFailed(
                f"the archive of image {image.short} can't be read: {text}"
            ) from error

    def layers(self) -> Iterator[_Bytes]:
        """Yield each layer as a tar file, lowest first, once all of it proved to be the image's."""
        self._left_bytes = _LARGEST_IMAGE_BYTES
        for path, expected in zip(self._layers, self._hashes, strict=True):
            with _unpacked(self._file(path)) as layer:
                if self._hash(layer) != expected:
                    raise CommandFailed("a layer of the image is not what its configuration says")
                layer.seek(0)
                yield layer

    def _file(self, path: str) -> _Bytes:
        return _file(self._members, path)

    def _hash(self, layer: _Bytes) -> str:
        hashed = hashlib.sha256()
        while chunk := layer.read(_CHUNK_BYTES):
            self._left_bytes -= len(chunk)
            if self._left_bytes < 0:
                raise CommandFailed(f"the image has more than {_LARGEST_IMAGE_BYTES >> 30} GiB")
            hashed.update(chunk)
        return f"sha256:{hashed.hexdigest()}"


def _parts_of(members: tarfile.TarFile, image: Digest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the paths of the layers, and the hashes that they have to have."""
    (entry,) = json.loads(_document(members, "manifest.json"))
    text = _document(members, entry["Config"])
    digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
    if digest != image.text and digest not in _configurations(members, image.text):
        raise CommandFailed(f"the archive is not that of image {image.short}")
    return tuple(entry["Layers"]), tuple(json.loads(text)["rootfs"]["diff_ids"])


def _configurations(members: tarfile.TarFile, digest: str, depth: int = 0) -> set[str]:
    """Return what a manifest, or an index of some, is made of: digests of configurations."""
    path = f"blobs/{digest.replace(':', '/')}"
    if depth > 1 or path not in members.getnames():
        return set()
    text = _document(members, path)
    if f"sha256:{hashlib.sha256(text).hexdigest()}" != digest:
        return set()
    manifest: dict[str, Any] = json.loads(text)
    if "config" in manifest:
        return {manifest["config"]["digest"]}
    found = (_configurations(members, one["digest"], depth + 1) for one in manifest["manifests"])
    return set().union(*found)


def _document(members: tarfile.TarFile, path: str) -> bytes:
    text = _file(members, path).read(_LARGEST_DOCUMENT_BYTES + 1)
    if len(text) > _LARGEST_DOCUMENT_BYTES:
        raise CommandFailed(f"{path[:100]} of an image's archive is too large")
    return text


def _file(members: tarfile.TarFile, path: str) -> _Bytes:
    member = members.getmember(path)
    # Older engines write a layer that is there twice once, and a link to it.
    if member.issym():
        parts = [*path.split("/")[:-1], *member.linkname.split("/")]
        while ".." in parts[1:]:
            at = parts.index("..", 1)
            del parts[at - 1 : at + 1]
        member = members.getmember("/".join(parts))
    file = members.extractfile(member) if member.isreg() else None
    if file is None:
        raise CommandFailed(f"{path[:100]} of an image's archive is no file")
    return file


@contextmanager
def _unpacked(file: _Bytes) -> Iterator[_Bytes]:
    is_packed = file.read(2) == _GZIP
    file.seek(0)
    if not is_packed:
        yield file
        return
    with gzip.open(file) as unpacked:
        yield cast("_Bytes", unpacked)
