"""The stylesheet's colours: each pair that is used can be told apart, in light and in dark.

WCAG 2.2, AA: 4.5 for text, 3 for what marks a control.
"""

import re
from collections.abc import Iterator, Mapping

import pytest

from reconciler.web.pages.rendering import static_file

STATES = ("ok", "run", "hold", "fail", "back", "off")
SURFACES = tuple(f"surface-{number}" for number in range(4))
TINTS = tuple(f"{state}-tint" for state in STATES)
TEXT, CONTROL = 4.5, 3.0

Colours = Mapping[str, str]


def pairs() -> Iterator[tuple[str, str, float]]:
    """Yield each colour, what it stands on, and the contrast that it needs."""
    for ground in (*SURFACES, *TINTS):
        yield "text-1", ground, TEXT
        yield "text-2", ground, TEXT
    for ground in SURFACES:
        yield "text-3", ground, TEXT
        yield "focus", ground, CONTROL
        for state in STATES:
            yield state, ground, TEXT
    for ground in SURFACES[:3]:
        yield "line-control", ground, CONTROL
    for state in (*STATES, "add", "del"):
        yield state, f"{state}-tint", TEXT
    yield "ink-text", "ink", TEXT
    yield "danger-text", "danger", TEXT


def colours(theme: int) -> Colours:
    """Return the tokens of one theme, 0 for light and 1 for dark."""
    style = static_file("style.css").decode()
    found = dict(re.findall(r"--([\w-]+):\s*light-dark\((#\w{6},\s*#\w{6})\)", style))
    same = dict(re.findall(r"--([\w-]+):\s*(#\w{6});", style))
    return same | {name: re.split(r",\s*", both)[theme] for name, both in found.items()}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_pair_can_be_told_apart(theme: int) -> None:
    known = colours(theme)
    bad = {
        (colour, ground): round(found, 2)
        for colour, ground, needed in pairs()
        if (found := contrast(known[colour], known[ground])) < needed
    }
    assert bad == {}


def test_contrast_itself() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
