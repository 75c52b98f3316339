"""Finding out who asks, from what they show."""

import base64
import binascii
import hashlib
import re
import secrets
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from reconciler.domain.access import ALL, AccessToken, Session, principal_of_token
from reconciler.domain.errors import ForeignRequest, InvalidInput, ReconcilerError
from reconciler.pipeline.people.sessions import Sessions
from reconciler.ports import Acting, Clock, Store, TokenStore, acting_for
from reconciler.web.cookies import session_cookie
from reconciler.web.own_pages import (
    SAFE_METHODS,
    START,
    is_foreign,
    own_path,
    require_form_token,
    require_own,
)
from reconciler.web.principal import AGAIN, NOBODY, PRINCIPAL, Principal
from reconciler.web.problems import make_problem, problem_of, respond

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: Set by the server on what comes over the unix socket; no header can set it.
PEER = "reconciler.peer"
#: Set for what comes through a trusted proxy that has let a person in: their name.
VOUCHED_FOR = "reconciler.vouched-for"
#: Set beside the principal who signed in: their session.
SESSION = "reconciler.session"
GIT_PREFIX = "/git/"
WEBHOOK_PREFIX = "/webhook/"

_TOKEN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN = re.compile(r"[\x21-\x7e]{16,256}")


def find_principal(
    store: TokenStore, token: str, now: datetime, remote: str = ""
) -> Principal | None:
    """Return whose token this is.

    Looked up by its SHA-256, so that the time it takes tells nothing about the token.
    """
    if not _TOKEN.fullmatch(token):
        return None
    found = store.find_token(_digest(token), now, remote)
    return Principal(principal_of_token(found.name), found.grants) if found else None


def make_token(store: TokenStore, token: AccessToken) -> str:
    """Keep a token and return its text, which is not kept.

    Raises:
        InvalidInput: not a name for a token.
        AlreadyExists: there is one of this name.
    """
    if not _TOKEN_NAME.fullmatch(token.name):
        raise InvalidInput("name", token.name, "must be 1 to 64 letters, digits, '.', '_' and '-'")
    text = f"rcl_{secrets.token_urlsafe(32)}"
    store.add_token(token, _digest(text))
    return text


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def bearer_token(headers: Headers) -> str:
    """Return the bearer token; empty if there is none, or more than one header."""
    given = headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""


def basic_password(headers: Headers) -> str:
    """Return the password of basic authentication; empty if there is none."""
    given = headers.getlist("authorization")
    scheme, _, encoded = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        return ""
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text.partition(":")[2]


def local_principal(scope: "Scope") -> Principal | None:
    """Return the operator at the other end of the unix socket; None for what came another way."""
    peer = scope.get(PEER)
    return Principal(peer, ALL) if isinstance(peer, str) else None


class Authentication:
    """Finds out who asks, before anything else of the request is looked at.

    Whatever is not declared open needs a credential, also what does not exist.
    """

    def __init__(
        self, app: "ASGIApp", *, store: Store, clock: Clock, open_paths: frozenset[str]
    ) -> None:
        self._app = app
        self._store = store
        self._clock = clock
        self._sessions = Sessions(store, clock)
        self._open_paths = open_paths

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass on what is from somebody, or open to all."""
        # git asks with basic authentication, and shows its user our answer: it does this itself.
        # Of a forge nothing but the signature over the body counts.
        if scope["type"] != "http" or scope["path"].startswith((GIT_PREFIX, WEBHOOK_PREFIX)):
            await self._app(scope, receive, send)
            return
        try:
            principal, receive = await self._admit(scope, receive)
        except ReconcilerError as error:
            problem = problem_of(error)
            await respond(problem, scope.get("reconciler.request_id"))(scope, receive, send)
            return
        except HTTPException as error:  # the body of a form, which is read here
            problem = make_problem(error.status_code, str(error.detail))
            await respond(problem, **dict(error.headers or {}))(scope, receive, send)
            return
        if principal is None:
            await _unauthorized(scope, receive, send)
            return
        scope[PRINCIPAL] = principal
        scope[AGAIN] = partial(self._who, scope)
        with acting_for(acting_of(scope, principal)):
            await self._app(scope, receive, send)

    async def _admit(
        self, scope: "Scope", receive: "Receive"
    ) -> tuple[Principal | None, "Receive"]:
        """Return who asks, and what the body is to be read from.

        Raises:
            ForeignRequest: a browser sends it for another site.
        """
        if scope["path"] in self._open_paths:
            _refuse_foreign(scope)
            return NOBODY, receive
        principal = await self._who(scope)
        return principal, await _checked(scope, receive)

    async def _who(self, scope: "Scope") -> Principal | None:
        """Return who asks, as it is known at this moment."""
        return local_principal(scope) or await self._look_up(scope)

    async def _look_up(self, scope: "Scope") -> Principal | None:
        """Return whose token it is; without any, whose session."""
        headers = Headers(scope=scope)
        if "authorization" in headers:
            token, now = bearer_token(headers), self._clock.now()
            remote = remote_of(scope)
            return await to_thread.run_sync(find_principal, self._store, token, now, remote)
        cookie = session_cookie(scope)
        found = await to_thread.run_sync(self._sessions.find, cookie) if cookie else None
        if found is None or not _fits(found[0], scope.get(VOUCHED_FOR)):
            return None
        scope[SESSION], person = found
        return Principal(person.name, person.grants)


def _fits(session: Session, named: str | None) -> bool:
    """Tell whether the session is of whom the proxy names; what it began itself has to be."""
    return session.person == named if named or session.way == "proxy" else True


async def _checked(scope: "Scope", receive: "Receive") -> "Receive":
    """Let pass what a browser sends by its cookie only from a page of ours.

    Raises:
        ForeignRequest: it is from another.
    """
    if SESSION not in scope or scope["method"] in SAFE_METHODS:
        return receive
    require_own(scope)
    return await require_form_token(scope, receive, session_cookie(scope))


def _refuse_foreign(scope: "Scope") -> None:
    if scope["method"] not in SAFE_METHODS and PEER not in scope and is_foreign(scope):
        raise ForeignRequest("this does not come from a page of this daemon")


def acting_of(scope: "Scope", principal: Principal) -> Acting:
    """Return in whose name the request is carried out, as the audit log names them."""
    return Acting(principal.name, remote_of(scope), scope.get("reconciler.request_id", ""))


def remote_of(scope: "Scope") -> str:
    """Return where the request comes from: an address, or the unix socket."""
    client = scope.get("client")
    return "socket" if PEER in scope else str(client[0]) if client else ""


def _sign_in_for(scope: "Scope") -> str:
    """Return where to sign in, and to get back to what was asked for."""
    query = scope["query_string"].decode("latin-1")
    wanted = own_path(quote(scope["path"]) + (f"?{query}" if query else ""))
    if wanted == START or scope["method"] not in SAFE_METHODS:
        return "/sign-in"
    return f"/sign-in?{urlencode({'next': wanted})}"


async def _unauthorized(scope: "Scope", receive: "Receive", send: "Send") -> None:
    if "text/html" in Headers(scope=scope).get("accept", ""):  # a person, who can sign in
        await RedirectResponse(_sign_in_for(scope), 303)(scope, receive, send)
        return
    problem = make_problem(
        401,
        "this needs the header `Authorization: Bearer <token>` with a token that is known here",
        remedy="`reconciler token add NAME` on the daemon's machine makes one",
    )
    await respond(problem, **{"www-authenticate": 'Bearer realm="reconciler"'})(
        scope, receive, send
    )
