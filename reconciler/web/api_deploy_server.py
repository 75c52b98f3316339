"""The paths of a deploy server for remote machines, outside `/api/v1`: an app is a project."""

from itertools import islice
from typing import Annotated

from fastapi import Query, Request, Response
from starlette.responses import JSONResponse

from reconciler.app import Application
from reconciler.domain.host import parse_host_name
from reconciler.domain.references import ProjectName
from reconciler.pipeline.requests import Wanted
from reconciler.ports import EVERY, DeploymentFilter
from reconciler.web.api_deployments import ASKED_FOR, COALESCED, outcome
from reconciler.web.api_status import UNWELL, healthz
from reconciler.web.api_targets import list_all_targets, list_targets
from reconciler.web.pagination import Paged
from reconciler.web.principal import Policy, Seen, actor_of
from reconciler.web.routing import App, AppName, errors, router_for
from reconciler.web.schemas.apps import AppStatusBody, DeployLogBody, DeployLogList
from reconciler.web.schemas.daemon import HealthBody
from reconciler.web.schemas.deployments import DeploymentBody
from reconciler.web.schemas.targets import TargetList
from reconciler.web.subjects import About

open_to_all = router_for(Policy.OPEN, "deploy server", About.NOTHING)
listing = router_for(Policy.READ, "deploy server", About.EACH)
reading = router_for(Policy.READ, "deploy server", About.PROJECT)
triggering = router_for(Policy.TRIGGER, "deploy server", About.PROJECT)

_LOGGED = 20


@listing.get("/api/targets", summary="List the targets of all apps", responses=errors(422))
def list_targets_of_apps(application: App, page: Paged, seen: Seen) -> TargetList:
    """As `GET /api/v1/targets`."""
    return list_all_targets(application, page, seen)


@reading.get("/api/targets/{app}", summary="List an app's targets", responses=errors(404, 422))
def list_targets_of_app(application: App, app: AppName) -> TargetList:
    """As `GET /api/v1/projects/{name}/targets`."""
    return list_targets(application, app)


@triggering.post(
    "/api/deploy/{app}",
    status_code=202,
    response_model=DeploymentBody,
    summary="Deploy an app to all of its hosts, or to one",
    responses={202: ASKED_FOR, 200: COALESCED, **errors(404, 409, 422, 502)},
)
def deploy_to_hosts(
    application: App,
    app: AppName,
    request: Request,
    host: Annotated[
        str | None, Query(description="Only to this host of the app.", examples=["web1"])
    ] = None,
) -> Response:
    """As `POST /api/v1/projects/{name}/deployments`: it is under way, and not awaited."""
    hosts = () if host is None else (parse_host_name(host),)
    wanted = Wanted(hosts=hosts)
    return outcome(application, application.deploy(app, wanted, actor=actor_of(request)))


@reading.get("/api/status/{app}", summary="Where an app stands", responses=errors(404, 422))
def show_status_of_app(application: App, app: AppName) -> AppStatusBody:
    """And what runs on its targets, asked for 10 s at most."""
    return AppStatusBody.of(application.summary(app), application.target_reports.of_project(app))


@open_to_all.get(
    "/api/health",
    response_model=HealthBody,
    summary="Whether the daemon does its work",
    responses=UNWELL,
)
def health(application: App, request: Request) -> JSONResponse:
    """As `GET /api/healthz`: 503 where it does not, and while it shuts down."""
    return healthz(application, request)


@listing.get("/api/logs", summary="The last 20 deployments")
def list_deploy_log(application: App, seen: Seen) -> DeployLogList:
    """Of all apps, host by host, the newest first."""
    return _log(application, None, DeploymentFilter(projects=seen.projects))


@reading.get(
    "/api/logs/{app}", summary="The last 20 deployments of an app", responses=errors(404, 422)
)
def list_deploy_log_of_app(application: App, app: AppName) -> DeployLogList:
    """Host by host, the newest first."""
    application.store.get_project(app)
    return _log(application, app)


def _log(
    application: Application, name: ProjectName | None, only: DeploymentFilter = EVERY
) -> DeployLogList:
    newest = application.store.list_deployments(name, only=only, limit=_LOGGED)
    rows = (row for deployment in newest for row in DeployLogBody.rows(deployment))
    return DeployLogList(items=list(islice(rows, _LOGGED)))
