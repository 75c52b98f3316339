"""Pages: whatever comes and goes meanwhile, nothing else is lost or comes twice."""

import base64

import pytest

from reconciler.domain.errors import InvalidInput
from reconciler.web.pagination import Page


def names_of(page: Page, things: list[str]) -> tuple[list[str], str | None]:
    found, following = page.by_name(things, str)
    return list(found), following


def test_pages_by_name() -> None:
    """Every page goes on where the one before ended, in order; the last says so."""
    first, following = names_of(Page(2, None), ["d", "b", "a", "c"])
    assert first == ["a", "b"]
    second, none = names_of(Page(2, following), ["d", "b", "a", "c"])
    assert (second, none) == (["c", "d"], None)
    assert names_of(Page(9, None), []) == ([], None)


def test_what_comes_and_goes_meanwhile() -> None:
    """The last one of a page may be gone, others may have come: the next page has the rest."""
    first, following = names_of(Page(2, None), ["a", "c", "e", "g"])
    assert first == ["a", "c"]
    assert names_of(Page(9, following), ["a", "b", "d", "e", "g"]) == (["d", "e", "g"], None)


def test_the_newest_first() -> None:
    """The cursor is the number that the rest is below."""
    page = Page(2, None)
    assert page.before() is None
    found, following = page.cut([9, 7, 4], int)
    assert list(found) == [9, 7]
    assert Page(2, following).before() == 7
    assert page.cut([9, 7], int) == ([9, 7], None)


@pytest.mark.parametrize("text", ["-1", "0", "x", "", "٣", str(2**63), "9" * 500])
def test_no_number_of_ours(text: str) -> None:
    """What was never given out as a cursor is refused by its name."""
    cursor = base64.urlsafe_b64encode(text.encode()).decode()
    with pytest.raises(InvalidInput) as refused:
        Page(2, cursor or "x").before()
    assert refused.value.field == "cursor"


@pytest.mark.parametrize("cursor", ["a", "%%%%", "gICA", "ü"])
def test_no_cursor_at_all(cursor: str) -> None:
    """The same of what is no base64 of text."""
    with pytest.raises(InvalidInput):
        Page(2, cursor).by_name([], str)
