"""Entity tags, and requests that hold on a condition. Source: RFC 9110, sections 8.8.3 and 13.

A tag is `"CONTENT"`, or `"VERSION.CONTENT"` where something declared is shown. Whoever has the
same content is sent nothing (`If-None-Match` looks at all of it); a change is refused once
another declaration is there (`If-Match` looks at the version: what was merely observed meanwhile,
a look or a deployment, is no reason to refuse).
"""

import hashlib
import re
from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.responses import Response, StreamingResponse

from reconciler.domain.errors import InvalidInput
from reconciler.domain.version import ANYTHING, Expected, version_of

_TAG = r'(?:W/)?"[\x21\x23-\x7e]*"'
_TAGS = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*")
_PATTERN = r'^(\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*)$'


def _tag_header(name: str, meaning: str) -> object:
    return Header(
        alias=name,
        description=meaning,
        examples=['"5f0c2b1a9d3e4c77.7d10e44c9a8b7c6d"'],
        json_schema_extra={"pattern": _PATTERN},
    )


async def if_none_match(
    _tags: Annotated[
        str | None,
        _tag_header("If-None-Match", "The ETag of what you have: 304 if that is all there is."),
    ] = None,
) -> None:
    """Document the header, which ``tagged`` reads."""


async def expected(
    tags: Annotated[
        str | None,
        _tag_header("If-Match", "The ETag of what you saw: 412 if it is declared otherwise now."),
    ] = None,
) -> Expected:
    """Return what the request is meant for.

    Raises:
        InvalidInput: the header is no list of tags.
    """
    if tags is None or tags.strip() == "*":
        return ANYTHING
    strong = (tag for tag in _parse(tags, "if-match") if not tag.startswith("W/"))
    versions = (tag.strip('"').partition(".") for tag in strong)
    return Expected(frozenset(version for version, dot, _ in versions if dot))


#: What a change is meant for; a route that takes none refuses the header.
IfMatch = Annotated[Expected, Depends(expected)]


def show_version(request: Request, declared: object) -> None:
    """Note that the answer shows this declaration: its tag is good for ``If-Match``."""
    request.state.version = version_of(declared)


def tagged(request: Request, response: Response) -> Response:
    """Return ``response`` with its tag; without a body where the client has just that."""
    if response.status_code >= 300 or isinstance(response, StreamingResponse):
        return response
    version: str | None = getattr(request.state, "version", None)
    if request.method != "GET" and version is None:
        return response
    content = hashlib.sha256(response.body).hexdigest()[:16]
    tag = f'"{version}.{content}"' if version else f'"{content}"'
    response.headers["etag"] = tag
    if request.method == "GET" and _has(request, tag):
        return Response(status_code=304, headers={"etag": tag})
    return response


def _has(request: Request, tag: str) -> bool:
    given = request.headers.get("if-none-match")
    if given is None:
        return False
    known = {one.removeprefix("W/") for one in _parse(given, "if-none-match")}
    return tag in known or "*" in known


def _parse(text: str, field: str) -> list[str]:
    if text.strip() == "*":
        return ["*"]
    if not _TAGS.fullmatch(text.strip()):
        raise InvalidInput(field, text, 'is not a list of entity tags like "5f0c2b1a"')
    return re.findall(_TAG, text)
