"""The table of reason codes, and the page that lists them for people."""

import re
from pathlib import Path

from reconciler.domain.reason_codes import REASONS, ReasonKind

_ROW = re.compile(r"^\| `([a-z-]+)` \| (.+?) \| (.*?) ?\|$", re.MULTILINE)


def test_the_page_lists_what_the_code_has() -> None:
    """Every code, in the same words and the same order, with whether a person has to act."""
    page = (Path(__file__).parents[3] / "docs" / "why.md").read_text()
    stops = len([one for one in REASONS.values() if one.kind is ReasonKind.STOPS])
    rows = _ROW.findall(page)
    assert [row[:2] for row in rows] == [(str(one.code), one.text) for one in REASONS.values()]
    for (_, _, last), one in zip(rows[:stops], REASONS.values(), strict=False):
        assert last == ("yes" if one.needs_person else "")
    for (_, _, last), one in list(zip(rows, REASONS.values(), strict=True))[stops:]:
        assert not one.needs_person
        assert last == {"did": "did", "did-not": "did not", "information": ""}[one.about]
