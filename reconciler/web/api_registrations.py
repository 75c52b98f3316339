"""Webhooks that forges are told of."""

from fastapi import Request

from reconciler.web.api_webhooks import Named
from reconciler.web.principal import Policy
from reconciler.web.reach import OF_A_REGISTRATION, require_own_name, require_within
from reconciler.web.routing import WITH_BODY, App, Name, errors, router_for
from reconciler.web.schemas.registrations import ForgeToken, NewRegistration
from reconciler.web.schemas.webhooks import RegisteredBody, WebhookBody
from reconciler.web.subjects import About

changing = router_for(Policy.CONFIG, "webhooks", About.PROJECT)
leaving = router_for(Policy.CONFIG, "webhooks", About.WEBHOOK)


@changing.post(
    "/projects/{name}/webhook",
    summary="Register a project's webhook at its forge",
    responses=errors(404, 409, 502, *WITH_BODY),
)
def register_webhook(
    application: App, request: Request, name: Name, body: NewRegistration
) -> RegisteredBody:
    """Declares it where it is not, and has the forge know it; asked again, it mends what is amiss.

    The forge's token is used for this one request. A test that the forge sends comes as a delivery.
    """
    require_within(request, name, body.model_fields_set, OF_A_REGISTRATION)
    require_own_name(request, application.store, name, name if body.name is None else body.name)
    return RegisteredBody.of(application.registrations.register(name, body.draft()))


@leaving.post(
    "/webhooks/{name}/deregister",
    summary="Remove a webhook at its forge",
    responses=errors(404, 409, 502, *WITH_BODY),
)
def deregister_webhook(application: App, name: Named, body: ForgeToken) -> WebhookBody:
    """It stays declared here, and takes what is still sent. Safe to repeat."""
    application.registrations.deregister(name, body.token)
    return WebhookBody.of(application.store.get_webhook(name))
