"""The pages to come in by, and the way out: plain forms that need no script."""

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.access import Role
from reconciler.domain.errors import InvalidInput, ReconcilerError, TooManyTries
from reconciler.pipeline.people.first_start import NewAdmin
from reconciler.pipeline.people.sign_in import SignedIn
from reconciler.web.cookies import browser_mark, browser_of, enter, leave, read
from reconciler.web.own_pages import START, own_path
from reconciler.web.pages.forms import Fields, go, status_of
from reconciler.web.pages.reader import COOKIE, Reader, known_zone
from reconciler.web.pages.rendering import bare_page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.sessions import Own
from reconciler.web.sign_in_elsewhere import ways_elsewhere
from reconciler.web.subjects import About

open_to_all = router_for(Policy.OPEN, "pages", About.NOTHING)
known = router_for(Policy.KNOWN, "pages", About.NOTHING)


@open_to_all.get("/sign-in", include_in_schema=False)
def show_sign_in(application: App, request: Request, next: str = START) -> HTMLResponse:  # noqa: A002
    """Two fields, and who else may say who somebody is."""
    first = not application.store.has_admin(application.clock.now())
    return _sign_in_page(request, {"next": next}, first=first)


@open_to_all.post("/sign-in", include_in_schema=False)
def sign_in(application: App, request: Request, fields: Fields) -> Response:
    """Sign in, or say in words why not: one message for every failure."""
    name, browser, mark = fields.get("name", ""), browser_of(request), browser_mark(request.scope)
    people, password = application.people, fields.get("password", "")
    try:
        signed_in = people.sign_in.sign_in(name, password, browser, mark)
    except ReconcilerError as error:
        return _refused(error, _sign_in_page(request, fields, error))
    return _entered(request, signed_in, own_path(fields.get("next", "")), fields.get("zone", ""))


@open_to_all.get("/set-up", include_in_schema=False)
def show_set_up(application: App, request: Request) -> HTMLResponse:
    """The first start's form, or that it is over, and since when."""
    if application.store.has_admin(application.clock.now()):
        admins = (one for one in application.store.list_people() if one.role is Role.ADMIN)
        since = min((one.created_at for one in admins), default=None)
        return bare_page(request, "set_up_over.html", since=since)
    return _set_up_page(request, {})


@open_to_all.post("/set-up", include_in_schema=False)
def set_up(application: App, request: Request, fields: Fields) -> Response:
    """Make the first admin, or say beside the field why not; then on to the first project."""
    people, browser, zone = application.people, browser_of(request), fields.get("zone", "").strip()
    wanted = NewAdmin(*(fields.get(one, "") for one in ("token", "name", "password")))
    try:
        if zone and not known_zone(zone):
            raise InvalidInput("zone", zone, "is no time zone like Europe/Berlin")
        signed_in = people.set_up(wanted, browser)
    except ReconcilerError as error:
        return _refused(error, _set_up_page(request, fields, error))
    return _entered(
        request, signed_in, START if application.store.list_projects() else "/new", zone
    )


@known.post("/sign-out", include_in_schema=False)
def sign_out(application: App, request: Request, own: Own, fields: Fields) -> Response:
    """The session ends here, not only in the browser."""
    del fields  # looked at by what reads them
    application.store.remove_session(own.id)
    response = go("/sign-in")
    leave(request, response)
    return response


def _sign_in_page(
    request: Request,
    fields: Fields,
    error: ReconcilerError | None = None,
    *,
    first: bool = False,
) -> HTMLResponse:
    return bare_page(
        request,
        "sign_in.html",
        status_of(error),
        first=first,
        error=error,
        name=fields.get("name", ""),
        then=own_path(fields.get("next", "")),
        elsewhere=ways_elsewhere(request),
    )


def _set_up_page(
    request: Request, fields: Fields, error: ReconcilerError | None = None
) -> HTMLResponse:
    return bare_page(request, "set_up.html", status_of(error), error=error, given=fields)


def _refused(error: ReconcilerError, answer: HTMLResponse) -> HTMLResponse:
    if isinstance(error, TooManyTries):
        answer.headers["retry-after"] = str(error.wait_seconds)
    return answer


def _entered(request: Request, signed_in: SignedIn, path: str, zone: str) -> Response:
    """Lead on; whose browser was never told how they like their pages has its own time zone."""
    response = go(path)
    enter(request, response, signed_in)
    if known_zone(zone) and not read(request.scope, COOKIE):
        Reader(zone=zone).keep(request, response)
    return response
