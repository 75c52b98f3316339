"""The few pages of plain HTML: what this is, and what its API offers."""

import html
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse, JSONResponse

from reconciler import __version__
from reconciler.web.auth import Policy
from reconciler.web.routing import App, router_for

open_to_all = router_for(Policy.OPEN, "daemon")

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }}
code {{ font-size: .95em }}
dt {{ margin-top: 1rem }}
</style></head><body>
{content}
</body></html>
"""


@open_to_all.get("/", include_in_schema=False)
def show_start(application: App) -> HTMLResponse:
    """Say what this is and where to look; nothing of any project."""
    content = (
        f"<h1>reconciler {html.escape(__version__)}</h1>"
        "<p>It keeps asking whether what should run is what runs.</p>"
        f"<p>State: <strong>{html.escape(application.daemon.state)}</strong>"
        ' (<a href="/api/healthz">health</a>).</p>'
        "<p>On this machine: <code>reconciler status</code>. The API: "
        '<a href="/docs">what it offers</a>, <a href="/openapi.json">its description</a>.</p>'
    )
    return HTMLResponse(_PAGE.format(title="reconciler", content=content))


@open_to_all.get("/docs", include_in_schema=False)
def show_docs(request: Request) -> HTMLResponse:
    """List every operation, in page that loads nothing from elsewhere."""
    description: Mapping[str, Any] = request.app.openapi()
    items = "".join(
        f"<dt><code>{method.upper()} {html.escape(path)}</code></dt>"
        f"<dd>{html.escape(operation['summary'])}. {html.escape(operation['description'])}</dd>"
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
    )
    content = (
        f"<h1>API of reconciler {html.escape(__version__)}</h1>"
        f"<p>{html.escape(description['info']['description'])}</p><dl>{items}</dl>"
        '<p>With every field: <a href="/openapi.json">openapi.json</a>.</p>'
    )
    return HTMLResponse(_PAGE.format(title="API of reconciler", content=content))


@open_to_all.get("/openapi.json", include_in_schema=False)
def show_description(request: Request) -> JSONResponse:
    """Return the API's description."""
    return JSONResponse(request.app.openapi())
