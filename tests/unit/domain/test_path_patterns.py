"""Which paths concern a project."""

import pytest

from reconciler.domain.errors import InvalidInput
from reconciler.domain.path_patterns import PathPattern, any_fits


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("apps/shop", "apps/shop/main.py", True),
        ("apps/shop/", "apps/shop/deep/main.py", True),
        ("apps/shop", "apps/shopping/main.py", False),
        ("apps/shop", "other/apps/shop/main.py", False),
        ("compose.yaml", "compose.yaml", True),
        ("compose.yaml", "compose.yaml.bak", False),
        ("*.md", "README.md", True),
        ("*.md", "docs/README.md", False),
        ("**/*.sql", "db/deep/one.sql", True),
        ("**/*.sql", "one.sql", True),
        ("apps/*/deploy", "apps/shop/deploy/x", True),
        ("apps/*/deploy", "apps/shop/inner/deploy/x", False),
        ("a.b", "aXb", False),
        ("**", "any/thing", True),
        ("apps/**", "apps", True),
        ("a/**/**/b", "a/x/y/b", True),
        ("a/**/*", "a", False),
        ("*a*b", "xaxb/below", True),
        ("*a*b", "xaxbx", False),
        ("a", "a\nb", False),
    ],
)
def test_a_pattern_stands_for_what_it_names_and_all_below(
    pattern: str, path: str, *, fits: bool
) -> None:
    """Whole parts count, so that one name does not stand for a longer one."""
    assert any_fits([PathPattern.parse(pattern)], [path]) is fits


@pytest.mark.parametrize(
    "text",
    ["", "/", "/apps", "a//b", "../x", "a/./b", "a\n", "a\\b", "a**", "**/**/**/a", "x" * 257],
)
def test_what_can_be_no_path_is_refused(text: str) -> None:
    """With the field that it was given for."""
    with pytest.raises(InvalidInput, match="watch_paths"):
        PathPattern.parse(text)


def test_many_stars_take_no_longer() -> None:
    """A pattern comes from an operator, a path from a stranger."""
    pattern = PathPattern.parse("**/a*a*a*a*/**/b")
    assert not pattern.fits("/".join(["a" * 250] * 40))
    assert not pattern.fits("/".join(["aaaa"] * 1000))
