"""Symlinks of a commit: those that stay inside, and those that could lead out."""

import pytest

from reconciler.adapters.git.tree import leads_out


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("link", "file"),
        ("link", "folder/file"),
        ("a/link", "../file"),
        ("a/b/link", "../../c/file"),
        ("a/link", "./file"),
    ],
)
def test_links_that_stay(path: str, target: str) -> None:
    """Ways that end inside are taken."""
    assert not leads_out(path, target)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("link", "/etc/passwd"),
        ("link", ".."),
        ("link", "../x"),
        ("a/link", "../.."),
        ("a/link", "../../x"),
        ("a/link", "b/../../../x"),
        ("link", "other-link/../x"),
        ("link", ""),
    ],
)
def test_links_that_could_lead_out(path: str, target: str) -> None:
    """Ways out, and ways whose end depends on another link, are not."""
    assert leads_out(path, target)
