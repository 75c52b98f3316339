"""The stylesheet, the scripts and the icons: served under their content's hash, kept for ever."""

from starlette.responses import Response

from reconciler.web.pages.rendering import static_file
from reconciler.web.principal import Policy
from reconciler.web.routing import router_for
from reconciler.web.subjects import About

open_to_all = router_for(Policy.OPEN, "pages", About.NOTHING)

_FOR_EVER = "public, max-age=31536000, immutable"


@open_to_all.get("/static/style.css", include_in_schema=False)
def show_style() -> Response:
    """The one stylesheet."""
    return _sent("style.css", "text/css")


@open_to_all.get("/static/page.js", include_in_schema=False)
def show_script() -> Response:
    """What makes pages live; they work without it."""
    return _sent("page.js", "text/javascript")


@open_to_all.get("/static/log.js", include_in_schema=False)
def show_log_script() -> Response:
    """What shows a deployment's log of any length."""
    return _sent("log.js", "text/javascript")


@open_to_all.get("/static/rows.js", include_in_schema=False)
def show_rows_script() -> Response:
    """What the overview's rows need beside it."""
    return _sent("rows.js", "text/javascript")


@open_to_all.get("/static/icon.svg", include_in_schema=False)
def show_icon() -> Response:
    """The icon that a browser shows beside a page's title."""
    return _sent("icon.svg", "image/svg+xml")


@open_to_all.get("/static/icon-needs-you.svg", include_in_schema=False)
def show_urgent_icon() -> Response:
    """The icon while something needs a person."""
    return _sent("icon-needs-you.svg", "image/svg+xml")


def _sent(name: str, media_type: str) -> Response:
    return Response(static_file(name), headers={"cache-control": _FOR_EVER}, media_type=media_type)
