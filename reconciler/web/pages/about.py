"""The few pages of plain HTML: what this is, and what its API offers."""

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse, JSONResponse

from reconciler import __version__
from reconciler.web.principal import Policy
from reconciler.web.routing import router_for
from reconciler.web.subjects import About

open_to_all = router_for(Policy.OPEN, "daemon", About.NOTHING)

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto;
        padding: 0 1rem }}
h1 {{ font-size: 1.6rem; margin: 0 0 .5rem }}
h2 {{ font-size: 1.15rem; margin: 2.5rem 0 0; border-bottom: 1px solid #8886 }}
small {{ font-weight: normal; opacity: .6 }}
code {{ font: .9em ui-monospace, monospace; background: #8882; padding: .1em .3em;
        border-radius: .25em; overflow-wrap: anywhere }}
dl {{ margin: 0 }}
dt {{ margin-top: 1.2rem }}
dd {{ margin: .2rem 0 0 }}
</style></head><body>
{content}
</body></html>
"""


@open_to_all.get("/docs", include_in_schema=False)
def show_docs(request: Request) -> HTMLResponse:
    """List every operation, in a page that loads nothing from elsewhere."""
    description: Mapping[str, Any] = request.app.openapi()
    families: dict[str, list[tuple[str, str]]] = {}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            title = f"<code>{method.upper()} {html.escape(path)}</code>"
            text = f"<strong>{_prose(operation['summary'])}</strong><br>"
            text += _prose(operation["description"])
            families.setdefault(operation["tags"][0], []).append((title, text))
    content = (
        f"{_heading('API of reconciler')}<p>{_prose(description['info']['description'])}</p>"
        '<p>With every field: <a href="/openapi.json">openapi.json</a>.</p>'
    )
    for family, operations in families.items():
        content += f"<h2>{html.escape(family)}</h2><dl>{_definitions(operations)}</dl>"
    return HTMLResponse(_PAGE.format(title="API of reconciler", content=content))


def _heading(name: str) -> str:
    return f"<h1>{name} <small>{html.escape(__version__)}</small></h1>"


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in pairs)


def _prose(text: str) -> str:
    """Return HTML for text with `code` in it."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


@open_to_all.get("/openapi.json", include_in_schema=False)
def show_description(request: Request) -> JSONResponse:
    """Return the API's description."""
    return JSONResponse(request.app.openapi())
