"""Webhooks: declared, given new secrets, and tried."""

from typing import Annotated

from fastapi import Depends, Path, Request, Response

from reconciler.domain.errors import NotFound
from reconciler.domain.references import ProjectName, parse_project_name
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import WebhookName, parse_webhook_name
from reconciler.pipeline.declaring.webhooks import declare_webhook, rotate_webhook
from reconciler.triggers.webhook_trial import try_webhook
from reconciler.web.pagination import Paged
from reconciler.web.principal import Policy, Seen, authorize, principal_of
from reconciler.web.reach import require_own_name
from reconciler.web.routing import WITH_BODY, App, errors, router_for
from reconciler.web.schemas.webhooks import (
    NewTrial,
    NewWebhook,
    NewWebhookSecret,
    TrialBody,
    WebhookBody,
    WebhookList,
    WebhookMade,
)
from reconciler.web.subjects import About

listing = router_for(Policy.READ, "webhooks", About.EACH)
reading = router_for(Policy.READ, "webhooks", About.WEBHOOK)
declaring = router_for(Policy.CONFIG, "webhooks", About.BODY)
changing = router_for(Policy.CONFIG, "webhooks", About.WEBHOOK)
trying = router_for(Policy.TRIGGER, "webhooks", About.WEBHOOK)


async def _webhook_name(
    name: Annotated[
        str,
        Path(
            description="Name of a webhook.",
            examples=["forgejo"],
            json_schema_extra={"pattern": "^[a-z0-9][a-z0-9-]{0,62}$"},
        ),
    ],
) -> WebhookName:
    return parse_webhook_name(name)


Named = Annotated[WebhookName, Depends(_webhook_name)]


@listing.get("/webhooks", summary="List the webhooks, by name", responses=errors(422))
def list_webhooks(application: App, page: Paged, seen: Seen) -> WebhookList:
    """With what came in through each; never their secrets."""
    store = application.store
    records = [one for one in store.list_webhooks() if seen.has(one.webhook.project)]
    known = store.list_announcements()
    found, following = page.by_name(records, lambda one: one.webhook.name)
    items = [
        WebhookBody.of(one, known.get(one.webhook.project) if one.webhook.project else None)
        for one in found
    ]
    return WebhookList(items=items, next=following)


@declaring.post(
    "/webhooks",
    status_code=201,
    summary="Declare a webhook",
    responses=errors(404, 409, *WITH_BODY),
)
def create_webhook(application: App, request: Request, body: NewWebhook) -> WebhookMade:
    """A forge may send to it from now on. A secret that is made here is shown this once."""
    draft = body.draft()
    authorize(principal_of(request), Policy.CONFIG, draft.project)
    if draft.project is not None:
        require_own_name(request, application.store, ProjectName(draft.project), draft.name)
    made = declare_webhook(application.store, draft, application.clock.now())
    return WebhookMade.of(made, application.registrations.public_url)


@reading.get("/webhooks/{name}", summary="Show a webhook", responses=errors(404, 422))
def show_webhook(application: App, name: Named) -> WebhookBody:
    """With what came in through it; never its secret."""
    record = application.store.get_webhook(name)
    project = record.webhook.project
    return WebhookBody.of(record, application.store.get_announcements(project) if project else None)


@changing.delete(
    "/webhooks/{name}", status_code=204, summary="Remove a webhook", responses=errors(404, 422)
)
def delete_webhook(application: App, name: Named) -> Response:
    """With its deliveries. What the forge still sends is answered with 404."""
    application.store.remove_webhook(name)
    return Response(status_code=204)


@changing.post(
    "/webhooks/{name}/rotate",
    summary="Give a webhook a new secret",
    responses=errors(404, *WITH_BODY),
)
def rotate_webhook_secret(
    application: App, name: Named, body: NewWebhookSecret | None = None
) -> WebhookMade:
    """The one before is taken until it is dropped, so that the forge can be told in between."""
    asked = body or NewWebhookSecret()
    given = Secret.of(asked.secret) if asked.secret is not None else None
    now = application.clock.now()
    made = rotate_webhook(
        application.store, name, given, keep_previous=asked.keep_previous, now=now
    )
    return WebhookMade.of(made, application.registrations.public_url)


@changing.delete(
    "/webhooks/{name}/previous-secret",
    summary="Take a webhook's present secret alone",
    responses=errors(404, 422),
)
def drop_previous_webhook_secret(application: App, name: Named) -> WebhookBody:
    """Ends a rotation, once the forge has the new one. Safe to repeat."""
    application.store.drop_previous_webhook_secret(name)
    return WebhookBody.of(application.store.get_webhook(name))


@trying.post(
    "/webhooks/{name}/test",
    summary="Send a webhook a push that is pretended",
    responses=errors(404, 409, *WITH_BODY),
)
def send_test_webhook(
    application: App, request: Request, name: Named, body: NewTrial | None = None
) -> TrialBody:
    """Signed, and taken as those that forges send. Whether they reach the daemon it can't tell."""
    store = application.store
    door = application.receiver.doors.find(name)
    if door is None:
        raise NotFound(f"there is no webhook {name!r}; `reconciler webhook list` shows all")
    of = body.project if body else None
    project = parse_project_name(of, "project") if of is not None else None
    if project is not None:
        authorize(principal_of(request), Policy.TRIGGER, project)
    return TrialBody.of(try_webhook(store, application.clock, application.receiver, door, project))
