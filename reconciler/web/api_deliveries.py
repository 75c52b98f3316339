"""What came in through webhooks, and looking into it again."""

from dataclasses import replace
from typing import Annotated

from fastapi import Path, Query, Request

from reconciler.domain.references import parse_project_name
from reconciler.domain.registry_event import ImagesHint
from reconciler.domain.webhook import parse_webhook_name
from reconciler.ports import Delivery, DeliveryFilter, DeliveryOutcome
from reconciler.web.api_webhooks import Named
from reconciler.web.pagination import NewestPaged, Page
from reconciler.web.principal import Policy, Seen, Sight, actor_of
from reconciler.web.routing import App, errors, router_for
from reconciler.web.schemas.body import MOST_NUMBER
from reconciler.web.schemas.webhooks import DeliveryBody, DeliveryList
from reconciler.web.subjects import About, find_project

listing = router_for(Policy.READ, "webhooks", About.EACH)
reading = router_for(Policy.READ, "webhooks", About.WEBHOOK)
triggering = router_for(Policy.TRIGGER, "webhooks", About.WEBHOOK)

Number = Annotated[
    int, Path(ge=1, le=MOST_NUMBER, description="Number of a delivery.", examples=[17])
]


@reading.get(
    "/webhooks/{name}/deliveries",
    summary="What came in through a webhook, newest first",
    responses=errors(404, 422),
)
def list_deliveries_of_webhook(
    application: App, name: Named, page: NewestPaged, seen: Seen
) -> DeliveryList:
    """The newest 200 that were verified and the newest 50 that were not; a moment behind."""
    webhook = application.store.get_webhook(name).webhook.name
    return _page(application, page, DeliveryFilter(webhook, before=page.before()), seen)


@reading.get(
    "/webhooks/{name}/deliveries/{number}",
    summary="Show a delivery",
    responses=errors(404, 422),
)
def show_delivery(application: App, name: Named, number: Number, seen: Seen) -> DeliveryBody:
    """With what it led to so far."""
    return DeliveryBody.of(_shown(application.store.get_delivery(name, number), seen))


@triggering.post(
    "/webhooks/{name}/deliveries/{number}/redeliver",
    status_code=202,
    summary="Look again where a delivery pointed",
    responses=errors(404, 409, 422),
)
def redeliver(
    application: App, name: Named, number: Number, request: Request, seen: Seen
) -> DeliveryBody:
    """Nothing is sent again, because no body is kept: the source says what there is now.

    Returns a new delivery that `repeats` it. 409 for one that was refused or announces nothing.
    """
    webhook = application.store.get_webhook(name).webhook
    made = application.receiver.redeliver(webhook, number, actor_of(request))
    return DeliveryBody.of(_shown(made, seen))


@listing.get(
    "/deliveries",
    summary="What came in through all webhooks, newest first",
    responses=errors(404, 422),
)
def list_deliveries(
    application: App,
    page: NewestPaged,
    seen: Seen,
    webhook: Annotated[
        str | None, Query(description="Only through this webhook.", examples=["forgejo"])
    ] = None,
    project: Annotated[
        str | None, Query(description="Only those that led to this project.", examples=["shop"])
    ] = None,
    outcome: Annotated[
        DeliveryOutcome | None,
        Query(
            description="Only those that were refused, ignored because they announce nothing, "
            "unfollowed because no project follows what moved, or followed.",
            examples=["refused"],
        ),
    ] = None,
) -> DeliveryList:
    """In pages; `next` leads to the older ones."""
    wanted = DeliveryFilter(
        webhook=parse_webhook_name(webhook, "webhook") if webhook is not None else None,
        project=parse_project_name(project, "project") if project is not None else None,
        outcome=outcome,
        before=page.before(),
        projects=seen.projects,
    )
    if wanted.webhook is not None:
        if not seen.is_whole:
            seen.require(find_project(application.store, About.WEBHOOK, wanted.webhook))
        application.store.get_webhook(wanted.webhook)
    if wanted.project is not None:
        seen.require(wanted.project)
        application.store.get_project(wanted.project)
    return _page(application, page, wanted, seen)


def _page(application: App, page: Page, wanted: DeliveryFilter, seen: Sight) -> DeliveryList:
    found = application.store.list_deliveries(wanted, limit=page.limit + 1)
    shown, following = page.cut(found, lambda one: one.number)
    return DeliveryList(items=[DeliveryBody.of(_shown(one, seen)) for one in shown], next=following)


def _shown(delivery: Delivery, seen: Sight) -> Delivery:
    """Return it without the projects that are not seen, and what it says of them."""
    led_to = {name: text for name, text in delivery.led_to.items() if seen.has(name)}
    hint = delivery.hint
    is_of_others = len(led_to) < len(delivery.led_to)
    if is_of_others or (isinstance(hint, ImagesHint) and len(hint.images) > 1):
        hint = hint if seen.is_whole else None
    return replace(delivery, led_to=led_to, hint=hint)
