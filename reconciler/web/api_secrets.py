"""Secrets of projects: stored and never shown again."""

from typing import Annotated

from fastapi import Path, Response

from reconciler.domain.secret import Secret
from reconciler.pipeline.declaring.secrets import SecretDraft, put_secret, remove_secret
from reconciler.web.pagination import Paged
from reconciler.web.principal import Policy
from reconciler.web.routing import WITH_BODY, App, Name, errors, router_for
from reconciler.web.schemas.secrets import NewSecret, SecretBody, SecretList
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "secrets", About.PROJECT)
changing = router_for(Policy.SECRETS, "secrets", About.PROJECT)

SecretName = Annotated[
    str,
    Path(
        description="git-token, git-ssh-key, forge-token, registry:HOST or variable:NAME.",
        examples=["variable:DATABASE_URL"],
    ),
]


@reading.get(
    "/projects/{name}/secrets", summary="List a project's secrets", responses=errors(404, 422)
)
def list_secrets(application: App, name: Name, page: Paged) -> SecretList:
    """Names, fingerprints and dates; never values."""
    application.store.get_project(name)
    records = application.store.list_secrets(name)
    found, following = page.by_name(records, lambda one: one.name)
    return SecretList(items=[SecretBody.of(record) for record in found], next=following)


@changing.put(
    "/projects/{name}/secrets/{secret}",
    summary="Store or replace a secret",
    responses=errors(404, *WITH_BODY),
)
def store_secret(application: App, name: Name, secret: SecretName, body: NewSecret) -> SecretBody:
    """A git credential is bound to the source's origin, and dropped when that changes."""
    draft = SecretDraft(secret, Secret.of(body.value), body.username, body.bound_to)
    return SecretBody.of(put_secret(application.store, name, draft, application.clock.now()))


@changing.delete(
    "/projects/{name}/secrets/{secret}",
    status_code=204,
    summary="Delete a secret",
    responses=errors(404, 422),
)
def delete_secret(application: App, name: Name, secret: SecretName) -> Response:
    """What runs keeps what it was started with."""
    remove_secret(application.store, name, secret, application.clock.now())
    return Response(status_code=204)
