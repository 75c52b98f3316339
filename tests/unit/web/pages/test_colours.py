"""Lines of programs' output as the server shows them."""

import pytest

from reconciler.web.pages.deployment.colours import runs_of
from tests.parts.coloured_lines import CASES


@pytest.mark.parametrize(("line", "seen"), CASES)
def test_only_text_and_its_colours_are_shown(line: str, seen: list[tuple[str, str]]) -> None:
    assert [(one.text, one.classes) for one in runs_of(line)] == seen
