"""What of a registry's answer is believed."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.adapters.registry.facts import facts_of
from reconciler.domain.errors import SourceProtocolError
from reconciler.domain.references import Digest
from reconciler.ports import ImageFacts

PLATFORM = "linux/amd64"


class Shelf:
    """Manifests and configurations by their digest."""

    def __init__(self) -> None:
        self.contents: dict[Digest, bytes] = {}

    def put(self, document: object) -> Digest:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        digest = Digest(f"sha256:{hashlib.sha256(content).hexdigest()}")
        self.contents[digest] = content
        return digest

    def image(self, layers: object, created: object = None) -> Digest:
        config = self.put({"created": created})
        return self.put({"config": {"digest": config.text}, "layers": layers})

    def facts(self, digest: Digest) -> ImageFacts:
        return facts_of(lambda _kind, part: self.contents[part], digest, PLATFORM)


@pytest.mark.parametrize(
    ("layers", "size_bytes"),
    [
        ([{"size": 3}, {"size": 4}], 7),
        ([], 0),
        ([{"size": -1}], None),
        ([{"size": 1 << 60}], None),
        ([{"size": "3"}], None),
        (["x"], None),
    ],
)
def test_a_size_is_the_sum_or_not_known(layers: list[Any], size_bytes: int | None) -> None:
    """Nobody is told a size that is half of it."""
    shelf = Shelf()
    assert shelf.facts(shelf.image(layers)).size_bytes == size_bytes


@pytest.mark.parametrize(
    ("created", "at"),
    [
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)),
        ("2026-01-02T03:04:05+01:00", datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-23:00", None),
        ("yesterday", None),
        (5, None),
        (None, None),
    ],
)
def test_an_age_is_known_only_where_it_is_told(created: object, at: datetime | None) -> None:
    """Reproducible builds tell the beginning of time, which says nothing."""
    shelf = Shelf()
    assert shelf.facts(shelf.image([], created)).created_at == at


def test_what_is_no_image_is_refused() -> None:
    """Something else than what the digest says, or nothing that could be read."""
    shelf = Shelf()
    for content in (b"[1]", b"<html>", b"[" * 100_000):
        with pytest.raises(SourceProtocolError):
            shelf.facts(shelf.put(content))
    other = Digest(f"sha256:{'0' * 64}")
    shelf.contents[other] = b"{}"
    with pytest.raises(SourceProtocolError, match="something else"):
        shelf.facts(other)
    image = shelf.image([{"size": 1}])
    index = {"manifests": ["x", {"platform": 1}, {"platform": {"os": "linux"}}]}
    assert shelf.facts(shelf.put(index)) == ImageFacts()
    index["manifests"].append(
        {"platform": {"os": "linux", "architecture": "amd64"}, "digest": image.text}
    )
    assert shelf.facts(shelf.put(index)).size_bytes == 1
