"""One's own account: how one likes the pages, the password, and where one is signed in."""

from contextlib import suppress
from functools import cache
from zoneinfo import available_timezones

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import InvalidInput, NotFound, ReconcilerError
from reconciler.pipeline.people.sessions import IDLE
from reconciler.web.cookies import browser_of
from reconciler.web.pages.forms import Fields, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.reader import Reader, known_zone
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.sessions import Own, session_of
from reconciler.web.subjects import About

known = router_for(Policy.KNOWN, "pages", About.NOTHING)

#: What a note says was done.
_DONE = {
    "kept": "Kept. This browser shows the pages so from now on.",
    "password": "The password is another one now. Your other sessions have ended.",
    "ended": "The session has ended.",
}


@known.get("/me", include_in_schema=False)
def show_me(frame: Framed, request: Request, did: str = "") -> HTMLResponse:
    """Who one is here, what one may do, and how one likes it."""
    return _page(frame, request, done=_DONE.get(did, ""))


@known.post("/me/reader", include_in_schema=False)
def change_reader(frame: Framed, request: Request, fields: Fields) -> Response:
    """Keep in this browser how somebody likes their pages."""
    zone = fields.get("zone", "").strip() or "UTC"
    wanted = Reader.of_fields({**fields, "zone": zone})
    if not known_zone(zone):
        error = InvalidInput("zone", zone, "is no time zone like Europe/Berlin")
        return _page(frame, request, error, zone=zone)
    response = go("/me?did=kept")
    wanted.keep(request, response)
    return response


@known.post("/me/password", include_in_schema=False)
def change_password(
    application: App, frame: Framed, request: Request, own: Own, fields: Fields
) -> Response:
    """Change it, or say beside the field why not."""
    present, new = fields.get("present", ""), fields.get("new", "")
    try:
        application.people.accounts.change_own_password(own, present, new, browser_of(request))
    except ReconcilerError as error:
        return _page(frame, request, error)
    return go("/me?did=password")


@known.post("/me/sessions/{session}/end", include_in_schema=False)
def end_session(application: App, session: str, own: Own, fields: Fields) -> Response:
    """End one of one's own; what is over already is fine."""
    del fields  # looked at by what reads them
    with suppress(NotFound):
        application.store.remove_session(session, own.person)
    return go("/me?did=ended")


@known.get("/keys", include_in_schema=False)
def show_keys(frame: Framed) -> HTMLResponse:
    """Every key that does something."""
    return page(frame, "keys.html")


def _page(
    frame: Frame,
    request: Request,
    error: ReconcilerError | None = None,
    *,
    zone: str = "",
    done: str = "",
) -> HTMLResponse:
    store, own = frame.application.store, session_of(request)
    return page(
        frame,
        "me.html",
        status_of(error),
        error=error,
        done=done,
        zone=zone or frame.reader.zone,
        zones=_zones(),
        own=own,
        person=store.get_person(own.person) if own else None,
        sessions=store.list_sessions(frame.now, IDLE, own.person) if own else (),
    )


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))
