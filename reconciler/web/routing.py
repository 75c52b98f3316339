"""Routers whose every route says what it asks of its caller."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from reconciler.app import Application
from reconciler.domain.host import HostName, parse_host_name
from reconciler.domain.references import ProjectName, parse_project_name
from reconciler.web.auth import Policy, authorize, principal_of
from reconciler.web.problems import MEDIA_TYPE, make_problem

_EXPLAINED = {
    401: "No token, or one that is not known here.",
    403: "The token's scope is not enough.",
    404: "There is no such thing.",
    405: "Not with this method.",
    408: "The body came too slowly.",
    409: "It does not fit the present state; `code` says why.",
    413: "The body is larger than 1 MiB.",
    415: "The body must be application/json.",
    421: "Not a host that this daemon answers for.",
    422: "A value is not accepted; `field` and `detail` say which and why.",
    429: "Too many requests from this address; try again after Retry-After.",
    500: "A bug; `request` finds it in the daemon's log.",
    502: "A git server, a registry or a host did not give what was asked.",
    503: "The database is busy, or the daemon is shutting down; try again after Retry-After.",
}


class GuardedRoute(APIRoute):
    """A route that checks its policy before it reads the body."""

    policy: Policy

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler behind its guard."""
        answer = super().get_route_handler()
        policy = self.policy

        async def guarded(request: Request) -> Response:
            authorize(principal_of(request), policy, request.path_params.get("name", ""))
            return await answer(request)

        return guarded


class OpenRoute(GuardedRoute):
    """Anybody may."""

    policy = Policy.OPEN


class ReadRoute(GuardedRoute):
    """Who may look."""

    policy = Policy.READ


class AdminRoute(GuardedRoute):
    """Who may change things."""

    policy = Policy.ADMIN


class RepositoryRoute(GuardedRoute):
    """Who may push."""

    policy = Policy.REPOSITORY


_ROUTES = {route.policy: route for route in (OpenRoute, ReadRoute, AdminRoute, RepositoryRoute)}


def router_for(policy: Policy, tag: str) -> APIRouter:
    """Return a router for routes of ``policy``, with the errors that all of them have."""
    always = (421, 500, 503) if policy is Policy.OPEN else (401, 403, 421, 500, 503)
    return APIRouter(route_class=_ROUTES[policy], tags=[tag], responses=errors(*always))


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how answers of these statuses are documented."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": _EXPLAINED[status],
            "content": {MEDIA_TYPE: {"schema": schema, "example": _example(status)}},
        }
        for status in statuses
    }


def _example(status: int) -> dict[str, Any]:
    return make_problem(status, _EXPLAINED[status]).model_dump(exclude_none=True)


#: What a request with a body may be answered besides.
WITH_BODY = (408, 413, 415, 422)


async def application_of(request: Request) -> Application:
    """Return the application that this daemon is."""
    found: Application = request.app.state.application
    return found


async def _project_name(
    name: Annotated[
        str,
        Path(
            description="The name.",
            examples=["shop"],
            json_schema_extra={"pattern": "^[a-z0-9][a-z0-9-]{0,62}$"},
        ),
    ],
) -> ProjectName:
    return parse_project_name(name)


async def _host_name(
    host: Annotated[
        str,
        Path(
            description="Name of a host; local is the daemon's own machine.",
            examples=["web1"],
            json_schema_extra={"pattern": "^[a-z0-9][a-z0-9.-]{0,62}$"},
        ),
    ],
) -> HostName:
    return parse_host_name(host)


App = Annotated[Application, Depends(application_of)]
#: Name of a project or repository, from the path.
Name = Annotated[ProjectName, Depends(_project_name)]
#: Name of a host, from the path.
OnHost = Annotated[HostName, Depends(_host_name)]
