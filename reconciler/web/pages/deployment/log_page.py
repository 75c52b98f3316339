"""A deployment's log in pages of many lines: how it is read without a script."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from reconciler.domain.deployment import Deployment
from reconciler.ports import DeploymentStore, LogExtent, LogLine
from reconciler.web.pages.deployment.log_lines import PAGE, Hit, ShownLine, find, shown_lines

if TYPE_CHECKING:
    from markupsafe import Markup

_ROW = (
    '<div class="ln{0}" id="L{1}"><a class="n" href="#L{1}" aria-label="Line {1}" tabindex="-1" '
    'data-n="{1}"></a><span class="t">{2}</span><span>{3}</span></div>\n'
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a log is asked for."""

    text: str = ""  #: what is looked for; empty: nothing
    start: int = 1  #: number of the line to look from
    back: bool = False  #: look before that line
    page: int = 0  #: 0: the one that matters most


@dataclass(frozen=True, slots=True)
class LogPage:
    """One page, and the ways to the others."""

    lines: Sequence[ShownLine]
    extent: LogExtent
    number: int  #: of the page, from 1 on
    hit: Hit | None  #: where it was found what is looked for; None: nowhere
    wanted: str  #: what is looked for; empty: nothing
    first_error: int  #: number of its line; 0: there is none

    @property
    def markup(self) -> "Markup":
        """The lines, as ``static/log.js`` makes them. A template would take thrice as long."""
        from markupsafe import Markup

        return Markup("").join(self._marked_up())

    def _marked_up(self) -> "Iterator[Markup]":
        from markupsafe import Markup

        row = Markup(_ROW)  # noqa: S704  our own text
        stage = Markup('<div class="log-stage">{}</div>')
        run = Markup('<span class="{}">{}</span>')
        here = self.hit.line if self.hit else 0
        for line in self.lines:
            if line.begins:
                yield stage.format(line.begins)
            more = " is-bad" * (line.number == self.first_error) + " is-here" * (
                line.number == here
            )
            text = (
                run.format(one.classes, one.text) if one.classes else one.text for one in line.runs
            )
            yield row.format(more, line.number, line.at, Markup("").join(text))

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(-(-self.extent.count // PAGE), 1)

    @property
    def following(self) -> str:
        """The query that leads to the next place where it is found."""
        return _query(self.wanted, self.hit.line + 1) if self.hit else ""

    @property
    def preceding(self) -> str:
        """The query that leads to the last place before, where it is found."""
        return _query(self.wanted, self.hit.line, back="1") if self.hit else ""


def log_page(
    store: DeploymentStore,
    deployment: Deployment,
    first_error: LogLine | None,
    wanted: Wanted,
) -> LogPage:
    """Return the page that is asked for, or the one that matters most."""
    extent = store.log_extent(deployment.id)
    numbers = store.find_in_log(deployment.id, [wanted.text]) if wanted.text else ()
    hit = find(numbers, wanted.start, back=wanted.back)
    first = first_error.number if first_error else 0
    page = min(wanted.page, -(-extent.count // PAGE)) or _page_of(
        extent, hit.line if hit else first
    )
    if not wanted.page and not hit and not deployment.status.final:
        page = _page_of(extent, extent.last)
    after = extent.number_at((page - 1) * PAGE + 1) - 1
    lines = store.read_log(deployment.id, after=after, limit=PAGE)
    return LogPage(shown_lines(deployment, lines), extent, page, hit, wanted.text, first)


def _page_of(extent: LogExtent, line: int) -> int:
    return max(extent.place_of(line) - 1, 0) // PAGE + 1


def _query(text: str, start: int, **more: str) -> str:
    return urlencode({"find": text, "at": start, **more})
