"""A line of a program's output as people see it: its colours as classes, all other escapes gone.

``static/log.js`` does the same in the browser: both are held to the same cases by the tests.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reconciler.log import CONTROLS, ESCAPES

#: Digit of a colour → its class. White is what text is anyway.
_COLOURS = ("a-d", "a-r", "a-g", "a-y", "a-b", "a-m", "a-c", "")
#: Source: ECMA-48, 8.3.117 "SGR"; ``:`` between parts of one is of ITU-T T.416, and rare.
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
_BY_NUMBER, _BY_PARTS = 5, 2  #: what follows the code of a colour that is none of the eight


@dataclass(frozen=True, slots=True)
class Run:
    """Some text that looks the same throughout."""

    text: str
    classes: str = ""  #: of the stylesheet


@dataclass(frozen=True, slots=True)
class _Pen:
    colour: str = ""
    bold: bool = False
    faint: bool = False

    @property
    def classes(self) -> str:
        colour = self.colour or ("a-d" if self.faint else "")
        return " ".join(filter(None, (colour, "a-1" if self.bold else "")))


def runs_of(line: str) -> Sequence[Run]:
    """Return what ``line`` shows in the end; of what was written over, the last."""
    if line.isprintable():
        return [Run(line)] if line else []
    shown: list[Run] = []
    for text, classes in _pieces(line.rstrip("\r").rpartition("\r")[2]):
        if shown and shown[-1].classes == classes:
            shown[-1] = Run(shown[-1].text + text, classes)
        elif text:
            shown.append(Run(text, classes))
    return shown


def _pieces(line: str) -> Iterator[tuple[str, str]]:
    pen, end = _Pen(), 0
    for escape in ESCAPES.finditer(line):
        yield CONTROLS.sub("", line[end : escape.start()]), pen.classes
        end = escape.end()
        if found := _SGR.fullmatch(escape[0]):
            pen = _taken_up(pen, found[1])
    yield CONTROLS.sub("", line[end:]), pen.classes


def _taken_up(pen: _Pen, parameters: str) -> _Pen:
    """Return the pen after an SGR sequence; what it asks for besides changes nothing."""
    codes = iter([int(one or 0) if len(one) < 4 else -1 for one in parameters.split(";")])
    for code in codes:
        match code:
            case 0:
                pen = _Pen()
            case 1:
                pen = replace(pen, bold=True)
            case 2:
                pen = replace(pen, faint=True)
            case 22:
                pen = replace(pen, bold=False, faint=False)
            case 38:
                pen = replace(pen, colour=_colour_from(codes))
            case 39:
                pen = replace(pen, colour="")
            case 48:
                _colour_from(codes)
            case _ if 30 <= code < 38 or 90 <= code < 98:
                pen = replace(pen, colour=_COLOURS[code % 10])
    return pen


def _colour_from(codes: Iterator[int]) -> str:
    """Return the class of a colour of the palette; one of its own parts is shown as usual."""
    kind = next(codes, 0)
    if kind == _BY_PARTS:
        for _ in range(3):
            next(codes, 0)
    number = next(codes, -1) if kind == _BY_NUMBER else -1
    return _COLOURS[number % 8] if 0 <= number < 16 else ""
