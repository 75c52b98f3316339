"""Targets: where projects are deployed to, and what runs there."""

from functools import partial
from typing import Annotated

from fastapi import Query, Request, Response

from reconciler.app import Application
from reconciler.domain.host import HostName, parse_host_name
from reconciler.domain.references import ProjectName, parse_project_name
from reconciler.pipeline.declaring.projects import Declared
from reconciler.pipeline.declaring.targets import get_target
from reconciler.web.conditions import IfMatch, show_version
from reconciler.web.events import EventStream
from reconciler.web.pagination import Paged
from reconciler.web.principal import Policy, Seen
from reconciler.web.reach import OF_A_TARGET, require_within
from reconciler.web.routing import WITH_BODY, App, Name, OnHost, errors, router_for
from reconciler.web.schemas.targets import (
    Move,
    MovedBody,
    NewTarget,
    TargetBody,
    TargetChanged,
    TargetList,
    TargetPatch,
    TargetStatusBody,
    TargetStatusList,
)
from reconciler.web.set_up_stream import SetUpStreams
from reconciler.web.subjects import About

listing = router_for(Policy.READ, "targets", About.EACH)
reading = router_for(Policy.READ, "targets", About.PROJECT)
changing = router_for(Policy.CONFIG, "targets", About.PROJECT)
placing = router_for(Policy.CONFIG, "targets", About.DAEMON)


@listing.get("/targets", summary="List the targets of all projects", responses=errors(422))
def list_all_targets(application: App, page: Paged, seen: Seen) -> TargetList:
    """By project and host; what is implied is among them."""
    projects = [one for one in application.store.list_projects() if seen.has(one.name)]
    every = ((target, project) for project in projects for target in project.where)
    found, following = page.by_name(every, lambda one: f"{one[0].project} {one[0].host}")
    return TargetList(items=[TargetBody.of(*one) for one in found], next=following)


@listing.get("/targets/status", summary="What runs on all targets now", responses=errors(404, 422))
def report_targets(
    application: App,
    seen: Seen,
    project: Annotated[
        str | None, Query(description="Only of this project.", examples=["shop"])
    ] = None,
) -> TargetStatusList:
    """Each host is asked, side by side, for 10 s at most; `error` says why one did not tell."""
    if project is None:
        found = application.target_reports.all(seen.projects)
    else:
        name = parse_project_name(project, "project")
        seen.require(name)
        found = application.target_reports.of_project(name)
    return TargetStatusList(items=[TargetStatusBody.of(one) for one in found])


@reading.get(
    "/projects/{name}/targets", summary="List a project's targets", responses=errors(404, 422)
)
def list_targets(application: App, name: Name) -> TargetList:
    """In the order of their declaration."""
    project = application.store.get_project(name)
    return TargetList(items=[TargetBody.of(target, project) for target in project.where])


@placing.post(
    "/projects/{name}/targets",
    status_code=201,
    summary="Give a project one more target",
    responses=errors(404, 409, *WITH_BODY),
)
def create_target(application: App, name: Name, request: Request, body: NewTarget) -> TargetChanged:
    """On a host that was declared, or on local. The next deployment goes there too.

    409 with `refusing-to-migrate` where it would take the project away from its volumes.
    """
    draft = body.draft()
    declared = application.targets.add(name, draft)
    return _changed(request, declared, parse_host_name(draft.host))


@reading.get("/projects/{name}/targets/{host}", summary="Show a target", responses=errors(404, 422))
def show_target(application: App, name: Name, host: OnHost, request: Request) -> TargetBody:
    """As it is declared, its defaults included."""
    project = application.store.get_project(name)
    target = get_target(project, host)
    show_version(request, target)
    return TargetBody.of(target, project)


@changing.patch(
    "/projects/{name}/targets/{host}",
    summary="Change a target",
    responses=errors(404, 409, *WITH_BODY),
)
def patch_target(
    application: App,
    name: Name,
    host: OnHost,
    request: Request,
    body: TargetPatch,
    expected: IfMatch,
) -> TargetChanged:
    """Fields that are left out stay; null clears one. The next deployment applies it.

    403 for a field that reaches beyond the project, where the scope holds on it alone.
    """
    require_within(request, name, body.model_fields_set, OF_A_TARGET)
    declared = application.targets.change(name, host, body.values(), expected)
    return _changed(request, declared, host)


@placing.delete(
    "/projects/{name}/targets/{host}",
    status_code=204,
    summary="Take a target away",
    responses=errors(404, 409, 422),
)
def delete_target(application: App, name: Name, host: OnHost, expected: IfMatch) -> Response:
    """What runs there goes on. 409 with `refusing-to-migrate` where its volumes are there."""
    application.targets.remove(name, host, expected)
    return Response(status_code=204)


@placing.post(
    "/projects/{name}/move",
    summary="Move a project to another host",
    responses=errors(404, 409, *WITH_BODY),
)
def move_project(application: App, name: Name, body: Move) -> MovedBody:
    """Its volumes stay where they are, and what runs there goes on: `notes` says so.

    Nothing is deployed by this.
    """
    leaving = None if body.leaving is None else parse_host_name(body.leaving, "leaving")
    moved = application.targets.move(name, to=parse_host_name(body.to, "to"), leaving=leaving)
    return MovedBody(hosts=[target.host for target in moved.project.where], notes=list(moved.notes))


@reading.get(
    "/projects/{name}/targets/{host}/status",
    summary="What runs on a target now",
    responses=errors(404, 422),
)
def report_target(application: App, name: Name, host: OnHost) -> TargetStatusBody:
    """The host is asked, for 10 s at most; `error` says why it did not tell."""
    return TargetStatusBody.of(application.target_reports.of_target(name, host))


@placing.post(
    "/projects/{name}/targets/{host}/setup",
    summary="Make a host ready for a target",
    response_class=EventStream,
    responses=errors(404, 409, 422),
)
async def set_up_target(application: App, name: Name, host: OnHost, request: Request) -> Response:
    """Folders, user and unit; what is there already is left alone, so that repeating is safe.

    Server-sent events: `line` for each thing that was done, at last `end`, whose `problem` is
    null if all is ready. Closing the connection stops it.
    """
    _require_target(application, name, host)
    streams: SetUpStreams = request.app.state.set_ups
    events = streams.begin(f"{name} on {host}", partial(application.set_ups.run, name, host))
    return EventStream.of(events)


def _require_target(application: Application, name: ProjectName, host: HostName) -> None:
    get_target(application.store.get_project(name), host)


def _changed(request: Request, declared: Declared, host: HostName) -> TargetChanged:
    target = get_target(declared.project, host)
    show_version(request, target)
    return TargetChanged(target=TargetBody.of(target, declared.project), notes=list(declared.notes))
