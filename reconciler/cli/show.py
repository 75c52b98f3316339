"""What a terminal gets to see: tables that line up, colours where there are any, spoken times."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from reconciler.log import plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

#: Output that is no terminal has no width; tables take what they need.
_WIDE = 100_000
#: Spaces between two columns.
_GAP = 2
#: The least that prose needs to be read beside other columns.
_LEAST_PROSE = 30

_STYLES = {
    **dict.fromkeys(("deployed", "verified", "in-sync", "ready", "ok", "on"), "green"),
    **dict.fromkeys(
        (
            *("failed", "needs-operator", "failing", "branch-gone"),
            *("host-key-changed", "host-refused", "target-unreachable"),
        ),
        "red",
    ),
    **dict.fromkeys(
        (
            *("rolled-back", "quarantined", "held", "needs-approval", "draining", "unconfirmed"),
            *("drifted", "unknown"),
        ),
        "yellow",
    ),
    **dict.fromkeys(("queued", "running", "deploying", "starting"), "cyan"),
    **dict.fromkeys(
        ("off", "superseded", "withdrawn", "never-deployed", "nothing-to-deploy"), "dim"
    ),
}


def console(*, error: bool = False) -> "Console":
    """Return a console on stdout or stderr; nothing in what it prints is markup."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    return Console(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
        width=None if stream.isatty() else _WIDE,
    )


def pick(value: object, *path: str) -> object:
    """Return what is at ``path`` within objects; None where there is nothing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def word(value: object, *path: str) -> str:
    """Return what is at ``path`` as one line that is safe to show; empty for nothing."""
    found = pick(value, *path)
    if found is None:
        return ""
    if isinstance(found, bool):
        return "yes" if found else "no"
    return plain(found if isinstance(found, str) else json.dumps(found))


def listed(value: object, *path: str) -> list[str]:
    """Return each of a list at ``path`` as ``word`` does; empty where there is none."""
    found = pick(value, *path)
    return [word(item) for item in found] if isinstance(found, list) else []


def words(value: object, *path: str) -> str:
    """Return a list at ``path`` with commas between."""
    return ", ".join(listed(value, *path))


def short(value: object, *path: str) -> str:
    """Return a commit or digest at ``path`` as short as people say it."""
    return word(value, *path).removeprefix("sha256:")[:8]


def styled(text: str, style: str) -> "Text":
    """Return ``text`` in ``style``, made safe to show."""
    from rich.text import Text

    return Text(plain(text), style=style)


def stated(state: str) -> "Text":
    """Return the name of a state in its colour."""
    return styled(state, _STYLES.get(state, ""))


def _cell(value: "str | Text") -> "Text":
    """Return a cell; text that names a state has that state's colour."""
    return stated(value) if isinstance(value, str) else value


def ago(value: object, *path: str, now: datetime | None = None) -> str:
    """Return an instant of the API as ``3 min ago`` or ``in 40 s``; empty for none."""
    text = word(value, *path)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    if at.tzinfo is None:
        return text
    seconds = ((now or datetime.now(UTC)) - at).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """Return a duration in its largest fitting unit: ``40 s``, ``3 min``, ``5 h``, ``2 days``."""
    for limit, unit_seconds, unit in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit_seconds:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def table(headings: Sequence[str], rows: Iterable[Sequence["str | Text"]], empty: str = "") -> None:
    """Print rows below their headings; ``empty`` where there are none.

    Columns that say nothing are left out. The last one is prose: it wraps, and where little room
    is left beside the others it stands below them, with those that don't fit either.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    if not cells:
        note(empty or "nothing yet")
        return
    told = [number for number in range(len(headings)) if any(row[number] for row in cells)] or [0]
    columns = [[styled(headings[one], "bold"), *(row[one] for row in cells)] for one in told]
    out = console()
    prose = max(len(cell) for cell in columns[-1])
    room = out.width - sum(max(len(cell) for cell in column) + _GAP for column in columns[:-1])
    if room >= min(prose, _LEAST_PROSE):
        _print(_grid(columns))
    else:
        _print_in_two_lines(_fitting(columns, out.width))


def indented(text: str, style: str) -> "RenderableType":
    """Return ``text`` in ``style``, all of its lines a little to the right."""
    from rich.padding import Padding

    return Padding(styled(text, style), (0, 0, 0, _GAP))


def facts(pairs: Iterable[tuple[str, "RenderableType"]], style: str = "bold") -> None:
    """Print ``name  value`` lines that line up; those without a value are left out."""
    told = [
        (styled(name, style), _cell(value) if isinstance(value, str) else value)
        for name, value in pairs
        if value
    ]
    if told:
        _print(_grid(list(zip(*told, strict=True))))


def paragraph(text: str, style: str = "") -> None:
    """Print prose: on a terminal its lines break between words."""
    _print(styled(text, style))


def _grid(columns: Sequence[Sequence["RenderableType"]]) -> "Table":
    """Return columns that line up, the last as wide as the terminal lets it."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=False)
    for number in range(len(columns)):
        made.add_column(overflow="fold", no_wrap=number < len(columns) - 1)
    for row in zip(*columns, strict=True):
        made.add_row(*row)
    return made


def _fitting(columns: Sequence[Sequence["Text"]], width: int) -> list[Sequence["Text"]]:
    """Return the first columns that fit side by side, at least one, and the others as prose."""
    from rich.text import Text

    fitting, room = 1, width - max(len(cell) for cell in columns[0])
    for column in columns[1:-1]:
        room -= max(len(cell) for cell in column) + _GAP
        if room < 0:
            break
        fitting += 1
    rest = zip(*map(_named, columns[fitting:-1]), columns[-1], strict=True)
    prose = [Text(" " * _GAP).join(cell for cell in row if cell) for row in rest]
    return [*columns[:fitting], prose]


def _named(column: Sequence["Text"]) -> Sequence["Text"]:
    """Return a column whose cells say what they are, for where its heading is not above them."""
    name = column[0].plain.lower()
    return [column[0], *(styled(f"{name} ", "dim") + cell if cell else cell for cell in column[1:])]


def _print_in_two_lines(columns: Sequence[Sequence["Text"]]) -> None:
    """Print each row, and what its last column says below it."""
    from rich.padding import Padding

    lines = _lines(_grid(columns[:-1]))
    for number, (line, prose) in enumerate(zip(lines, columns[-1], strict=True)):
        sys.stdout.write(f"{line}\n")
        if prose and number:  # its heading would say nothing there
            _print(Padding(prose, (0, 0, 0, _GAP)))


def _print(made: "RenderableType") -> None:
    sys.stdout.write("".join(f"{line}\n" for line in _lines(made)))


def _lines(made: "RenderableType") -> list[str]:
    """Return what is printed, without spaces at the end of lines."""
    out = console()
    with out.capture() as captured:
        out.print(made, soft_wrap=False)
    return [line.rstrip() for line in captured.get().splitlines()]


def say(text: str, style: str = "") -> None:
    """Print one line on stdout."""
    console().print(styled(text, style))


def note(text: str) -> None:
    """Print one line for people on stderr, so that stdout stays data."""
    sys.stdout.flush()
    console(error=True).print(styled(text, "dim"))


def notes(answer: object) -> None:
    """Print what the API has a person know of what it did."""
    for line in listed(answer, "notes"):
        note(line)


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Say on a terminal what is waited for, until the block ends; nothing is printed within it."""
    out = console(error=True)
    if not out.is_terminal:
        yield
        return
    with out.status(styled(text, "dim")):
        yield


def fail(text: str) -> None:
    """Print the one line of an error."""
    sys.stdout.flush()
    console(error=True).print(styled(f"error: {text}", "red"))


def as_json(value: object) -> None:
    """Print what the API said. Escaped to ASCII: no terminal takes orders from it."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
