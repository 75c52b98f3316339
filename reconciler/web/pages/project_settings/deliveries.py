"""What came in for one project, and a test of the way."""

from threading import Event
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.app import Application
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.references import ProjectName
from reconciler.domain.webhook import WebhookName, parse_webhook_name
from reconciler.ports import DeliveryFilter
from reconciler.web.api_webhooks import send_test_webhook
from reconciler.web.pages.forms import Fields, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.project_settings.overview import settings_view
from reconciler.web.pages.project_settings.webhook_view import deliveries_of, own_webhook
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy, principal_of
from reconciler.web.routing import App, Name, router_for
from reconciler.web.schemas.webhooks import NewTrial
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.PROJECT)
trying = router_for(Policy.TRIGGER, "pages", About.PROJECT)

_ON_A_PAGE = 50
#: A test is recorded a moment after it was sent.
_PATIENCE_SECONDS, _PAUSE_SECONDS = 2.0, 0.05


@reading.get("/projects/{name}/deliveries", include_in_schema=False)
def show_deliveries(
    frame: Framed, name: Name, cursor: str = "", did: str = "", of: str = ""
) -> HTMLResponse:
    """Those through its webhooks, and those of others that led to it, newest first."""
    return _page(frame, name, cursor, tested=of if did == "tested" else "")


@trying.post("/projects/{name}/deliveries/test", include_in_schema=False)
def send_test(
    application: App, frame: Framed, name: Name, request: Request, fields: Fields
) -> Response:
    """Send a webhook a push that is pretended, as a forge would."""
    application.store.get_project(name)
    text = fields.get("webhook", "")
    try:
        webhook = parse_webhook_name(text, "webhook")
        if not principal_of(request).may(Policy.TRIGGER):
            webhook = own_webhook(application.store, name, text).webhook.name
        sent = send_test_webhook(application, request, webhook, NewTrial(project=name))
    except ReconcilerError as error:
        return _page(frame, name, error=error)
    number = _recorded(application, webhook, sent.delivery)
    return go(f"/projects/{name}/deliveries?{urlencode({'did': 'tested', 'of': number})}")


def _recorded(application: Application, webhook: WebhookName, delivery: str | None) -> int:
    """Return the number of what was sent; 0 where it is not recorded in time."""
    until = application.clock.monotonic() + _PATIENCE_SECONDS
    while delivery and application.clock.monotonic() < until:
        newest = application.store.list_deliveries(DeliveryFilter(webhook), limit=10)
        for one in newest:
            if one.delivery == delivery:
                return one.number
        application.clock.wait(Event(), _PAUSE_SECONDS)
    return 0


def _page(
    frame: Frame,
    name: ProjectName,
    cursor: str = "",
    *,
    tested: str = "",
    error: ReconcilerError | None = None,
) -> HTMLResponse:
    settings = settings_view(frame, name)
    rows, found = deliveries_of(frame, name, _ON_A_PAGE, cursor)
    return page(
        frame,
        "project/deliveries.html",
        status_of(error),
        view=settings.view,
        settings=settings,
        rows=rows,
        older=found.next,
        first=not cursor,
        tested=next((one for one in rows if str(one.body.number) == tested), None),
        waits=tested == "0",
        error=error,
    )
