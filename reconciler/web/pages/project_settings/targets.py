"""Where a project runs: its targets, each on a page of its own."""

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import AccessDenied, ReconcilerError
from reconciler.domain.health_check import ProbeKind
from reconciler.domain.project import Project
from reconciler.domain.references import ProjectName
from reconciler.domain.target import Target
from reconciler.domain.version import version_of
from reconciler.pipeline.declaring.target_draft import draft_of
from reconciler.pipeline.declaring.targets import get_target
from reconciler.web.api_targets import create_target, delete_target, patch_target
from reconciler.web.pages.form_values import as_model
from reconciler.web.pages.forms import SEEN, Fields, expected_by, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.project.page import project_view
from reconciler.web.pages.project_settings.asking import Ask, Blank, ask_page
from reconciler.web.pages.project_settings.fields import (
    Declared,
    Section,
    Texts,
    change_of,
    form_of,
)
from reconciler.web.pages.project_settings.target_section import target_section
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.reach import OF_A_TARGET
from reconciler.web.routing import App, Name, OnHost, router_for
from reconciler.web.schemas.targets import NewTarget, TargetPatch
from reconciler.web.subjects import About

changing = router_for(Policy.CONFIG, "pages", About.PROJECT)
placing = router_for(Policy.CONFIG, "pages", About.DAEMON)


@placing.get("/projects/{name}/settings/new-target", include_in_schema=False)
def show_new_target(frame: Framed, name: Name) -> HTMLResponse:
    """An empty form."""
    return _page(frame, name, None)


@placing.post("/projects/{name}/settings/new-target", include_in_schema=False)
def add_target(
    application: App, frame: Framed, name: Name, request: Request, fields: Fields
) -> Response:
    """Add it, or say at the field why not."""
    project = application.store.get_project(name)
    try:
        change = change_of(_section(frame, project, None), {}, fields)
        given = {field: value for field, value in change.items() if value is not None}
        created = create_target(application, name, request, as_model(NewTarget, given))
    except ReconcilerError as error:
        return _page(frame, name, None, fields, error)
    return go(_told(name, created.target.host))


@changing.get("/projects/{name}/settings/targets/{host}", include_in_schema=False)
def show_target(frame: Framed, name: Name, host: OnHost) -> HTMLResponse:
    """As it is declared."""
    project = frame.application.store.get_project(name)
    return _page(frame, name, get_target(project, host))


@changing.post("/projects/{name}/settings/targets/{host}", include_in_schema=False)
def save_target(
    application: App, frame: Framed, name: Name, host: OnHost, request: Request, fields: Fields
) -> Response:
    """Save what the form changes, if nobody changed it since the form was shown."""
    project = application.store.get_project(name)
    target = get_target(project, host)
    try:
        change = change_of(_section(frame, project, target), _declared(target), fields)
        body = as_model(TargetPatch, change)
        patch_target(application, name, host, request, body, expected_by(fields))
    except AccessDenied:
        raise  # where it is noted for the audit log
    except ReconcilerError as error:
        return _page(frame, name, target, fields, error)
    return go(_told(name, host))


@placing.get("/projects/{name}/settings/targets/{host}/remove", include_in_schema=False)
def ask_to_remove_target(frame: Framed, name: Name, host: OnHost) -> HTMLResponse:
    """What removing it would do."""
    return ask_page(frame, _removal(get_target(frame.application.store.get_project(name), host)))


@placing.post("/projects/{name}/settings/targets/{host}/remove", include_in_schema=False)
def remove_target(
    application: App, frame: Framed, name: Name, host: OnHost, fields: Fields
) -> Response:
    """Take it away, unless its volumes are there."""
    target = get_target(application.store.get_project(name), host)
    try:
        delete_target(application, name, host, expected_by(fields))
    except ReconcilerError as error:
        return ask_page(frame, _removal(target), error)
    return go(_told(name, host))


def _removal(target: Target) -> Ask:
    name, host = target.project, target.host
    return Ask(
        f"Remove {name} from {host}?",
        f"Remove from {host}",
        "Leave it there",
        f"/projects/{name}/settings#targets",
        (
            ("x", f"{name} is no longer deployed to {host}, from the next deployment on."),
            ("check", "What runs there is left running, and is no longer looked after."),
            ("host", f"Nothing on {host} is stopped or deleted."),
        ),
        (Blank(SEEN, "", "hidden", value=version_of(target)),),
        removes=True,
    )


def _told(name: ProjectName, host: str) -> str:
    return f"/projects/{name}/settings?did=target&of={host}#targets"


def _section(frame: Frame, project: Project, target: Target | None) -> Section:
    return target_section(project.kind, target, whole=frame.may(Policy.CONFIG))


def _declared(target: Target) -> Declared:
    """Return the target as its form shows it; the paths that its checks ask for by themselves."""
    draft = draft_of(target)
    declared = {field: getattr(draft, field) for field in draft.__slots__}
    paths = {
        f"{name}_path": check.path
        for name, check in (("health", target.health), ("ready", target.ready))
        if check and check.kind is ProbeKind.HTTP
    }
    return {**declared, **paths}


def _page(
    frame: Frame,
    name: ProjectName,
    target: Target | None,
    fields: Texts | None = None,
    error: ReconcilerError | None = None,
) -> HTMLResponse:
    view = project_view(frame, name)
    form = form_of(
        _section(frame, view.project, target),
        _declared(target) if target else {},
        seen=version_of(target) if target else "",
        own=None if frame.may(Policy.CONFIG) else OF_A_TARGET,
        fields=fields,
        error=error,
    )
    return page(frame, "project/target.html", status_of(error), view=view, target=target, form=form)
