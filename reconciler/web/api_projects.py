"""Projects: declare, change, look at, ask why."""

from typing import Annotated

from fastapi import Query, Request, Response

from reconciler.app import Application
from reconciler.domain.errors import InvalidInput
from reconciler.domain.reason_codes import REASONS
from reconciler.domain.references import ProjectName
from reconciler.pipeline.declaring.projects import change_project, declare_project, remove_project
from reconciler.web.conditions import IfMatch, show_version
from reconciler.web.filters import Wanted
from reconciler.web.pagination import NewestPaged, Paged
from reconciler.web.principal import Policy, Seen
from reconciler.web.reach import OF_A_PROJECT, require_within
from reconciler.web.routing import WITH_BODY, App, Name, errors, router_for
from reconciler.web.schemas.noticed import ImageBody, ImageList, TriggerBody, TriggerList
from reconciler.web.schemas.project_summary import SummaryBody
from reconciler.web.schemas.projects import (
    LiftedBody,
    LookingBody,
    NewProject,
    ProjectBody,
    ProjectList,
    ProjectPatch,
)
from reconciler.web.schemas.why import ReasonList, ReasonMeaningBody, WhyBody
from reconciler.web.subjects import About

listing = router_for(Policy.READ, "projects", About.EACH)
reading = router_for(Policy.READ, "projects", About.PROJECT)
triggering = router_for(Policy.TRIGGER, "projects", About.PROJECT)
changing = router_for(Policy.CONFIG, "projects", About.PROJECT)
declaring = router_for(Policy.CONFIG, "projects", About.DAEMON)


@listing.get("/projects", summary="List projects, by name", responses=errors(422))
def list_projects(application: App, page: Paged, only: Wanted, seen: Seen) -> ProjectList:
    """Where each stands, without its history."""
    there = (one for one in application.summaries() if seen.has(one.project.name))
    wanted = filter(only.takes, there)
    found, following = page.by_name(wanted, lambda one: one.project.name)
    return ProjectList(items=[SummaryBody.of(summary) for summary in found], next=following)


@declaring.post(
    "/projects", status_code=201, summary="Declare a project", responses=errors(409, *WITH_BODY)
)
def create_project(application: App, request: Request, body: NewProject) -> ProjectBody:
    """A field that does not belong to the kind is refused.

    `compose` and `unit` take `repository` or `url`, and `branch`; `compose` also `compose_path`,
    `expose_service`, `expose_port` and `stateful_services`; `image` takes `image`, `ports` and
    `volumes`; `tunnel` and `domain_only` take neither.
    """
    declared = declare_project(
        application.store,
        application.repositories,
        body.draft(),
        application.clock.now(),
        create_repository=body.create_repository,
    )
    return show_changed(application, declared.project.name, request, declared.notes)


@reading.get("/projects/{name}", summary="Show a project", responses=errors(404, 422))
def show_project(application: App, name: Name, request: Request) -> ProjectBody:
    """Its declaration, and what is known of it."""
    return _in_full(application, name, request)


@changing.patch(
    "/projects/{name}", summary="Change a project", responses=errors(404, 409, *WITH_BODY)
)
def patch_project(
    application: App, name: Name, request: Request, body: ProjectPatch, expected: IfMatch
) -> ProjectBody:
    """Fields that are left out stay; null clears one. `notes` says what else it did.

    403 for a field that reaches beyond the project, where the scope holds on it alone.
    """
    require_within(request, name, body.model_fields_set, OF_A_PROJECT)
    declared = change_project(
        application.store,
        application.repositories,
        name,
        body.change(),
        application.clock.now(),
        expected,
    )
    return show_changed(application, name, request, declared.notes)


@declaring.delete(
    "/projects/{name}",
    status_code=204,
    summary="Remove a project",
    responses=errors(404, 409, 422),
)
def delete_project(
    application: App,
    name: Name,
    expected: IfMatch,
    keep_containers: Annotated[
        bool,
        Query(description="Only true is possible: what runs is left running.", examples=[True]),
    ] = True,
) -> Response:
    """Forgets the project with its history and its secrets.

    Its containers, volumes, work tree and hosted repository stay as they are.
    """
    if not keep_containers:
        problem = "is not possible: stop the containers with `docker compose down` yourself"
        raise InvalidInput("keep_containers", keep_containers, problem)
    remove_project(application.store, application.checkouts, name, expected)
    return Response(status_code=204)


@reading.get(
    "/projects/{name}/why", summary="Why it did or did not deploy", responses=errors(404, 422)
)
def explain_project(application: App, name: Name) -> WhyBody:
    """The answer from what was recorded, with times and evidence."""
    return WhyBody.of(application.why(name))


@listing.get("/reasons", summary="List every reason code")
def list_reasons() -> ReasonList:
    """What each means that `why` and refused requests give. Codes of errors may appear, too."""
    return ReasonList(items=[ReasonMeaningBody.of(meaning) for meaning in REASONS.values()])


@triggering.delete(
    "/projects/{name}/quarantine",
    summary="Lift a project's quarantine",
    responses=errors(404, 422),
)
def lift_quarantine(application: App, name: Name) -> LiftedBody:
    """What was rolled back may be deployed again."""
    application.store.get_project(name)
    lifted = application.store.lift_quarantine(name)
    application.daemon.look_now(name)
    return LiftedBody(lifted=lifted)


@triggering.post(
    "/projects/{name}/look",
    status_code=202,
    summary="Look at its source and images now",
    responses=errors(404, 422),
)
def look_now(application: App, name: Name) -> LookingBody:
    """As if its interval were over."""
    application.store.get_project(name)
    application.daemon.look_now(name)
    return LookingBody(looking=True)


@reading.get(
    "/projects/{name}/triggers",
    summary="What was asked for it, and what became of it",
    responses=errors(404, 422),
)
def list_triggers(application: App, name: Name, page: NewestPaged) -> TriggerList:
    """Newest first; equal requests in a row are one record."""
    application.store.get_project(name)
    records = application.store.list_triggers(name, before=page.before(), limit=page.limit + 1)
    found, following = page.cut(records, lambda one: one.number)
    return TriggerList(items=[TriggerBody.of(record) for record in found], next=following)


@reading.get(
    "/projects/{name}/images", summary="The images that it follows", responses=errors(404, 422)
)
def list_images(application: App, name: Name) -> ImageList:
    """As its compose file names them, with why one is not watched."""
    application.store.get_project(name)
    return ImageList(items=[ImageBody.of(image) for image in application.store.get_images(name)])


def show_changed(
    application: Application, name: ProjectName, request: Request, notes: tuple[str, ...]
) -> ProjectBody:
    """Have a project that was declared anew looked at; return its body."""
    summary = application.summary(name)
    if summary.project.auto_deploy:
        application.daemon.look_now(name)
    return _in_full(application, name, request, notes)


def _in_full(
    application: Application,
    name: ProjectName,
    request: Request,
    notes: tuple[str, ...] | None = None,
) -> ProjectBody:
    summary = application.summary(name)
    show_version(request, summary.project)
    restorable = [deployment.id for deployment in application.store.list_restorable(name)]
    return ProjectBody.in_full(summary, restorable, application.clock.now(), notes)
