"""Pages from templates, and their stylesheet."""

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

from reconciler import __version__

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_HERE = Path(__file__).parent
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # With none at all, a browser would say of our own forms that they are from nowhere.
    "referrer-policy": "same-origin",
}
_A_DAY = "public, max-age=86400"


def page(template: str, status: int = 200, **values: object) -> HTMLResponse:
    """Return a page. What it is given is text: none of it can become markup."""
    content = _templates().get_template(template).render(values)
    return HTMLResponse(content, status, _HEADERS)


def style() -> Response:
    """Return the stylesheet; pages name it with its hash, so that it may be kept."""
    return Response(_style(), headers={"cache-control": _A_DAY}, media_type="text/css")


def icon() -> Response:
    """Return the icon that a browser shows beside a page's title."""
    content = (_HERE / "static" / "icon.svg").read_bytes()
    return Response(content, headers={"cache-control": _A_DAY}, media_type="image/svg+xml")


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["prose"] = _prose
    made.globals |= {
        "version": __version__,
        "style": f"/static/style.css?{hashlib.sha256(_style()).hexdigest()[:12]}",
    }
    return made


def _prose(text: str) -> "Markup":
    """Return text as HTML, with what stands in `backticks` as code."""
    from markupsafe import Markup

    parts = text.split("`")
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(one) if at % 2 else one for at, one in enumerate(parts))


@cache
def _style() -> bytes:
    return (_HERE / "static" / "style.css").read_bytes()
