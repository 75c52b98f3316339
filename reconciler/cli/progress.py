"""What is seen of a deployment under way: its lines, and its stages with the time they take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from reconciler.cli import show
from reconciler.cli.client import JsonObject, items_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.table import Table

_BAR_WIDTH = 20


class Progress(Protocol):
    """Whoever is told what happens."""

    def line(self, line: JsonObject) -> None:
        """Show one line of output."""

    def state(self, deployment: JsonObject) -> None:
        """Show where the deployment stands."""


@contextmanager
def progress(out: "Console", deployment: JsonObject) -> Iterator[Progress]:
    """Give what shows a deployment, which stands so now, on ``out`` until the block ends."""
    if not out.is_terminal:
        yield _Plain(out, deployment)
        return
    live = _Live(out, deployment)
    with live.display:
        yield live


def line_of(line: JsonObject) -> str:
    """Return one line of a deployment's output as it is shown: its stage, then its text."""
    text = show.word(line, "text")
    # Compose begins its own lines with one space; what is indented further is so for a reason.
    text = text if text.startswith("  ") else text.removeprefix(" ")
    return f"{show.word(line, 'stage'):<9} {text}"


def show_stages(deployment: JsonObject) -> None:
    """Print a table of the stages, how long each took, and how long it usually takes."""
    show.table(
        ("STAGE", "TOOK", "USUALLY", "OUTCOME"),
        (
            (
                show.word(one, "stage"),
                _seconds(one.get("seconds")),
                _seconds(one.get("usual_seconds")),
                show.word(one, "outcome") or ("" if "started_at" not in one else "under way"),
            )
            for one in (*items_of(deployment, "stages"), *items_of(deployment, "ahead"))
        ),
        empty="no stage has begun",
    )


class _Plain:
    """Output that is no terminal: one line a line, and one for each stage that begins."""

    def __init__(self, out: "Console", deployment: JsonObject) -> None:
        self._out = out
        self._told = len(items_of(deployment, "stages"))
        self._ahead = items_of(deployment, "ahead")
        self._early: list[str] = []  #: stages that were told by their first line

    def line(self, line: JsonObject) -> None:
        names = [show.word(one, "stage") for one in self._ahead]
        if (stage := show.word(line, "stage")) in names:
            # The lines of a short stage come before the news of it.
            until = names.index(stage) + 1
            self._begins(self._ahead[until - 1])
            self._early.append(stage)
            self._ahead = self._ahead[until:]
        self._say(line_of(line))

    def state(self, deployment: JsonObject) -> None:
        stages = items_of(deployment, "stages")
        for one in stages[self._told :]:
            if show.word(one, "stage") in self._early:
                self._early.remove(show.word(one, "stage"))
            else:
                self._begins(one)
        self._told, self._ahead = len(stages), items_of(deployment, "ahead")

    def _begins(self, stage: JsonObject) -> None:
        self._say(f"{show.word(stage, 'stage'):<9} begins{_in_brackets(stage)}")

    def _say(self, text: str) -> None:
        self._out.print(text)
        self._out.file.flush()


class _Live:
    """A terminal: the lines, and below them the stages, each with the time it has taken."""

    display: "Live"

    def __init__(self, out: "Console", deployment: JsonObject) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._out = out
        self._spinner = Spinner("dots", style="cyan")
        self._deployment = deployment
        self._began: dict[str, float] = {}
        self.display = Live(
            console=out, get_renderable=self._render, refresh_per_second=8, transient=True
        )

    def line(self, line: JsonObject) -> None:
        self._out.print(line_of(line))

    def state(self, deployment: JsonObject) -> None:
        self._deployment = deployment

    def _render(self) -> "RenderableType":
        from rich.console import Group

        return Group(self._heading(), self._stages())

    def _heading(self) -> "RenderableType":
        one = self._deployment
        number, name = show.word(one, "id"), show.word(one, "project")
        parts = [f"deployment {number} of {name}", show.short(one, "revision", "commit")]
        if show.word(one, "status") != "running":
            parts.append(show.word(one, "status"))
        return show.styled("  ".join(filter(None, parts)), "bold")

    def _stages(self) -> "Table":
        from rich.table import Table

        made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        for one in items_of(self._deployment, "stages"):
            made.add_row(*self._begun(one))
        for one in items_of(self._deployment, "ahead"):
            name = show.styled(show.word(one, "stage"), "dim")
            made.add_row("", name, "", show.styled(_in_brackets(one).strip(), "dim"))
        return made

    def _begun(self, one: JsonObject) -> "Iterator[RenderableType]":
        """Yield mark, name, time so far, usual time, and of the one under way a bar."""
        from rich.progress_bar import ProgressBar

        took, usual = one.get("seconds"), one.get("usual_seconds")
        ended = isinstance(took, int | float)
        well = show.word(one, "outcome") == "ok"
        elapsed = took if isinstance(took, int | float) else self._elapsed(one)
        done = show.styled("✓", "green") if well else show.styled("✗", "red")
        yield done if ended else self._spinner
        yield show.word(one, "stage")
        yield _seconds(elapsed)
        yield show.styled(_in_brackets(one).strip(), "dim")
        if not ended and isinstance(usual, int | float) and usual > 0:
            yield ProgressBar(usual, elapsed, width=_BAR_WIDTH)

    def _elapsed(self, stage: JsonObject) -> float:
        """Return how long a stage has gone on, by this machine's clock from the first sight on."""
        key = f"{show.word(stage, 'stage')} {show.word(stage, 'started_at')}"
        if key not in self._began:
            self._began[key] = time.monotonic() - _age(show.word(stage, "started_at"))
        return time.monotonic() - self._began[key]


def _age(text: str) -> float:
    """Return seconds since an instant; none where the other machine's clock is ahead of ours."""
    try:
        return max((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 0.0


def _seconds(value: object) -> str:
    return f"{value:.1f} s" if isinstance(value, int | float) else ""


def _in_brackets(stage: JsonObject) -> str:
    usual = _seconds(stage.get("usual_seconds"))
    return f" (usually {usual})" if usual else ""
