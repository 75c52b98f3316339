"""Tokens of the API: what each is good for, until when, and who made it."""

from typing import Annotated

from fastapi import Path, Request, Response

from reconciler.app import Application
from reconciler.domain.access import AccessToken, Scope
from reconciler.domain.errors import InvalidInput, NotFound
from reconciler.web.auth import make_token
from reconciler.web.pagination import Paged
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import WITH_BODY, App, Name, errors, router_for
from reconciler.web.schemas.tokens import (
    NewRepositoryToken,
    NewToken,
    TokenBody,
    TokenList,
    TokenMade,
)
from reconciler.web.subjects import About

admitting = router_for(Policy.ADMIN, "tokens", About.DAEMON)


@admitting.get("/tokens", summary="List the tokens, by name", responses=errors(422))
def list_tokens(application: App, page: Paged) -> TokenList:
    """What each is good for, until when, and when it was last used; never the tokens."""
    found, following = page.by_name(application.store.list_tokens(), lambda one: one.name)
    return TokenList(items=[TokenBody.of(one) for one in found], next=following)


@admitting.post(
    "/tokens", status_code=201, summary="Make a token", responses=errors(409, *WITH_BODY)
)
def create_token(application: App, request: Request, body: NewToken) -> TokenMade:
    """This is the one time that it is shown. Who has the scope admin makes tokens, nobody else."""
    token = body.token(application.clock.now(), actor_of(request))
    return _made(application, token)


@admitting.post(
    "/repositories/{name}/tokens",
    status_code=201,
    summary="Make a token that may push to and fetch from a repository",
    responses=errors(404, 409, *WITH_BODY),
)
def create_repository_token(
    application: App, request: Request, name: Name, body: NewRepositoryToken
) -> TokenMade:
    """Git takes it as the password, with any user name. This is the one time that it is shown."""
    application.repositories.path(name)
    now, by = application.clock.now(), actor_of(request)
    return _made(application, AccessToken(body.name, frozenset({Scope.PUSH}), (name,), now, by))


@admitting.delete(
    "/tokens/{token}", status_code=204, summary="Withdraw a token", responses=errors(404, 422)
)
def delete_token(
    application: App,
    token: Annotated[str, Path(description="The token's name.", examples=["ci"])],
) -> Response:
    """It stops working at once, and for good; what it follows ends within half a minute."""
    application.store.remove_token(token)
    return Response(status_code=204)


def _made(application: Application, token: AccessToken) -> TokenMade:
    _require_repositories(application, token)
    text = make_token(application.store, token)
    try:
        _require_repositories(application, token)  # whoever deleted one may not have seen it yet
    except InvalidInput:
        application.store.remove_token(token.name)
        raise
    return TokenMade(name=token.name, token=text, expires_at=token.expires_at)


def _require_repositories(application: Application, token: AccessToken) -> None:
    """Refuse a token that may only push, where there is nothing to push to."""
    bound = token.projects or () if token.scopes == {Scope.PUSH} else ()
    for name in bound:
        try:
            application.repositories.path(name)
        except NotFound:
            problem = "is no repository that is kept here"
            raise InvalidInput("projects", name, problem) from None
