"""Deployments: ask for one, go back to one, follow one."""

from typing import Annotated, Any

from fastapi import Header, Path, Query, Request, Response
from starlette.responses import JSONResponse, PlainTextResponse

from reconciler.app import Application
from reconciler.domain.deployment import DeploymentId, Status
from reconciler.domain.errors import InvalidInput
from reconciler.domain.references import ProjectName, parse_project_name
from reconciler.pipeline.trigger import TriggerResult
from reconciler.ports import EVERY, DeploymentFilter
from reconciler.web.bodies import body_of
from reconciler.web.events import EventStream
from reconciler.web.filters import OnlyDeployments
from reconciler.web.log_stream import MOST_FOLLOWERS, Followers, look, read_whole_log
from reconciler.web.pagination import NewestPaged, Page
from reconciler.web.principal import Policy, Seen, actor_of
from reconciler.web.problems import make_problem, refusal, respond
from reconciler.web.routing import WITH_BODY, App, Name, errors, router_for
from reconciler.web.schemas.body import MOST_NUMBER, DeploymentNumber
from reconciler.web.schemas.deployments import (
    Approve,
    DeploymentBody,
    DeploymentPage,
    LogBody,
    LogLineBody,
    NewDeployment,
    Rollback,
)
from reconciler.web.subjects import About

listing = router_for(Policy.READ, "deployments", About.EACH)
reading_all = router_for(Policy.READ, "deployments", About.PROJECT)
reading = router_for(Policy.READ, "deployments", About.DEPLOYMENT)
triggering = router_for(Policy.TRIGGER, "deployments", About.PROJECT)
withdrawing = router_for(Policy.TRIGGER, "deployments", About.DEPLOYMENT)

Number = Annotated[DeploymentNumber, Path(description="Number of a deployment.", examples=[42])]
_OUTCOME = {
    "Reconciler-Outcome": {
        "description": "admitted or coalesced.",
        "schema": {"type": "string", "examples": ["coalesced"]},
    }
}
#: How answers to who asked for a deployment are documented.
COALESCED: dict[str, Any] = {
    "model": DeploymentBody,
    "description": "The same revision is under way: this deployment serves the request too.",
    "headers": _OUTCOME,
}
ASKED_FOR: dict[str, Any] = {"description": "It was admitted.", "headers": _OUTCOME}


@triggering.post(
    "/projects/{name}/deployments",
    status_code=202,
    response_model=DeploymentBody,
    summary="Deploy a project",
    responses={202: ASKED_FOR, 200: COALESCED, **errors(404, 409, 502, *WITH_BODY)},
)
def deploy(
    application: App, name: Name, request: Request, body: NewDeployment | None = None
) -> Response:
    """Deploys the branch's tip, or the commit named, to all of its hosts or to some.

    A person's request: no switch holds it. Closed windows and a freeze do, unless `override` says
    why not.

    409 where it may not start; `reasons` has all of them. With a `plan`, 409 with the code
    `plan-outdated` where what would be deployed is not what that said.
    """
    wanted = (body or NewDeployment()).wanted()
    return outcome(application, application.deploy(name, wanted, actor=actor_of(request)))


@triggering.post(
    "/projects/{name}/approve",
    status_code=202,
    response_model=DeploymentBody,
    summary="Approve a pending migration",
    responses={202: ASKED_FOR, 200: COALESCED, **errors(404, 409, *WITH_BODY)},
)
def approve(
    application: App, name: Name, request: Request, body: Approve | None = None
) -> Response:
    """Deploys the very revision whose migration stopped for a person, in that person's name.

    409 with the code `nothing-to-approve` where none waits.
    """
    approved = (body or Approve()).approved()
    return outcome(application, application.approve(name, approved, actor=actor_of(request)))


@triggering.post(
    "/projects/{name}/rollback",
    status_code=202,
    response_model=DeploymentBody,
    summary="Go back to an earlier verified revision",
    responses={202: ASKED_FOR, 200: COALESCED, **errors(404, 409, *WITH_BODY)},
)
def roll_back(
    application: App, name: Name, request: Request, body: Rollback | None = None
) -> Response:
    """Needs neither network nor build while its images are still there."""
    to = DeploymentId(body.to) if body and body.to is not None else None
    return outcome(application, application.roll_back(name, to=to, actor=actor_of(request)))


@reading_all.get(
    "/projects/{name}/deployments",
    summary="List a project's deployments, newest first",
    responses=errors(404, 422),
)
def list_of_project(application: App, name: Name, page: NewestPaged) -> DeploymentPage:
    """In pages; `next` leads to the older ones."""
    application.store.get_project(name)
    return _page(application, page, project=name)


@listing.get("/deployments", summary="List deployments, newest first", responses=errors(422))
def list_deployments(
    application: App,
    page: NewestPaged,
    only: OnlyDeployments,
    seen: Seen,
    project: Annotated[
        str | None, Query(description="Only of this project.", examples=["shop"])
    ] = None,
    status: Annotated[
        list[Status] | None, Query(description="Only those that stand so.", examples=[["failed"]])
    ] = None,
) -> DeploymentPage:
    """In pages; `next` leads to the older ones."""
    name = parse_project_name(project, "project") if project is not None else None
    if name is not None:
        seen.require(name)
    return _page(application, page, project=name, statuses=tuple(status or ()), only=only)


@reading.get("/deployments/{id}", summary="Show a deployment", responses=errors(404, 422))
def show_deployment(application: App, id: Number) -> DeploymentBody:  # noqa: A002  the path's word
    """Its stages so far, what was pinned, what was read back, and what went wrong."""
    found = application.store.get_deployment(DeploymentId(id))
    return body_of(application.store, found, with_evidence=True)


_WITHDRAWING = {
    "model": DeploymentBody,
    "description": "It is under way, and ends before it changes anything.",
}


@withdrawing.post(
    "/deployments/{id}/withdraw",
    response_model=DeploymentBody,
    summary="Take a deployment back",
    responses={202: _WITHDRAWING, **errors(404, 409, 422)},
)
def withdraw_deployment(application: App, id: Number, request: Request) -> Response:  # noqa: A002
    """Only before it changes anything: 409 once it does, or has ended. Safe to repeat."""
    deployment = application.withdraw(DeploymentId(id), actor=actor_of(request))
    body = body_of(application.store, deployment).model_dump(mode="json")
    return JSONResponse(body, 200 if deployment.status.final else 202)


_LOG_FORMS = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'id: 7\nevent: line\ndata: {"number":7,"text":"…"}\n\n'
        'event: end\ndata: {"status":"deployed"}\n\n',
    },
    "text/plain": {"schema": {"type": "string"}, "example": "Container shop-web-1  Started\n"},
}


@reading.get(
    "/deployments/{id}/log",
    response_model=LogBody,
    summary="Read or follow a deployment's log",
    responses={
        200: {"description": "Lines, in the form that Accept asks for.", "content": _LOG_FORMS},
        **errors(404, 422),
    },
)
def read_log(
    application: App,
    request: Request,
    id: Number,  # noqa: A002  the path's word
    after: Annotated[
        int, Query(ge=0, le=MOST_NUMBER, description="Only lines after this number.", examples=[0])
    ] = 0,
    _last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description="Where a broken stream goes on.", examples=["7"]),
    ] = None,
) -> Response:
    """JSON has at most 1,000 lines; ask again with the last number until `finished`.

    With `Accept: text/event-stream` lines are sent as they come, as events `line` with their
    number as id, and `end` with the status when there are no more. Events `deployment` have the
    deployment as it stands, at first and whenever a stage begins or ends.
    """
    deployment = DeploymentId(id)
    accepted = request.headers.get("accept", "")
    found, lines = look(application.store, deployment, after)
    if "text/event-stream" in accepted:
        return follow_log(application, request, deployment, after)
    if "text/plain" in accepted:
        return PlainTextResponse(read_whole_log(application.store, deployment, after))
    finished = found.status.final and not (
        lines and application.store.read_log(deployment, after=lines[-1].number, limit=1)
    )
    body = LogBody(items=[LogLineBody.of(line) for line in lines], finished=finished)
    return JSONResponse(body.model_dump(mode="json"))


def follow_log(
    application: Application, request: Request, deployment: DeploymentId, after: int
) -> Response:
    """Answer with the log as it comes, after ``after`` or the event that was seen last.

    Raises:
        InvalidInput: the header ``Last-Event-ID`` is no number.
    """
    followers: Followers = request.app.state.followers
    after = max(after, _event_number(request.headers.get("last-event-id")))
    if followers.full:
        return respond(make_problem(503, f"{MOST_FOLLOWERS} logs are being followed already"))
    return EventStream.of(followers.follow(application.store, deployment, after))


def _event_number(text: str | None) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= MOST_NUMBER):
        raise InvalidInput("last-event-id", text, "is not the number of a line")
    return int(text)


def outcome(application: Application, result: TriggerResult) -> Response:
    """Answer who asked for a deployment."""
    if result.deployment is None:
        return respond(refusal(result.reasons))
    body = body_of(application.store, result.deployment).model_dump(mode="json")
    status = 202 if result.outcome == "admitted" else 200
    headers = {
        "location": f"/api/v1/deployments/{result.deployment.id}",
        "reconciler-outcome": result.outcome,
    }
    return JSONResponse(body, status, headers)


def _page(
    application: Application,
    page: Page,
    *,
    project: ProjectName | None,
    statuses: tuple[Status, ...] = (),
    only: DeploymentFilter = EVERY,
) -> DeploymentPage:
    before = page.before()
    newest = application.store.list_deployments(
        project,
        statuses=statuses,
        only=only,
        before=DeploymentId(before) if before is not None else None,
        limit=page.limit + 1,
    )
    found, following = page.cut(newest, lambda one: one.id)
    return DeploymentPage(items=[DeploymentBody.of(one) for one in found], next=following)
