"""The cookies: of the session, the mark of a browser that somebody signed in with, and others.

``__Host-`` has browsers take them from us alone, over TLS, for no other host and path.
Source: RFC 6265bis, 4.1.3.2 The "__Host-" Prefix.
"""

from typing import TYPE_CHECKING, Literal

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import Response

from reconciler.app import Application
from reconciler.pipeline.people.sessions import Browser
from reconciler.pipeline.people.sign_in import SignedIn
from reconciler.web.own_pages import is_plain

if TYPE_CHECKING:
    from starlette.types import Scope

_SESSION, _MARK = "reconciler", "reconciler-browser"
_SECURE_PREFIX = "__Host-"
_MARK_SECONDS = 365 * 24 * 3600


def session_cookie(scope: "Scope") -> str:
    """Return the text of the session's cookie; empty if there is none."""
    return read(scope, _SESSION)


def browser_mark(scope: "Scope") -> str:
    """Return the mark of the browser; empty if it has none."""
    return read(scope, _MARK)


def browser_of(request: Request) -> Browser:
    """Return what the request came from."""
    client = request.client
    return Browser(client.host if client else "", request.headers.get("user-agent", ""))


def enter(request: Request, response: Response, signed_in: SignedIn) -> None:
    """Have the browser keep both; what it was signed in as before ends."""
    application: Application = request.app.state.application
    if before := application.people.sessions.find(session_cookie(request.scope)):
        application.store.remove_session(before[0].id)
    keep(request, response, _SESSION, signed_in.cookie, None)
    keep(request, response, _MARK, signed_in.mark, _MARK_SECONDS)


def leave(request: Request, response: Response) -> None:
    """Have the browser forget the session."""
    keep(request, response, _SESSION, "", 0)


def keep(
    request: Request,
    response: Response,
    name: str,
    text: str,
    max_age: int | None,
    *,
    same_site: Literal["strict", "lax"] = "strict",
) -> None:
    """Have the browser keep ``text`` for so many seconds; None: until it is closed."""
    response.set_cookie(
        _named(request.scope, name),
        text,
        max_age=max_age,
        path="/",
        secure=not is_plain(request.scope),
        httponly=True,
        samesite=same_site,
    )


def read(scope: "Scope", name: str) -> str:
    """Return what the browser keeps under ``name``; empty if there is none, or more than one."""
    wanted = _named(scope, name)
    found = [
        text.strip()
        for header in Headers(scope=scope).getlist("cookie")
        for part in header.split(";")
        for key, sign, text in [part.partition("=")]
        if sign and key.strip() == wanted
    ]
    return found[0] if len(found) == 1 else ""


def _named(scope: "Scope", name: str) -> str:
    return name if is_plain(scope) else f"{_SECURE_PREFIX}{name}"
