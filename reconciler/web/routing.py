"""Routers whose every route says what it asks of its caller."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from reconciler.app import Application
from reconciler.domain.errors import AccessDenied, InvalidInput
from reconciler.domain.host import HostName, parse_host_name
from reconciler.domain.references import ProjectName, parse_project_name
from reconciler.web import idempotency
from reconciler.web.conditions import expected, if_none_match, tagged
from reconciler.web.events import EventStream
from reconciler.web.idempotency import idempotency_key
from reconciler.web.ongoing import while_allowed
from reconciler.web.principal import Policy, authorize, principal_of
from reconciler.web.problems import MEDIA_TYPE, make_problem
from reconciler.web.subjects import About, find_project, subject_of

_EXPLAINED = {
    401: "No token, or one that is not known here.",
    403: "The scope is not enough, or does not hold on this, be it there or not.",
    404: "There is no such thing.",
    405: "Not with this method.",
    408: "The body came too slowly.",
    412: "It is declared otherwise than what If-Match names.",
    409: "It does not fit the present state; `code` says why.",
    413: "The body is larger than 1 MiB.",
    415: "The body must be application/json.",
    421: "Not a host that this daemon answers for.",
    422: "A value is not accepted; `field` and `detail` say which and why.",
    429: "Too many requests from this address; try again after Retry-After.",
    500: "A bug; `request` finds it in the daemon's log.",
    502: "A git server, forge, registry or host did not give what was asked.",
    503: "The database is busy, or the daemon is shutting down; try again after Retry-After.",
}


class GuardedRoute(APIRoute):
    """A route that checks its policy before it reads the body.

    Besides, what it answers to a GET has an entity tag, and what changes something takes an
    ``Idempotency-Key``; unless it is open to all, or streams.
    """

    policy: Policy
    about: About

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        only_reads = set(given.get("methods") or ()) <= {"GET"}
        streams = given.get("response_class") is EventStream
        self._repeatable = not (only_reads or streams or self.policy is Policy.OPEN)
        self._tagged = only_reads and not streams and self.policy is not Policy.OPEN
        added = [Depends(idempotency_key)] if self._repeatable else []
        added += [Depends(if_none_match)] if self._tagged else []
        given["dependencies"] = [*(given.get("dependencies") or ()), *added]
        super().__init__(path, endpoint, **given)
        self._takes_if_match = any(one.call is expected for one in self.dependant.dependencies)
        also = ((409, 422) if self._repeatable else ()) + ((412,) if self._takes_if_match else ())
        self.responses = {**errors(*also), **self.responses}
        if self._tagged:
            self.responses = {**_UNCHANGED, **errors(422), **self.responses}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler behind its guard."""
        answer = super().get_route_handler()

        async def answer_tagged(request: Request) -> Response:
            if "if-match" in request.headers and not (self._takes_if_match or self._tagged):
                raise InvalidInput("if-match", None, "is not possible here")
            return tagged(request, await answer(request))

        async def noted(request: Request) -> Response:
            try:
                return await answer_tagged(request)
            except AccessDenied:
                await request.app.state.denials.note(principal_of(request).name, request)
                raise

        async def guarded(request: Request) -> Response:
            if self.policy is Policy.OPEN:
                return await answer(request)
            try:
                await self._admit(request)
            except AccessDenied:
                await request.app.state.denials.note(principal_of(request).name, request)
                raise
            if not (self._repeatable and idempotency.HEADER in request.headers):
                return while_allowed(request, await noted(request))
            application = await application_of(request)
            once = idempotency.Once(application.store, application.clock)
            return while_allowed(request, await once.answer(request, noted))

        return guarded

    async def _admit(self, request: Request) -> None:
        """Let pass who may do this, before it is looked whether what it is about exists.

        Raises:
            AccessDenied: they may not.
        """
        principal, parameter = principal_of(request), subject_of(self.about, self.path)
        if principal.may(self.policy):
            return
        if self.about in {About.EACH, About.BODY}:
            admitted = principal.may_somewhere(self.policy)
        elif parameter is None or self.about is About.PROJECT:
            authorize(principal, self.policy, request.path_params.get(parameter or ""))
            return
        else:
            store, text = (await application_of(request)).store, request.path_params[parameter]
            project = await to_thread.run_sync(find_project, store, self.about, text)
            admitted = project is not None and principal.may(self.policy, project)
        if not admitted:  # whose it is would be told by naming it
            raise AccessDenied(f"{principal.name} lacks the scope {self.policy}, which this needs")


_UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "You have it: its ETag is one of If-None-Match."}
}


def router_for(policy: Policy, tag: str, about: About) -> APIRouter:
    """Return a router for routes of ``policy``, with the errors that all of them have.

    Args:
        policy: the scope that each asks for.
        tag: the family that they are described in.
        about: on what that scope has to hold.
    """
    route = type("Route", (GuardedRoute,), {"policy": policy, "about": about})
    always = (421, 500, 503) if policy is Policy.OPEN else (401, 403, 421, 500, 503)
    return APIRouter(route_class=route, tags=[tag], responses=errors(*always))


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


async def _app_name(
    app: Annotated[
        str,
        Path(
            description="Name of a project.",
            examples=["shop"],
            json_schema_extra={"pattern": "^[a-z0-9][a-z0-9-]{0,62}$"},
        ),
    ],
) -> ProjectName:
    return parse_project_name(app, "app")


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


async def _cluster_name(
    cluster: Annotated[
        str,
        Path(
            description="Name of a cluster.",
            examples=["prod"],
            json_schema_extra={"pattern": "^[a-z0-9][a-z0-9.-]{0,62}$"},
        ),
    ],
) -> HostName:
    return parse_host_name(cluster, "cluster")


App = Annotated[Application, Depends(application_of)]
#: Name of a project or repository, from the path.
Name = Annotated[ProjectName, Depends(_project_name)]
#: The same where callers of earlier systems say it.
AppName = Annotated[ProjectName, Depends(_app_name)]
#: Name of a host, from the path.
OnHost = Annotated[HostName, Depends(_host_name)]
#: Name of a cluster, from the path.
InCluster = Annotated[HostName, Depends(_cluster_name)]
