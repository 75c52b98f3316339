"""Live settings, and tokens of the API."""

from typing import Annotated

from fastapi import Path, Request, Response

from reconciler.app import Application
from reconciler.domain.access import AccessToken, Scope
from reconciler.domain.errors import InvalidInput
from reconciler.domain.settings import SETTINGS
from reconciler.pipeline.declaring.settings import change_settings
from reconciler.web.auth import make_token, withdraw_token
from reconciler.web.conditions import IfMatch, show_version
from reconciler.web.pagination import Paged
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import WITH_BODY, App, errors, router_for
from reconciler.web.schemas.daemon import (
    NewToken,
    SettingBody,
    SettingList,
    SettingsPatch,
    TokenBody,
    TokenList,
    TokenMade,
)

reading = router_for(Policy.READ, "settings")
changing = router_for(Policy.ADMIN, "settings")
admitting = router_for(Policy.ADMIN, "tokens")

_SCOPES = ("admin", "read")


@reading.get("/settings", summary="List the live settings")
def list_settings(application: App, request: Request) -> SettingList:
    """With who changed each last, and why."""
    return _settings(application, request)


@changing.patch("/settings", summary="Change live settings", responses=errors(*WITH_BODY))
def patch_settings(
    application: App, request: Request, body: SettingsPatch, expected: IfMatch
) -> SettingList:
    """All of them or none; they hold from the next tick on, without a restart."""
    change_settings(
        application.store,
        body.values(),
        reason=body.reason,
        actor=actor_of(request),
        now=application.clock.now(),
        expected=expected,
    )
    return _settings(application, request)


@admitting.get("/tokens", summary="List the tokens, by name", responses=errors(422))
def list_tokens(application: App, page: Paged) -> TokenList:
    """Names and scopes; never the tokens."""
    found, following = page.by_name(application.store.list_tokens(), lambda one: one.name)
    return TokenList(
        items=[
            TokenBody(name=one.name, scope=" ".join(sorted(one.scopes)), created_at=one.created_at)
            for one in found
        ],
        next=following,
    )


@admitting.post(
    "/tokens", status_code=201, summary="Make a token", responses=errors(409, *WITH_BODY)
)
def create_token(application: App, request: Request, body: NewToken) -> TokenMade:
    """This is the one time that it is shown. Those of a repository are made at the repository."""
    if body.scope not in _SCOPES:
        raise InvalidInput("scope", body.scope, f"is not one of {', '.join(_SCOPES)}")
    scopes, now = frozenset({Scope(body.scope)}), application.clock.now()
    token = AccessToken(body.name, scopes, None, now, actor_of(request))
    return TokenMade(name=body.name, token=make_token(application.store, token))


@admitting.delete(
    "/tokens/{token}", status_code=204, summary="Withdraw a token", responses=errors(404, 422)
)
def delete_token(
    application: App,
    token: Annotated[str, Path(description="The token's name.", examples=["dashboard"])],
) -> Response:
    """It stops working at once, and for good."""
    withdraw_token(application.store, token, application.config.token_file)
    return Response(status_code=204)


def _settings(application: Application, request: Request) -> SettingList:
    records = application.store.get_settings()
    show_version(request, records)
    return SettingList(items=[SettingBody.of(records[key]) for key in SETTINGS])
