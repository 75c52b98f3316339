"""Webhooks that an operator declares: what each may be, and the secrets that open it."""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.errors import InvalidInput
from reconciler.domain.project import Project
from reconciler.domain.references import parse_project_name
from reconciler.domain.registry_host import parse_registry_host
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import (
    REGISTRY_HOSTS,
    Matching,
    Provider,
    Webhook,
    WebhookName,
    parse_matching,
    parse_provider,
    parse_webhook_name,
)
from reconciler.domain.webhook_signature import SIGNED_PREFIX
from reconciler.ports import Store, WebhookRecord

#: A forge sends some of them in a header, so that no others than these characters come through.
_GIVEN = re.compile(r"[\x21-\x7e]{16,255}")
_IN_PATH = re.compile(r"[A-Za-z0-9_-]+")
_SECRET_BYTES = 32
#: Source: Standard Webhooks, "Secret".
_SIGNED_BYTES = range(24, 65)


@dataclass(frozen=True, slots=True)
class WebhookDraft:
    """A webhook as it was asked for."""

    name: str
    provider: str
    project: str | None = None
    secret: Secret | None = None  #: None: one is made
    matching: str = Matching.REPOSITORY
    registry: str | None = None  #: host of the images that a registry speaks of


@dataclass(frozen=True, slots=True)
class Opened:
    """A webhook with a secret that was made just now."""

    record: WebhookRecord
    secret: Secret | None  #: to be shown this once; None: the operator gave it


def declare_webhook(store: Store, draft: WebhookDraft, now: datetime) -> Opened:
    """Add a webhook.

    Raises:
        InvalidInput: a value is wrong. ``NotFound``: no such project.
        AlreadyExists: there is one of its name.
    """
    name, provider = parse_webhook_name(draft.name), parse_provider(draft.provider)
    project = parse_project_name(draft.project, "project") if draft.project is not None else None
    matching = parse_matching(draft.matching)
    if project is not None and matching is Matching.APPS:
        raise InvalidInput("matching", draft.matching, "chooses among many; leave `project` out")
    if provider.announces_images and matching is Matching.APPS:
        raise InvalidInput("matching", draft.matching, "is for pushes; a registry announces images")
    registry = _registry_of(provider, draft.registry)
    if project is not None:
        _check_concerned(store.get_project(project), provider)
    secret = _accepted(provider, draft.secret)
    webhook = Webhook(name, provider, now, project, matching, registry)
    record = store.create_webhook(webhook, secret)
    return Opened(record, secret if draft.secret is None else None)


def rotate_webhook(
    store: Store, name: WebhookName, given: Secret | None, *, keep_previous: bool, now: datetime
) -> Opened:
    """Give a webhook a new secret; both are taken until the previous one is dropped.

    Raises:
        NotFound: no such webhook.
        InvalidInput: not a secret that its provider can use.
    """
    secret = _accepted(store.get_webhook(name).webhook.provider, given)
    store.rotate_webhook_secret(name, secret, now)
    if not keep_previous:
        store.drop_previous_webhook_secret(name)
    return Opened(store.get_webhook(name), secret if given is None else None)


def _registry_of(provider: Provider, given: str | None) -> str | None:
    if not provider.announces_images:
        if given is not None:
            problem = f"does not belong to {provider}, which announces pushes to repositories"
            raise InvalidInput("registry", given, problem)
        return None
    host = given if given is not None else REGISTRY_HOSTS[provider]
    if host is None:
        problem = f"is needed for {provider}: how images name it, like 'registry.example:5000'"
        raise InvalidInput("registry", None, problem)
    return parse_registry_host(host)


def _check_concerned(project: Project, provider: Provider) -> None:
    if provider.announces_images and not project.kind.runs_containers:
        raise InvalidInput("project", project.name, "runs no images, so that no push concerns it")
    if not provider.announces_images and project.source is None:
        problem = "follows no repository, so that no push concerns it"
        raise InvalidInput("project", project.name, problem)


def _accepted(provider: Provider, given: Secret | None) -> Secret:
    """Return ``given`` if the provider can use it, or one that is made now."""
    signed = provider is Provider.GITLAB_SIGNED
    if given is None:
        return _make_signing_token() if signed else Secret.of(secrets.token_urlsafe(_SECRET_BYTES))
    if not _GIVEN.fullmatch(given.reveal()):
        problem = "must be 16 to 255 printable ASCII characters without spaces"
        raise InvalidInput("secret", None, problem)
    if provider.has_key_in_path and not _IN_PATH.fullmatch(given.reveal()):
        problem = "must be letters, digits, '-' and '_' only: it is a part of the address"
        raise InvalidInput("secret", None, problem)
    if signed and not _is_signing_token(given.reveal()):
        problem = f"must be a signing token: {SIGNED_PREFIX} and the base64 of 24 to 64 bytes"
        raise InvalidInput("secret", None, problem)
    return given


def _make_signing_token() -> Secret:
    key = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    return Secret.of(f"{SIGNED_PREFIX}{key}")


def _is_signing_token(text: str) -> bool:
    prefix, key = text[: len(SIGNED_PREFIX)], text[len(SIGNED_PREFIX) :]
    try:
        return (
            prefix == SIGNED_PREFIX and len(base64.b64decode(key, validate=True)) in _SIGNED_BYTES
        )
    except binascii.Error:
        return False
