"""Pausing a project, which is a freeze of it, and resuming it."""

from collections.abc import Mapping
from datetime import UTC, datetime

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import InvalidInput, ReconcilerError
from reconciler.domain.references import ProjectName
from reconciler.web.api_freezes import freeze_project, thaw_project
from reconciler.web.pages.acts.asking import NOTHING_TYPED, asked
from reconciler.web.pages.forms import Fields
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.notes import led
from reconciler.web.pages.reader import Reader
from reconciler.web.principal import Policy
from reconciler.web.routing import App, Name, router_for
from reconciler.web.schemas.rules import NewFreeze
from reconciler.web.subjects import About

triggering = router_for(Policy.TRIGGER, "pages", About.PROJECT)

#: How long, in words; empty: until somebody resumes it.
SPANS: Mapping[str, str] = {
    "3600": "for an hour",
    "14400": "for 4 hours",
    "86400": "for a day",
    "604800": "for a week",
    "": "until somebody resumes it",
    "until": "until the time below",
}


@triggering.get("/projects/{name}/pause", include_in_schema=False)
def ask_to_pause(frame: Framed, name: Name) -> HTMLResponse:
    """What pausing would do; of one that is paused, what resuming would."""
    return _page(frame, name)


@triggering.post("/projects/{name}/pause", include_in_schema=False)
def pause(
    application: App, request: Request, frame: Framed, name: Name, fields: Fields
) -> Response:
    """Pause or resume it, as the form says: of two who ask at once nobody undoes the other's."""
    try:
        if fields.get("do") == "resume":
            thaw_project(application, name)
            return led(f"/projects/{name}", "resumed", name)
        freeze_project(application, name, request, wanted_freeze(fields, frame.reader))
    except ReconcilerError as error:
        return _page(frame, name, error, fields)
    return led(f"/projects/{name}", "paused", name)


def wanted_freeze(fields: Mapping[str, str], reader: Reader) -> NewFreeze:
    """Return what the form asks for. Raises ``InvalidInput``."""
    reason, span = fields.get("reason", ""), fields.get("span", "")
    if span not in SPANS:
        raise InvalidInput("span", span, "is not one of those to choose from")
    if span == "until":
        return NewFreeze(reason=reason, until=_moment(fields.get("until", ""), reader))
    return NewFreeze(reason=reason, for_seconds=float(span) if span else None)


def _moment(text: str, reader: Reader) -> datetime:
    """Return the moment that a form's local date and time names, in the reader's zone."""
    try:
        local = datetime.fromisoformat(text)
        return local.replace(tzinfo=local.tzinfo or reader.zone_info).astimezone(UTC)
    except (ValueError, OverflowError):
        problem = "is not a date and time like 2026-11-20T18:00"
        raise InvalidInput("until", text or None, problem) from None


def _page(
    frame: Frame,
    name: ProjectName,
    error: ReconcilerError | None = None,
    typed: Mapping[str, str] = NOTHING_TYPED,
) -> HTMLResponse:
    one = frame.application.summary(name)
    freeze = one.state.freeze
    return asked(
        frame,
        "pause",
        error,
        name=name,
        state=one.state,
        freeze=freeze if freeze and freeze.holds(frame.now) else None,
        spans=SPANS,
        typed=typed,
    )
