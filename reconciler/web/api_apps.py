"""The paths of an orchestrator's admin API: an app is a project."""

from typing import Annotated

from fastapi import Query, Request, Response
from starlette.responses import JSONResponse

from reconciler.app import Application
from reconciler.domain.deployment import Deployment, DeploymentId
from reconciler.domain.errors import NotFound
from reconciler.domain.references import ProjectName
from reconciler.web.api_deployments import ASKED_FOR, COALESCED, follow_log, outcome
from reconciler.web.bodies import body_of
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import WITH_BODY, App, AppName, errors, router_for
from reconciler.web.schemas.apps import ProgressBody, RuntimeStatusBody
from reconciler.web.schemas.body import MOST_NUMBER
from reconciler.web.schemas.deployments import DeploymentBody, NewDeployment
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "apps", About.PROJECT)
triggering = router_for(Policy.TRIGGER, "apps", About.PROJECT)

_NEWEST_LINES = 100


@triggering.post(
    "/apps/{app}/deploy",
    status_code=202,
    response_model=DeploymentBody,
    summary="Deploy an app",
    responses={202: ASKED_FOR, 200: COALESCED, **errors(404, 409, 502, *WITH_BODY)},
)
def deploy_app(
    application: App, app: AppName, request: Request, body: NewDeployment | None = None
) -> Response:
    """As `POST /api/v1/projects/{name}/deployments`: it is under way, and not awaited."""
    wanted = (body or NewDeployment()).wanted()
    return outcome(application, application.deploy(app, wanted, actor=actor_of(request)))


@reading.get(
    "/apps/{app}/progress",
    response_model=ProgressBody,
    summary="How far an app's deployment is",
    responses={
        200: {
            "description": "The deployment, or its log as it comes.",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": 'id: 7\nevent: line\ndata: {"number":7,"text":"…"}\n\n',
                }
            },
        },
        **errors(404, 422),
    },
)
def show_progress(
    application: App,
    app: AppName,
    request: Request,
    after: Annotated[
        int | None,
        Query(
            ge=0,
            le=MOST_NUMBER,
            description="Lines after this number, at most 1,000; without it the newest 100.",
            examples=[7],
        ),
    ] = None,
) -> Response:
    """Of the deployment under way, or the last one: its stage, and how long each usually takes.

    With `Accept: text/event-stream` it is followed as `GET /api/v1/deployments/{id}/log` is.
    """
    deployment = _newest(application, app)
    if "text/event-stream" in request.headers.get("accept", ""):
        return follow_log(application, request, deployment.id, after or 0)
    lines = (
        application.store.read_newest_log(deployment.id, limit=_NEWEST_LINES)
        if after is None
        else application.store.read_log(deployment.id, after=after)
    )
    body = ProgressBody.of(body_of(application.store, deployment), lines)
    return JSONResponse(body.model_dump(mode="json"))


@reading.get(
    "/apps/{app}/runtime-status",
    summary="What runs of an app now, and what should",
    responses=errors(404, 422),
)
def show_runtime_status(application: App, app: AppName) -> RuntimeStatusBody:
    """Its hosts are asked, side by side, for 10 s at most; `error` says why one did not tell."""
    return RuntimeStatusBody.of(app, application.target_reports.of_project(app))


def _newest(application: Application, name: ProjectName) -> Deployment:
    state = application.store.get_state(name)
    found = state.running or state.queued or state.latest
    if found is None:
        raise NotFound(f"{name} was never deployed")
    return application.store.get_deployment(DeploymentId(found.id))
