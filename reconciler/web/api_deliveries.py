"""What came in through webhooks, and looking into it again."""

from typing import Annotated

from fastapi import Path, Query, Request

from reconciler.domain.references import parse_project_name
from reconciler.domain.webhook import parse_webhook_name
from reconciler.ports import DeliveryFilter, DeliveryOutcome
from reconciler.web.api_webhooks import Named
from reconciler.web.pagination import NewestPaged, Page
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import App, errors, router_for
from reconciler.web.schemas.body import MOST_NUMBER
from reconciler.web.schemas.webhooks import DeliveryBody, DeliveryList

reading = router_for(Policy.READ, "webhooks")
changing = router_for(Policy.ADMIN, "webhooks")

Number = Annotated[
    int, Path(ge=1, le=MOST_NUMBER, description="Number of a delivery.", examples=[17])
]


@reading.get(
    "/webhooks/{name}/deliveries",
    summary="What came in through a webhook, newest first",
    responses=errors(404, 422),
)
def list_deliveries_of_webhook(application: App, name: Named, page: NewestPaged) -> DeliveryList:
    """The newest 200 that were verified and the newest 50 that were not; a moment behind."""
    webhook = application.store.get_webhook(name).webhook.name
    return _page(application, page, DeliveryFilter(webhook, before=page.before()))


@reading.get(
    "/webhooks/{name}/deliveries/{number}",
    summary="Show a delivery",
    responses=errors(404, 422),
)
def show_delivery(application: App, name: Named, number: Number) -> DeliveryBody:
    """With what it led to so far."""
    return DeliveryBody.of(application.store.get_delivery(name, number))


@changing.post(
    "/webhooks/{name}/deliveries/{number}/redeliver",
    status_code=202,
    summary="Look again where a delivery pointed",
    responses=errors(404, 409, 422),
)
def redeliver(application: App, name: Named, number: Number, request: Request) -> DeliveryBody:
    """Nothing is sent again, because no body is kept: the source says what there is now.

    Returns a new delivery that `repeats` it. 409 for one that was refused or announces nothing.
    """
    webhook = application.store.get_webhook(name).webhook
    made = application.receiver.redeliver(webhook, number, actor_of(request))
    return DeliveryBody.of(made)


@reading.get(
    "/deliveries",
    summary="What came in through all webhooks, newest first",
    responses=errors(404, 422),
)
def list_deliveries(
    application: App,
    page: NewestPaged,
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
    )
    if wanted.webhook is not None:
        application.store.get_webhook(wanted.webhook)
    if wanted.project is not None:
        application.store.get_project(wanted.project)
    return _page(application, page, wanted)


def _page(application: App, page: Page, wanted: DeliveryFilter) -> DeliveryList:
    found = application.store.list_deliveries(wanted, limit=page.limit + 1)
    shown, following = page.cut(found, lambda one: one.number)
    return DeliveryList(items=[DeliveryBody.of(one) for one in shown], next=following)
