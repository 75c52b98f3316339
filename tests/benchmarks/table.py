"""How benchmarks show what they measured: ours beside theirs, and the ratio of the two."""

from collections.abc import Sequence
from dataclasses import dataclass

_NOTHING = "–"


@dataclass(frozen=True)
class Row:
    """One figure; ``theirs`` is None where there is nothing to compare with."""

    what: str  #: with its unit, e.g. ``CPU, ms``
    ours: float
    theirs: float | None = None
    note: str = ""  #: e.g. the aim


def print_table(title: str, rows: Sequence[Row], *, ours: str = "ours", theirs: str = "") -> None:
    """Print ``rows``; without ``theirs`` there is no column to compare with."""
    heads = [title, ours, *([theirs, "ratio"] if theirs else []), ""]
    cells = [
        [
            row.what,
            number(row.ours),
            *([_NOTHING if row.theirs is None else number(row.theirs), ratio(row)] * bool(theirs)),
            row.note,
        ]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    print()
    for line in (heads, ["─" * width for width in widths], *cells):
        print(_line(line, widths))


def number(value: float) -> str:
    """Return three digits that matter, and no exponent."""
    if value and abs(value) < 0.01:
        return f"{value:.4f}"
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}"


def ratio(row: Row) -> str:
    """Return ours as a part or a multiple of theirs: ``1/51`` or ``1.13×``."""
    if row.theirs is None or row.theirs <= 0 or row.ours <= 0:
        return _NOTHING
    if row.ours * 2 < row.theirs:
        return f"1/{number(row.theirs / row.ours)}"
    return f"{row.ours / row.theirs:.2f}×"


def median(values: Sequence[float]) -> float:
    """Return the middle one."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *middle, last = zip(cells, widths, strict=True)
    shown = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in middle), last[0]]
    return "  ".join(shown).rstrip()
