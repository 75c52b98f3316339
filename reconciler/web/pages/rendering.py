"""Pages from templates.

What a template is given is text: none of it can become markup. The parts that many pages show are
macros in ``parts.html``; times are written by ``ago``, which knows the reader's zone.
"""

import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.responses import HTMLResponse

from reconciler import __version__
from reconciler.app import Application
from reconciler.web.pages import moments, words
from reconciler.web.pages.frame import Frame
from reconciler.web.pages.notes import came_of
from reconciler.web.pages.reader import Reader
from reconciler.web.pages.sentences import sentence

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.runtime import Context
    from markupsafe import Markup

_WEB = Path(__file__).parent.parent
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types fragment",
    # With none at all, a browser would say of our own forms that they are from nowhere.
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


def page(frame: Frame, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """Return a page with all that stands around it."""
    content = render(template, frame=frame, reader=frame.reader, now=frame.now, **values)
    return HTMLResponse(content, status, _HEADERS)


def bare_page(request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """Return a page for somebody of whom nothing is known but how they like it."""
    application: Application = request.app.state.application
    reader, now = Reader.of(request), application.clock.now()
    content = render(template, reader=reader, now=now, **values)
    return HTMLResponse(content, status, _HEADERS)


def render(template: str, **values: object) -> str:
    """Return the template filled in."""
    return templates().get_template(template).render(values)


@cache
def static_file(name: str) -> bytes:
    """Return the content of one of our own files."""
    return (_WEB / "static" / name).read_bytes()


@cache
def templates() -> "Environment":
    """Return all templates, compiled when they are first asked for."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context

    made = Environment(
        loader=FileSystemLoader(_WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "prose": pass_context(_prose),
        "clock": moments.clock,
        "took": moments.took,
        "size": moments.size,
        "count": moments.count,
        "shown": _shown,
        "sentence": sentence,
    }
    made.globals |= {
        "version": __version__,
        "ago": pass_context(_ago),
        "words": words,
        "came_of": came_of,
        "static": _static_address,
    }
    return made


def _static_address(name: str) -> str:
    """Return where a file of ours is: another content has another address."""
    return f"/static/{name}?{hashlib.sha256(static_file(name)).hexdigest()[:12]}"


def _ago(
    context: "Context",
    at: datetime,
    *,
    record: bool = False,
    of_day: bool = False,
    second: bool = False,
) -> "Markup":
    """Return a time: exact in a list of ``record``s, else relative once the script runs.

    ``of_day``: the day stands above it. ``second``: as a log has it, exact to the second.
    """
    from markupsafe import Markup

    reader, now = context["reader"], context["now"]
    assert isinstance(reader, Reader)  # noqa: S101  given to every page
    assert isinstance(now, datetime)  # noqa: S101  given to every page
    write = moments.of_day if of_day else moments.second if second else moments.short
    zone = reader.zone_info
    kind = Markup(" data-record") if record or of_day or second else ""
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
        at.isoformat(), moments.exact(at, zone), kind, write(at, now, zone)
    )


def _shown(text: str) -> str:
    """Return text of a stranger with its control characters as pictures."""
    return "".join(_PICTURES.get(letter, letter) for letter in text)


#: Control characters, and those that turn the direction of writing, as what they are.
_PICTURES = {chr(code): chr(0x2400 + code) for code in range(32) if code not in {9, 10}} | {
    "\x7f": "\N{SYMBOL FOR DELETE}",
    **dict.fromkeys(
        "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
        "\N{REPLACEMENT CHARACTER}",
    ),
}


def _prose(context: "Context", text: str) -> "Markup":
    """Return text as HTML: what stands in `backticks` as code, and times in the reader's zone."""
    from markupsafe import Markup

    code = Markup("<code>{}</code>")
    parts = enumerate(text.split("`"))
    return Markup("").join(
        code.format(one) if at % 2 else _with_times(context, one) for at, one in parts
    )


def _with_times(context: "Context", text: str) -> "Markup":
    """Return text with each time that a sentence names written as the page writes times."""
    from markupsafe import Markup

    made, end = Markup(""), 0
    for found in moments.times_in(text):
        made += text[end : found.begin] + _ago(context, found.at, record=True)
        end = found.end
    return made + text[end:]
