"""What a registry tells of one exact image: how large it is, and when it was made."""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.domain.errors import InvalidReference, SourceProtocolError
from reconciler.domain.references import Digest
from reconciler.ports import ImageFacts

#: What is asked for → its bytes: a part of the path, ``manifests`` or ``blobs``, and a digest.
Fetch = Callable[[str, Digest], bytes]

_MOST_LAYERS = 1000
_LARGEST = 1 << 50
#: What base images that are built reproducibly say: as if they said nothing.
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)


def facts_of(fetch: Fetch, digest: Digest, platform: str) -> ImageFacts:
    """Return what there is to know of the image ``digest``, for ``platform``.

    Raises:
        SourceProtocolError: what was fetched is not what its digest says, or no image.
    """
    manifest = _object(fetch, "manifests", digest)
    if "manifests" in manifest:
        found = _find_platform(manifest["manifests"], platform)
        if found is None:
            return ImageFacts()
        manifest = _object(fetch, "manifests", found)
    layers = manifest.get("layers")
    if not isinstance(layers, list) or len(layers) > _MOST_LAYERS:
        return ImageFacts()
    sizes = [layer.get("size") if isinstance(layer, dict) else None for layer in layers]
    known = [size for size in sizes if isinstance(size, int) and 0 <= size <= _LARGEST]
    size_bytes = sum(known) if len(known) == len(sizes) else None
    return ImageFacts(size_bytes, _created(fetch, manifest.get("config")))


def parts_of(fetch: Fetch, digest: Digest) -> frozenset[Digest]:
    """Return the images that the index ``digest`` is made of; none where it is no index.

    Raises:
        SourceProtocolError: as ``facts_of``.
    """
    entries = _object(fetch, "manifests", digest).get("manifests")
    found = map(_digest_in, entries) if isinstance(entries, list) else ()
    return frozenset(part for part in found if part is not None)


def _created(fetch: Fetch, config: object) -> datetime | None:
    digest = _digest_in(config)
    if digest is None:
        return None
    try:
        at = datetime.fromisoformat(str(_object(fetch, "blobs", digest).get("created")))
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # no time, or one beyond all calendars
        return None
    return at if at > _EARLIEST else None


def _find_platform(entries: object, platform: str) -> Digest | None:
    """Return the first image of an index that is for ``platform``, e.g. ``linux/amd64``."""
    for entry in entries if isinstance(entries, list) else ():
        said = entry.get("platform") if isinstance(entry, dict) else None
        if isinstance(said, dict) and f"{said.get('os')}/{said.get('architecture')}" == platform:
            return _digest_in(entry)
    return None


def _digest_in(descriptor: object) -> Digest | None:
    try:
        return Digest.parse(str(descriptor.get("digest")) if isinstance(descriptor, dict) else "")
    except InvalidReference:
        return None


def _object(fetch: Fetch, kind: str, digest: Digest) -> Mapping[str, Any]:
    content = fetch(kind, digest)
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest.text:
        raise SourceProtocolError(f"the registry gave something else than {digest.short}")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SourceProtocolError(f"{digest.short} is no image")
    return found
