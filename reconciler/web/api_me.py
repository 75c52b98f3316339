"""Coming in and going out, and what everybody may ask and change of themselves."""

from fastapi import Request, Response

from reconciler.pipeline.people.first_start import NewAdmin
from reconciler.pipeline.people.sessions import IDLE, form_token
from reconciler.web.api_people import SessionId
from reconciler.web.cookies import browser_mark, browser_of, enter, leave, session_cookie
from reconciler.web.principal import Policy, principal_of
from reconciler.web.routing import WITH_BODY, App, errors, router_for
from reconciler.web.schemas.people import (
    Credentials,
    EndedBody,
    FirstAdmin,
    MeBody,
    OwnPassword,
    SessionBody,
    SessionList,
)
from reconciler.web.sessions import Own, session_of
from reconciler.web.subjects import About

open_to_all = router_for(Policy.OPEN, "people", About.NOTHING)
known = router_for(Policy.KNOWN, "people", About.NOTHING)


@open_to_all.post(
    "/sign-in",
    status_code=204,
    summary="Sign in with a password",
    responses=errors(403, 429, *WITH_BODY),
)
def sign_in(application: App, request: Request, body: Credentials) -> Response:
    """It sets the session's cookie. Wrong tries make whoever tries wait, and nobody else."""
    signed_in = application.people.sign_in.sign_in(
        body.name, body.password, browser_of(request), browser_mark(request.scope)
    )
    response = Response(status_code=204)
    enter(request, response, signed_in)
    return response


@open_to_all.post(
    "/set-up",
    status_code=204,
    summary="Make the first admin",
    responses=errors(403, 409, 429, *WITH_BODY),
)
def set_up(application: App, request: Request, body: FirstAdmin) -> Response:
    """With the token that a start writes while there is none; it sets the session's cookie."""
    wanted = NewAdmin(body.token, body.name, body.password)
    signed_in = application.people.set_up(wanted, browser_of(request))
    response = Response(status_code=204)
    enter(request, response, signed_in)
    return response


@known.post("/sign-out", status_code=204, summary="Sign out")
def sign_out(application: App, request: Request, own: Own) -> Response:
    """The session ends here, not only in the browser."""
    application.store.remove_session(own.id)
    response = Response(status_code=204)
    leave(request, response)
    return response


@known.get("/me", summary="Show who asks")
def show_me(request: Request) -> MeBody:
    """Their name, and what they may do."""
    principal = principal_of(request)
    token = form_token(session_cookie(request.scope)) if session_of(request) else None
    return MeBody.of(principal.name, principal.grants, token)


@known.put(
    "/me/password",
    status_code=204,
    summary="Change one's own password",
    responses=errors(429, *WITH_BODY),
)
def change_password(application: App, request: Request, own: Own, body: OwnPassword) -> Response:
    """It asks for the present one; all other sessions end."""
    accounts, browser = application.people.accounts, browser_of(request)
    accounts.change_own_password(own, body.present, body.new, browser)
    return Response(status_code=204)


@known.get("/me/sessions", summary="List one's own sessions")
def list_own_sessions(application: App, own: Own) -> SessionList:
    """Newest first."""
    found = application.store.list_sessions(application.clock.now(), IDLE, own.person)
    return SessionList(items=[SessionBody.of(one, own) for one in found])


@known.delete("/me/sessions", summary="End one's other sessions")
def end_other_sessions(application: App, own: Own) -> EndedBody:
    """All but the one that asks."""
    return EndedBody(ended=application.store.remove_sessions(own.person, keep=own.id))


@known.delete(
    "/me/sessions/{session}",
    status_code=204,
    summary="End one of one's own sessions",
    responses=errors(404),
)
def end_own_session(application: App, session: SessionId, own: Own) -> Response:
    """Nobody else's."""
    application.store.remove_session(session, own.person)
    return Response(status_code=204)
