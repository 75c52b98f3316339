"""Unit tests for revisions."""

from reconciler.domain.references import CommitSha, Digest
from reconciler.domain.revision import Revision

COMMIT = CommitSha.parse("1f2e3d4c" + "0" * 32)
DIGEST = Digest.parse("sha256:" + "a" * 64)


def test_it_is_called_by_what_it_has() -> None:
    """A unit's has a commit alone, an image's no commit: neither tells of what it can't have."""
    assert str(Revision(COMMIT)) == "1f2e3d4c"
    assert str(Revision(COMMIT, {"app:1": DIGEST})) == "1f2e3d4c + 1 image"
    assert str(Revision(None, {"app:1": DIGEST, "db:2": DIGEST})) == "2 images"
