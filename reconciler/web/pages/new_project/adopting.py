"""What already runs under compose on a host, and projects that are made of it.

The host is asked whenever the page is; what it says is kept nowhere. All that is told of a stack is
a stranger's text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.responses import HTMLResponse, Response

from reconciler.app import Application
from reconciler.domain.errors import (
    HostKeyMismatch,
    HostKeyUnconfirmed,
    HostRefused,
    InvalidInput,
    NotFound,
    ReconcilerError,
    SourceUnreachable,
    TargetUnreachable,
)
from reconciler.domain.host import LOCAL, HostName, parse_host_name
from reconciler.domain.references import ProjectName
from reconciler.domain.stack import Exposed
from reconciler.pipeline.adopting import FoundStack
from reconciler.web.pages.forms import Fields, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.notes import led
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.subjects import About

declaring = router_for(Policy.CONFIG, "pages", About.DAEMON)

#: How many are offered: each may fill two fields of a form, which has a limit.
_AT_ONCE = 30
_CHOSEN, _REACHED = "adopt:", "reached:"
#: What each further stack would fail of, too, after as long a wait.
_NO_WAY = (HostKeyMismatch, HostKeyUnconfirmed, HostRefused, SourceUnreachable, TargetUnreachable)


@dataclass(frozen=True, slots=True)
class Tried:
    """A form that was sent, and what could not be adopted."""

    given: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, ReconcilerError] = field(default_factory=dict)  #: ``""``: of none of them


@dataclass(frozen=True, slots=True)
class StackRow:
    """A stack, what can become of it, and what came of trying."""

    found: FoundStack
    is_offered: bool  #: whether it can be chosen
    is_chosen: bool = False
    reached: str = ""  #: what people reach, as it was given, like ``web:8080``
    error: ReconcilerError | None = None

    @property
    def name(self) -> str:
        """The stack's, which becomes the project's."""
        return self.found.stack.name

    @property
    def services(self) -> Mapping[tuple[str, str], bool]:
        """Each service with an image of it → whether all of its containers run."""
        found: dict[tuple[str, str], bool] = {}
        for one in self.found.stack.containers:
            key = one.service, one.image
            found[key] = found.get(key, True) and one.is_running
        return found


@declaring.get("/new/adopt", include_in_schema=False)
def show_stacks(frame: Framed, host: str = LOCAL) -> HTMLResponse:
    """What runs there, and what can become of it."""
    return _shown(frame, parse_host_name(host))


@declaring.post("/new/adopt", include_in_schema=False)
def adopt_stacks(application: App, frame: Framed, fields: Fields, host: str = LOCAL) -> Response:
    """Make a project of each that was chosen; one that fails takes no other with it."""
    on = parse_host_name(host)
    made, errors = _adopt(application, on, fields)
    if errors:
        return _shown(frame, on, Tried(fields, errors))
    if len(made) == 1:
        return led(f"/projects/{made[0]}", "adopted", made[0])
    return led("/new/adopt", "adopted", " ".join(made), host=on)


def _adopt(
    application: Application, host: HostName, fields: Mapping[str, str]
) -> tuple[Sequence[ProjectName], Mapping[str, ReconcilerError]]:
    """Return those that are projects now, and what went wrong with the others."""
    made, errors = list[ProjectName](), dict[str, ReconcilerError]()
    chosen = [name.removeprefix(_CHOSEN) for name in fields if name.startswith(_CHOSEN)]
    if not chosen:
        errors[""] = InvalidInput("stacks", None, "choose at least one")
    for name in chosen:
        try:
            reached = fields.get(f"{_REACHED}{name}", "").strip()
            exposed = Exposed.parse(reached) if reached else None
            made.append(application.adoption.adopt(host, name, exposed).project.name)
        except ReconcilerError as error:
            errors[name] = error
            if isinstance(error, _NO_WAY):
                break
    return made, errors


def _shown(frame: Frame, host: HostName, tried: Tried | None = None) -> HTMLResponse:
    tried, application = tried or Tried(), frame.application
    rows, trouble = list[StackRow](), None
    try:
        rows = _rows(application.adoption.find(host), tried)
    except NotFound:
        raise
    except ReconcilerError as error:
        trouble = error
    said = {row.name for row in rows}
    others = [error for name, error in tried.errors.items() if name not in said]
    return page(
        frame,
        "new/adopt.html",
        status_of(next(iter(tried.errors.values()), None)),
        host=host,
        hosts=(LOCAL, *(one.name for one in application.store.list_hosts())),
        rows=rows,
        trouble=trouble,
        others=[one for one in others if trouble is None or one.message != trouble.message],
    )


def _rows(stacks: Sequence[FoundStack], tried: Tried) -> list[StackRow]:
    possible = [one.stack.name for one in stacks if one.is_adoptable]
    rows = []
    for one in stacks:
        name = one.stack.name
        row = StackRow(
            one,
            is_offered=name in possible[:_AT_ONCE],
            is_chosen=f"{_CHOSEN}{name}" in tried.given,
            reached=tried.given.get(f"{_REACHED}{name}", ""),
            error=tried.errors.get(name),
        )
        rows.append(row)
    return rows
