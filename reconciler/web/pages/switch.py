"""The master switch: one page that stops everything, and works without a script."""

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.deployment import Status
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.settings import MASTER_SWITCH
from reconciler.pipeline.declaring.settings import change_settings
from reconciler.web.pages.forms import Fields, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.rendering import page
from reconciler.web.pages.words import GROUP_OF, Group
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import App, router_for
from reconciler.web.subjects import About

switching = router_for(Policy.TRIGGER, "pages", About.DAEMON)

_MOST_NAMED = 10


@switching.get("/switch", include_in_schema=False)
def show_switch(frame: Framed) -> HTMLResponse:
    """What flipping it would do."""
    return _page(frame)


@switching.post("/switch", include_in_schema=False)
def flip_switch(application: App, request: Request, frame: Framed, fields: Fields) -> Response:
    """Turn it to the side that the form names: one that was seen before is not turned back."""
    wanted, reason = fields.get("turn") == "on", fields.get("reason", "")
    try:
        change_settings(
            application.store,
            {MASTER_SWITCH: wanted},
            reason=reason,
            actor=actor_of(request),
            now=application.clock.now(),
        )
    except ReconcilerError as error:
        return _page(frame, error, reason)
    application.daemon.wake("promotions")
    return go("/")


def _page(frame: Frame, error: ReconcilerError | None = None, reason: str = "") -> HTMLResponse:
    waiting = [
        one.project.name for one in frame.summaries if GROUP_OF[one.standing] is Group.WAITING
    ]
    under_way = frame.application.store.list_deployments(
        statuses=[Status.RUNNING], limit=_MOST_NAMED
    )
    return page(
        frame,
        "switch.html",
        status_of(error),
        error=error,
        reason=reason,
        waiting=waiting[:_MOST_NAMED],
        more=len(waiting) - _MOST_NAMED,
        under_way=[one.id for one in under_way],
    )
