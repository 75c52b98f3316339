"""Telling a request of a page of ours from one that another site has a browser send.

A browser shows our cookie to us whoever made it ask. What it says of where that was, no script
of another site can set; and the session's form token, none can read.
"""

import hmac
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from reconciler.domain.errors import ForeignRequest, InvalidInput
from reconciler.pipeline.people.sessions import form_token

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope

TOKEN_HEADER, TOKEN_FIELD = "x-form-token", "form_token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FORM, JSON = "application/x-www-form-urlencoded", "application/json"

#: Where whoever comes in gets to, unless they wanted to go elsewhere.
START = "/"

_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,500}")
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_FORM_LIMIT_BYTES = 64 << 10
_MOST_FIELDS = 64


def is_plain(scope: "Scope") -> bool:
    """Tell whether it came over plain HTTP on this machine, where cookies can't be ``Secure``."""
    return scope.get("scheme") == "http" and _host_name(_host(scope)) in _LOOPBACK_NAMES


def is_foreign(scope: "Scope") -> bool:
    """Tell whether the browser says that it comes from elsewhere."""
    headers = Headers(scope=scope)
    site = headers.get("sec-fetch-site", "same-origin")
    return site != "same-origin" or any(
        given.strip().lower() != _own_origin(scope) for given in headers.getlist("origin")
    )


def require_own(scope: "Scope") -> None:
    """Let pass what the browser says is from a page of ours.

    Source: OWASP CSRF Prevention Cheat Sheet, "Verifying Origin with Standard Headers"; Fetch
    Metadata Request Headers.

    Raises:
        ForeignRequest: it is from another, or nothing says where it is from.
    """
    headers = Headers(scope=scope)
    told = "origin" in headers or "sec-fetch-site" in headers
    if not told or is_foreign(scope):
        raise ForeignRequest("this does not come from a page of this daemon")


async def require_form_token(scope: "Scope", receive: "Receive", cookie: str) -> "Receive":
    """Let pass what carries the session's form token; return what the body is to be read from.

    JSON carries it in the header ``X-Form-Token``, a form in the field ``form_token``.

    Raises:
        ForeignRequest: it does not, or has another type.
        HTTPException: 413, 408: see ``Limits``.
    """
    headers, given = Headers(scope=scope), ""
    match media_type(headers):
        case "application/json":
            given = headers.get(TOKEN_HEADER, "")
        case "application/x-www-form-urlencoded":
            body = await _read(receive)
            given, receive = parse_form(body).get(TOKEN_FIELD, ""), _replayed(body, receive)
        case other:
            text = f"a body of type {other!r}" if other else "a body without a type"
            raise ForeignRequest(f"{text} is not taken from a browser")
    if not hmac.compare_digest(given.encode(errors="replace"), form_token(cookie).encode()):
        raise ForeignRequest("the form token is missing, or is of an earlier session")
    return receive


def media_type(headers: Headers) -> str:
    """Return a body's type without its parameters; empty if it is not told, or told twice."""
    given = headers.getlist("content-type")
    return given[0].partition(";")[0].strip().lower() if len(given) == 1 else ""


def parse_form(body: bytes) -> Mapping[str, str]:
    """Return the fields of a form; of one that comes twice, the last.

    Raises:
        InvalidInput: it is none.
    """
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidInput("body", None, "is no form") from None
    return dict(pairs)


async def _read(receive: "Receive") -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _FORM_LIMIT_BYTES:
            raise HTTPException(413, f"a form has at most {_FORM_LIMIT_BYTES} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: "Receive") -> "Receive":
    given = False

    async def replay() -> "Message":
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def own_path(text: str) -> str:
    """Return ``text`` if it is the address of a page here, else the start's."""
    leads_back = text.startswith(("/sign-in", "/sign-out", "/set-up", "/api/"))
    return text if _OWN_PATH.fullmatch(text) and not leads_back else START


def _own_origin(scope: "Scope") -> str:
    """Return where our pages are, as the browser of this request knows it."""
    return f"{'http' if is_plain(scope) else 'https'}://{_host(scope)}"


def _host(scope: "Scope") -> str:
    """Return ``Host``, which has been found to be one of ours."""
    return Headers(scope=scope).get("host", "").strip().lower()


def _host_name(host: str) -> str:
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
