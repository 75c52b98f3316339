"""What forges and registries sent, what came of it, and looking again where it pointed."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.announcement import Announcements
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.references import ProjectName
from reconciler.pipeline.reasons import find_lossy
from reconciler.ports import DeliveryOutcome, WebhookRecord
from reconciler.web import api_deliveries
from reconciler.web.api_deliveries import Number
from reconciler.web.api_webhooks import Named
from reconciler.web.pages.deliveries.rows import WHY_REFUSED, DeliveryRow
from reconciler.web.pages.forms import Fields, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.rendering import page
from reconciler.web.pagination import Page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.subjects import About

listing = router_for(Policy.READ, "pages", About.EACH)
reading = router_for(Policy.READ, "pages", About.WEBHOOK)
triggering = router_for(Policy.TRIGGER, "pages", About.WEBHOOK)

_ON_A_PAGE = 50
#: How deliveries can be told apart → in words.
OUTCOMES = {
    DeliveryOutcome.FOLLOWED: "Accepted",
    DeliveryOutcome.UNFOLLOWED: "Ignored: not followed",
    DeliveryOutcome.IGNORED: "Ignored: no push",
    DeliveryOutcome.REFUSED: "Refused",
}


@dataclass(frozen=True, slots=True)
class Loss:
    """Pushes of a project that came unannounced."""

    project: ProjectName
    known: Announcements
    webhook: WebhookRecord  #: through which they should have come

    @property
    def refused_because(self) -> str:
        """Why its last delivery was not taken; empty: it was, or none ever came."""
        verdict = self.webhook.last_verdict
        return WHY_REFUSED.get(verdict, ("", ""))[0] if verdict else ""


@listing.get("/deliveries", include_in_schema=False)
def show_deliveries(
    frame: Framed, outcome: str = "", source: str = "", project: str = "", cursor: str = ""
) -> HTMLResponse:
    """Those through all webhooks, newest first, and which pushes came without one."""
    wanted = DeliveryOutcome(outcome) if outcome in set(DeliveryOutcome) else None
    found = api_deliveries.list_deliveries(
        frame.application,
        Page(_ON_A_PAGE, cursor or None),
        frame.sight,
        source or None,
        project or None,
        wanted,
    )
    webhooks = _webhooks(frame)
    seen = {one.webhook.name for one in webhooks}
    chosen = {"outcome": wanted or "", "source": source, "project": project}
    return page(
        frame,
        "deliveries/list.html",
        rows=[DeliveryRow.of(one, may_open=one.webhook in seen) for one in found.items],
        webhooks=webhooks,
        losses=tuple(_losses(frame, webhooks)),
        outcomes=OUTCOMES,
        chosen=chosen,
        filters={one: _address(chosen | {"outcome": one}) for one in ("", *OUTCOMES)},
        older=_address(chosen | {"cursor": found.next}) if found.next else "",
        newest=_address(chosen) if cursor else "",
    )


@reading.get("/webhooks/{name}/deliveries/{number}", include_in_schema=False)
def show_delivery(frame: Framed, name: Named, number: Number) -> HTMLResponse:
    """One, with what it led to so far."""
    return _shown(frame, name, number)


@triggering.post("/webhooks/{name}/deliveries/{number}/redeliver", include_in_schema=False)
def redeliver(
    application: App, request: Request, frame: Framed, name: Named, number: Number, fields: Fields
) -> Response:
    """Look again where it pointed; the page of the new one tells what comes of it."""
    del fields  # looked at by what reads them
    try:
        made = api_deliveries.redeliver(application, name, number, request, frame.sight)
    except ReconcilerError as error:
        return _shown(frame, name, number, error)
    return go(f"/webhooks/{name}/deliveries/{made.number}")


def _shown(
    frame: Frame, name: Named, number: int, error: ReconcilerError | None = None
) -> HTMLResponse:
    body = api_deliveries.show_delivery(frame.application, name, number, frame.sight)
    webhook = frame.application.store.get_webhook(name).webhook
    return page(
        frame,
        "deliveries/one.html",
        status_of(error),
        one=DeliveryRow.of(body),
        webhook=webhook,
        error=error,
    )


def _webhooks(frame: Frame) -> list[WebhookRecord]:
    every = frame.application.store.list_webhooks()
    return [one for one in every if frame.sight.has(one.webhook.project)]


def _losses(frame: Frame, webhooks: list[WebhookRecord]) -> Iterator[Loss]:
    for name, known in frame.application.store.list_announcements().items():
        webhook = find_lossy(webhooks, name, known) if frame.sight.has(name) else None
        if webhook is not None:
            yield Loss(name, known, webhook)


def _address(chosen: dict[str, str]) -> str:
    query = urlencode({name: value for name, value in chosen.items() if value})
    return f"/deliveries?{query}" if query else "/deliveries"
