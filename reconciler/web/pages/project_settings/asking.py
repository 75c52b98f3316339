"""What is asked before something is stored, sent or removed: a page that is shown as a dialog."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import HTMLResponse

from reconciler.domain.errors import ChangedMeanwhile, ReconcilerError
from reconciler.web.pages.forms import SEEN, status_of
from reconciler.web.pages.frame import Frame
from reconciler.web.pages.project_settings.fields import problems_in
from reconciler.web.pages.rendering import page


@dataclass(frozen=True, slots=True)
class Blank:
    """A field to fill in; what is secret is never filled in by us."""

    name: str
    label: str
    kind: str = "text"  #: text, password, area (of several lines), choice, switch or hidden
    hint: str = ""
    value: str = ""  #: what it holds at first
    options: tuple[tuple[str, str], ...] = ()
    required: bool = True
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, what will happen, and the way out."""

    question: str
    act: str  #: the button that does it
    leave: str  #: the one that does not
    back: str  #: where that leads
    will: Sequence[tuple[str, str]] = ()  #: icon and sentence, of what will happen
    blanks: Sequence[Blank] = ()
    removes: bool = False  #: whether something is lost by it


def ask_page(
    frame: Frame,
    ask: Ask,
    error: ReconcilerError | None = None,
    fields: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return the page that asks; with what was typed, but for secrets, where that was wrong."""
    given, names = dict(fields or {}), {one.name for one in ask.blanks if one.kind != "hidden"}
    if isinstance(error, ChangedMeanwhile):
        given.pop(SEEN, None)  # what is shown is what is there now
    values = {
        blank.name: blank.value if blank.secret else given.get(blank.name, blank.value)
        for blank in ask.blanks
    }
    placed: dict[str, list[ReconcilerError]] = {}
    for problem in problems_in(error):
        field = problem.evidence.get("field", "")
        placed.setdefault(field if field in names else "", []).append(problem)
    return page(
        frame,
        "project/ask.html",
        status_of(error),
        ask=ask,
        values=values,
        problems=placed,
    )
