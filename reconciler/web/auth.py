"""Finding out who asks, from what they show."""

import base64
import binascii
import hashlib
import os
import re
import secrets
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.datastructures import Headers

from reconciler.domain.access import ALL, EVERYTHING, AccessToken
from reconciler.domain.errors import AlreadyExists, InvalidInput, ReconcilerError
from reconciler.ports import Acting, Clock, TokenStore, acting_for
from reconciler.web.principal import PRINCIPAL, Principal
from reconciler.web.problems import make_problem, problem_of, respond

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: Set by the server on what comes over the unix socket; no header can set it.
PEER = "reconciler.peer"
GIT_PREFIX = "/git/"
WEBHOOK_PREFIX = "/webhook/"

_FIRST_NAME = "admin"
_TOKEN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN = re.compile(r"[\x21-\x7e]{16,256}")


def find_principal(store: TokenStore, token: str, now: datetime) -> Principal | None:
    """Return whose token this is.

    Looked up by its SHA-256, so that the time it takes tells nothing about the token.
    """
    if not _TOKEN.fullmatch(token):
        return None
    found = store.find_token(_digest(token), now)
    return Principal(found.name, found.grants) if found else None


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


def keep_admin_token(store: TokenStore, file: Path, now: datetime) -> bool:
    """Make the administrator's token where nobody has one; return whether it was made now.

    The file is written first: a kill before the store knows of it is mended by the next start.
    """
    if store.list_tokens():
        return False
    token = file.read_text(errors="replace").strip() if file.exists() else ""
    if not _TOKEN.fullmatch(token):
        token = _write_token(file)
    try:
        store.add_token(AccessToken(_FIRST_NAME, EVERYTHING, None, now), _digest(token))
    except AlreadyExists:  # a replica was faster
        return False
    return True


def withdraw_token(store: TokenStore, name: str, file: Path) -> None:
    """Remove a token; with the file that the administrator's is in, so that no start revives it.

    Raises:
        NotFound: there is none of this name.
    """
    if name == _FIRST_NAME:
        file.unlink(missing_ok=True)
    store.remove_token(name)


def _write_token(file: Path) -> str:
    token = f"rcl_{secrets.token_urlsafe(32)}"
    unfinished = file.with_name(f"{file.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(f"{token}\n")
        out.flush()
        os.fsync(out.fileno())
    unfinished.replace(file)
    return token


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
        self, app: "ASGIApp", *, store: TokenStore, clock: Clock, open_paths: frozenset[str]
    ) -> None:
        self._app = app
        self._store = store
        self._clock = clock
        self._open_paths = open_paths

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass on what is from somebody, or open to all."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        # git asks with basic authentication, and shows its user our answer: it does this itself.
        # Of a forge nothing but the signature over the body counts.
        if path in self._open_paths or path.startswith((GIT_PREFIX, WEBHOOK_PREFIX)):
            await self._app(scope, receive, send)
            return
        try:
            principal = local_principal(scope) or await self._look_up(Headers(scope=scope))
        except ReconcilerError as error:
            await respond(problem_of(error), scope.get("reconciler.request_id"))(
                scope, receive, send
            )
            return
        if principal is None:
            await _unauthorized(scope, receive, send)
            return
        scope[PRINCIPAL] = principal
        with acting_for(acting_of(scope, principal)):
            await self._app(scope, receive, send)

    async def _look_up(self, headers: Headers) -> Principal | None:
        token = bearer_token(headers)
        if not token:
            return None
        return await to_thread.run_sync(find_principal, self._store, token, self._clock.now())


def acting_of(scope: "Scope", principal: Principal) -> Acting:
    """Return in whose name the request is carried out, as the audit log names them."""
    client = scope.get("client")
    remote = "socket" if PEER in scope else str(client[0]) if client else ""
    return Acting(principal.name, remote, scope.get("reconciler.request_id", ""))


async def _unauthorized(scope: "Scope", receive: "Receive", send: "Send") -> None:
    problem = make_problem(
        401,
        "this needs the header `Authorization: Bearer <token>` with a token that is known here",
        remedy="the first start writes a token into the file admin-token of the data folder",
    )
    await respond(problem, **{"www-authenticate": 'Bearer realm="reconciler"'})(
        scope, receive, send
    )
