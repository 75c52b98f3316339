"""A project's own webhooks: declared, given new secrets, made known to a forge, and removed."""

from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import AccessDenied, ReconcilerError
from reconciler.domain.references import ProjectName
from reconciler.ports import WebhookRecord
from reconciler.web.api_registrations import deregister_webhook, register_webhook
from reconciler.web.api_webhooks import (
    create_webhook,
    delete_webhook,
    drop_previous_webhook_secret,
    rotate_webhook_secret,
)
from reconciler.web.pages.form_values import as_model
from reconciler.web.pages.forms import Fields, expected_by, go
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.project.page import project_view
from reconciler.web.pages.project_settings.asking import ask_page
from reconciler.web.pages.project_settings.webhook_asks import (
    deregistration,
    end_of_rotation,
    new_webhook,
    registration,
    rotation,
    webhook_removal,
)
from reconciler.web.pages.project_settings.webhook_view import own_webhook
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, Name, router_for
from reconciler.web.schemas.registrations import ForgeToken, NewRegistration
from reconciler.web.schemas.webhooks import NewWebhook, NewWebhookSecret, WebhookMade
from reconciler.web.subjects import About

changing = router_for(Policy.CONFIG, "pages", About.PROJECT)


@changing.get("/projects/{name}/settings/new-webhook", include_in_schema=False)
def ask_for_new_webhook(frame: Framed, name: Name) -> HTMLResponse:
    """Which forge or registry it is for."""
    store = frame.application.store
    return ask_page(frame, new_webhook(store, store.get_project(name)))


@changing.post("/projects/{name}/settings/new-webhook", include_in_schema=False)
def add_webhook(
    application: App, frame: Framed, name: Name, request: Request, fields: Fields
) -> Response:
    """Declare it, and show its secret this once."""
    project = application.store.get_project(name)
    names = ("name", "provider", "registry", "secret")
    given = {one: fields[one].strip() for one in names if fields.get(one, "").strip()}
    try:
        body = as_model(NewWebhook, {"project": name, **given})
        made = create_webhook(application, request, body)
    except AccessDenied:
        raise  # where it is noted for the audit log
    except ReconcilerError as error:
        return ask_page(frame, new_webhook(application.store, project), error, fields)
    return _made(frame, name, made)


@changing.get("/projects/{name}/settings/webhooks/{webhook}/rotate", include_in_schema=False)
def ask_to_rotate(frame: Framed, name: Name, webhook: str) -> HTMLResponse:
    """What a new secret does to what the forge sends."""
    return ask_page(frame, rotation(own_webhook(frame.application.store, name, webhook)))


@changing.post("/projects/{name}/settings/webhooks/{webhook}/rotate", include_in_schema=False)
def rotate(application: App, frame: Framed, name: Name, webhook: str, fields: Fields) -> Response:
    """Give it another secret, and show that this once; sent again, it does nothing."""
    record = own_webhook(application.store, name, webhook)
    given = {"secret": fields["secret"]} if fields.get("secret") else {}
    try:
        _require_seen(record, fields)
        body = as_model(NewWebhookSecret, given)
        made = rotate_webhook_secret(application, record.webhook.name, body)
    except ReconcilerError as error:
        return ask_page(frame, rotation(record), error, fields)
    return _made(frame, name, made)


@changing.get("/projects/{name}/settings/webhooks/{webhook}/drop-previous", include_in_schema=False)
def ask_to_drop_previous(frame: Framed, name: Name, webhook: str) -> HTMLResponse:
    """What is no longer taken then."""
    return ask_page(frame, end_of_rotation(own_webhook(frame.application.store, name, webhook)))


@changing.post(
    "/projects/{name}/settings/webhooks/{webhook}/drop-previous", include_in_schema=False
)
def drop_previous(
    application: App, frame: Framed, name: Name, webhook: str, fields: Fields
) -> Response:
    """Take the present secret alone from now on."""
    record = own_webhook(application.store, name, webhook)
    try:
        _require_seen(record, fields)
        drop_previous_webhook_secret(application, record.webhook.name)
    except ReconcilerError as error:
        return ask_page(frame, end_of_rotation(record), error)
    return go(_told(name, "webhook", webhook))


@changing.get("/projects/{name}/settings/webhooks/{webhook}/remove", include_in_schema=False)
def ask_to_remove_webhook(frame: Framed, name: Name, webhook: str) -> HTMLResponse:
    """What removing it would do."""
    return ask_page(frame, webhook_removal(own_webhook(frame.application.store, name, webhook)))


@changing.post("/projects/{name}/settings/webhooks/{webhook}/remove", include_in_schema=False)
def remove_webhook(
    application: App, frame: Framed, name: Name, webhook: str, fields: Fields
) -> Response:
    """Remove it with its deliveries."""
    record = own_webhook(application.store, name, webhook)
    try:
        _require_seen(record, fields)
        delete_webhook(application, record.webhook.name)
    except ReconcilerError as error:
        return ask_page(frame, webhook_removal(record), error)
    return go(_told(name, "webhook-removed", webhook))


@changing.get("/projects/{name}/settings/register-webhook", include_in_schema=False)
def ask_to_register(frame: Framed, name: Name) -> HTMLResponse:
    """Who we are at the forge."""
    return ask_page(frame, registration(frame, frame.application.store.get_project(name)))


@changing.post("/projects/{name}/settings/register-webhook", include_in_schema=False)
def register(
    application: App, frame: Framed, name: Name, request: Request, fields: Fields
) -> Response:
    """Have the forge know the webhook; its token is used for this once."""
    project = application.store.get_project(name)
    names = ("token", "name", "provider", "url", "forge_url")
    given = {one: fields[one].strip() for one in names if fields.get(one, "").strip()}
    try:
        body = as_model(NewRegistration, {"token": "", **given})
        registered = register_webhook(application, request, name, body)
    except AccessDenied:
        raise  # where it is noted for the audit log
    except ReconcilerError as error:
        return ask_page(frame, registration(frame, project), error, fields)
    webhook = registered.webhook.name
    return go(_told(name, "webhook", webhook, tested=registered.tested))


@changing.get("/projects/{name}/settings/webhooks/{webhook}/deregister", include_in_schema=False)
def ask_to_deregister(frame: Framed, name: Name, webhook: str) -> HTMLResponse:
    """Who we are at the forge."""
    return ask_page(frame, deregistration(own_webhook(frame.application.store, name, webhook)))


@changing.post("/projects/{name}/settings/webhooks/{webhook}/deregister", include_in_schema=False)
def deregister(
    application: App, frame: Framed, name: Name, webhook: str, fields: Fields
) -> Response:
    """Have the forge forget it; its token is used for this once."""
    record = own_webhook(application.store, name, webhook)
    try:
        body = as_model(ForgeToken, {"token": fields.get("token", "")})
        deregister_webhook(application, record.webhook.name, body)
    except ReconcilerError as error:
        return ask_page(frame, deregistration(record), error)
    return go(_told(name, "webhook", webhook))


def _made(frame: Frame, name: ProjectName, made: WebhookMade) -> HTMLResponse:
    """Show a secret this once: it can't be read back, so that no address leads to it."""
    view = project_view(frame, name)
    return page(frame, "project/webhook_made.html", view=view, made=made)


def _require_seen(record: WebhookRecord, fields: Fields) -> None:
    declared = (record.webhook, record.fingerprint, record.previous_fingerprint)
    expected_by(fields).require(declared)


def _told(name: ProjectName, did: str, webhook: str, **more: str) -> str:
    return f"/projects/{name}/settings?{urlencode({'did': did, 'of': webhook, **more})}#webhooks"
