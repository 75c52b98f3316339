"""Pages are sent compressed: a list of a thousand projects is thirty times smaller then."""

from typing import TYPE_CHECKING

from starlette.middleware.gzip import GZipMiddleware

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_LEAST_BYTES = 2000
_LEVEL = 4
#: Read by programs, which have compression of their own, streams, or entity tags over the content.
_NOT_PAGES = ("/api/", "/git/", "/webhook/")


class Compression:
    """Compresses pages of ours, where the browser takes that.

    Not what shows something of the query: how small a page gets that has a secret, and text that
    somebody else chose, would tell them whether the two are alike (BREACH).
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._plain = app
        self._compressed = GZipMiddleware(app, minimum_size=_LEAST_BYTES, compresslevel=_LEVEL)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass it on, one way or the other."""
        is_page = scope["type"] == "http" and not scope["path"].startswith(_NOT_PAGES)
        wanted = (
            is_page
            and scope["method"] == "GET"
            and (not scope["query_string"] or scope["path"].startswith("/static/"))
        )
        await (self._compressed if wanted else self._plain)(scope, receive, send)
