"""The pages to come in by, and one's own account: plain HTML, forms, and no script."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response

from reconciler.domain.errors import InvalidInput, NotFound, ReconcilerError, TooManyTries
from reconciler.pipeline.people.first_start import NewAdmin
from reconciler.pipeline.people.sessions import IDLE, form_token
from reconciler.pipeline.people.sign_in import SignedIn
from reconciler.web.cookies import browser_mark, browser_of, enter, leave, session_cookie
from reconciler.web.own_pages import FORM, media_type, parse_form, require_own
from reconciler.web.principal import Policy, principal_of
from reconciler.web.problems import problem_of
from reconciler.web.rendering import icon, page, style
from reconciler.web.routing import App, router_for
from reconciler.web.sessions import Own
from reconciler.web.sign_in_elsewhere import ways_elsewhere
from reconciler.web.subjects import About

open_to_all = router_for(Policy.OPEN, "pages", About.NOTHING)
known = router_for(Policy.KNOWN, "pages", About.NOTHING)


async def _fields(request: Request) -> Mapping[str, str]:
    """Return what a form of ours holds.

    Raises:
        ForeignRequest: it is none of ours. ``InvalidInput``: it is no form.
    """
    require_own(request.scope)
    if media_type(Headers(scope=request.scope)) != FORM:
        raise InvalidInput("content-type", None, f"must be {FORM}")
    return parse_form(await request.body())


Fields = Annotated[Mapping[str, str], Depends(_fields)]


@open_to_all.get("/sign-in", include_in_schema=False)
def show_sign_in(application: App, request: Request) -> HTMLResponse:
    """Two fields, and who else may say who somebody is."""
    first = not application.store.has_admin(application.clock.now())
    return _sign_in_page(request, first=first)


@open_to_all.post("/sign-in", include_in_schema=False)
def sign_in(application: App, request: Request, fields: Fields) -> Response:
    """Sign in, or say in words why not: one message for every failure."""
    name, browser, mark = fields.get("name", ""), browser_of(request), browser_mark(request.scope)
    people, password = application.people, fields.get("password", "")
    return _entered(
        request,
        lambda: people.sign_in.sign_in(name, password, browser, mark),
        lambda error: _sign_in_page(request, name, error),
    )


@open_to_all.get("/set-up", include_in_schema=False)
def show_set_up(application: App) -> HTMLResponse:
    """The first start's form, or that it is over."""
    over = application.store.has_admin(application.clock.now())
    return _set_up_page(over=over)


@open_to_all.post("/set-up", include_in_schema=False)
def set_up(application: App, request: Request, fields: Fields) -> Response:
    """Make the first admin, or say beside the field why not."""
    people, browser = application.people, browser_of(request)
    wanted = NewAdmin(*(fields.get(one, "") for one in ("token", "name", "password")))
    return _entered(
        request,
        lambda: people.set_up(wanted, browser),
        lambda error: _set_up_page(wanted, error),
    )


@known.get("/account", include_in_schema=False)
def show_account(application: App, request: Request, own: Own) -> HTMLResponse:
    """Who one is here, and where one is signed in."""
    return _account(application, request, own)


@known.post("/account/password", include_in_schema=False)
def change_password(application: App, request: Request, own: Own, fields: Fields) -> Response:
    """Change it, or say beside the field why not."""
    present, new = fields.get("present", ""), fields.get("new", "")
    try:
        application.people.accounts.change_own_password(own, present, new, browser_of(request))
    except ReconcilerError as error:
        return _account(application, request, own, error)
    return _go("/account")


@known.post("/account/sessions/{session}/end", include_in_schema=False)
def end_session(application: App, session: str, own: Own, fields: Fields) -> Response:
    """End one of one's own; what is over already is fine."""
    del fields  # looked at by what reads them
    with suppress(NotFound):
        application.store.remove_session(session, own.person)
    return _go("/account")


@known.post("/sign-out", include_in_schema=False)
def sign_out(application: App, request: Request, own: Own, fields: Fields) -> Response:
    """The session ends here, not only in the browser."""
    del fields
    application.store.remove_session(own.id)
    response = _go("/sign-in")
    leave(request, response)
    return response


@open_to_all.get("/static/style.css", include_in_schema=False)
def show_style() -> Response:
    """The one stylesheet."""
    return style()


@open_to_all.get("/static/icon.svg", include_in_schema=False)
def show_icon() -> Response:
    """The one icon."""
    return icon()


def _sign_in_page(
    request: Request, name: str = "", error: ReconcilerError | None = None, *, first: bool = False
) -> HTMLResponse:
    status = _status(error) if error else 200
    ways = ways_elsewhere(request)
    return page("sign_in.html", status, first=first, error=error, name=name, elsewhere=ways)


def _set_up_page(
    wanted: NewAdmin | None = None,
    error: ReconcilerError | None = None,
    *,
    over: bool = False,
) -> HTMLResponse:
    return page(
        "set_up.html",
        _status(error) if error else 200,
        over=over,
        error=error,
        token=wanted.token if wanted else "",
        name=wanted.name if wanted else "",
    )


def _account(
    application: App, request: Request, own: Own, error: ReconcilerError | None = None
) -> HTMLResponse:
    store = application.store
    return page(
        "account.html",
        _status(error) if error else 200,
        error=error,
        person=store.get_person(own.person),
        sessions=store.list_sessions(application.clock.now(), IDLE, own.person),
        own=own,
        grants=principal_of(request).grants,
        form_token=form_token(session_cookie(request.scope)),
    )


def _entered(
    request: Request,
    come_in: Callable[[], SignedIn],
    say: Callable[[ReconcilerError], HTMLResponse],
) -> Response:
    try:
        signed_in = come_in()
    except ReconcilerError as error:
        answer = say(error)
        if isinstance(error, TooManyTries):
            answer.headers["retry-after"] = str(error.wait_seconds)
        return answer
    response = _go("/account")
    enter(request, response, signed_in)
    return response


def _status(error: ReconcilerError) -> int:
    return problem_of(error).status


def _go(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303)
