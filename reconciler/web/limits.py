"""What a request may be, and what every answer carries."""

import asyncio
import ipaddress
import logging
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from reconciler.log import correlated
from reconciler.web.auth import GIT_PREFIX, PEER, WEBHOOK_PREFIX
from reconciler.web.problems import make_problem, respond

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("reconciler.web")

BODY_LIMIT_BYTES = 1 << 20
BODY_SECONDS = 30.0
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


class Limits:
    """The outermost layer: names the request, checks its host, bounds its body, ends its bugs."""

    def __init__(self, app: "ASGIApp", *, hosts: "OwnHosts") -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Let the request through, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["reconciler.request_id"] = secrets.token_hex(8)
        answer = _Answer(send, request_id)
        headers = Headers(scope=scope)
        if PEER not in scope and not self._hosts.include(headers.getlist("host")):
            await respond(NOT_OURS, connection="close")(scope, receive, answer)
            return
        is_git = scope["path"].startswith(GIT_PREFIX)
        if not is_git and _announced_bytes(headers) > BODY_LIMIT_BYTES:
            await respond(_TOO_LARGE, connection="close")(scope, receive, answer)
            return
        body = receive if is_git else _Body(receive)
        try:
            with correlated(request_id):
                await self._app(scope, body, answer)
        except Exception:
            # The one place where a bug ends: one bad request must not take anything else with it.
            log.exception(
                "request %s failed: %s %s", request_id, scope["method"], _path_to_show(scope)
            )
            if answer.started:
                raise
            problem = make_problem(
                500, "a bug in the daemon; its log says more", remedy=_BUG_REMEDY
            )
            await respond(problem, request_id)(scope, receive, answer)


class OwnHosts:
    """What ``Host`` may be: another is a web page's, whose name was rebound to our address."""

    def __init__(self, names: Sequence[str], *, any_address: bool) -> None:
        """Take names and addresses that the daemon is reached by, beside the loopback ones.

        Args:
            names: those.
            any_address: it listens on all addresses, so that any may be its own.
        """
        self._names = _LOOPBACK_NAMES | {name.lower() for name in names}
        self._any_address = any_address

    def include(self, given: list[str]) -> bool:
        """Tell whether the one that was given is ours."""
        if len(given) != 1:
            return False
        host = _without_port(given[0].strip().lower())
        return host in self._names or (self._any_address and _is_address(host))


def _path_to_show(scope: "Scope") -> str:
    """Return the path for the log: what follows a webhook's name is its secret."""
    path: str = scope["path"]
    if path.startswith(WEBHOOK_PREFIX):
        name, slash, _ = path.removeprefix(WEBHOOK_PREFIX).partition("/")
        path = f"{WEBHOOK_PREFIX}{name}{slash and '/KEY'}"
    return ascii(path)


NOT_OURS = make_problem(
    421,
    "this daemon does not answer for that host",
    remedy="name it in host_names of the configuration, if it is yours",
)
_BUG_REMEDY = "please report it, with what the log says of this request"
_TOO_LARGE = make_problem(413, f"the body is larger than {BODY_LIMIT_BYTES} bytes")


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _announced_bytes(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


class _Answer:
    """Adds to every answer what all of them carry."""

    def __init__(self, send: "Send", request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.started = False

    async def __call__(self, message: "Message") -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers["x-request-id"] = self._request_id
        await self._send(message)


class _Body:
    """Counts a body while it is read, and gives it a time by which it must be there."""

    def __init__(self, receive: "Receive") -> None:
        self._receive = receive
        self._read = 0
        self._complete = False
        self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS

    async def __call__(self) -> "Message":
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(
                408, f"the body took longer than {BODY_SECONDS:.0f} s", _CLOSE
            ) from None
        self._read += len(message.get("body", b""))
        if self._read > BODY_LIMIT_BYTES:
            raise HTTPException(413, _TOO_LARGE.detail, _CLOSE)
        self._complete = not message.get("more_body", False)
        return message


_CLOSE = {"connection": "close"}
