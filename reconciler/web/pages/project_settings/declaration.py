"""What a project declares: shown in sections, each of which is saved by itself."""

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import AccessDenied, NotFound, ReconcilerError
from reconciler.domain.project import Project
from reconciler.domain.references import ProjectName
from reconciler.domain.version import version_of
from reconciler.pipeline.declaring.project_draft import draft_of
from reconciler.web.api_projects import patch_project
from reconciler.web.pages.form_values import as_model
from reconciler.web.pages.forms import Fields, expected_by, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.project_settings.fields import (
    Declared,
    Form,
    Section,
    Texts,
    change_of,
    form_of,
)
from reconciler.web.pages.project_settings.notes import note_on
from reconciler.web.pages.project_settings.overview import settings_view
from reconciler.web.pages.project_settings.sections import sections_of
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.reach import OF_A_PROJECT
from reconciler.web.routing import App, Name, router_for
from reconciler.web.schemas.projects import ProjectPatch
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.PROJECT)
changing = router_for(Policy.CONFIG, "pages", About.PROJECT)


@reading.get("/projects/{name}/settings", include_in_schema=False)
def show_settings(frame: Framed, name: Name, request: Request) -> HTMLResponse:
    """All that is declared of it, in sections."""
    return _page(frame, name, request)


@reading.get("/projects/{name}/settings/{section}", include_in_schema=False)
def show_section(frame: Framed, name: Name, section: str, request: Request) -> HTMLResponse:
    """The same page: it is where a form leads that was refused."""
    _find(section, frame.application.store.get_project(name))
    return _page(frame, name, request)


@changing.post("/projects/{name}/settings/{section}", include_in_schema=False)
def save_section(
    application: App, frame: Framed, name: Name, section: str, request: Request, fields: Fields
) -> Response:
    """Save what the form changes, if nobody changed it since the form was shown."""
    project = application.store.get_project(name)
    found = _find(section, project)
    secrets = {one.name for one in application.store.list_secrets(name)}
    try:
        change = change_of(found, declared_of(project), fields)
        body = as_model(ProjectPatch, change)
        if change:
            patch_project(application, name, request, body, expected_by(fields))
    except AccessDenied:
        raise  # where it is noted for the audit log
    except ReconcilerError as error:
        return _page(frame, name, request, (found, fields, error))
    said = f"?did={'saved' if change else 'same'}&of={section}"
    if dropped := secrets - {one.name for one in application.store.list_secrets(name)}:
        said += "&dropped=" + min(dropped)
    return go(f"/projects/{name}/settings{said}#{section}")


def declared_of(project: Project) -> Declared:
    """Return the declaration as the forms show it: windows as lines."""
    draft = draft_of(project)
    declared = {field: getattr(draft, field) for field in draft.__slots__}
    if draft.rules and project.rules.windows:
        declared["rules"] = {**draft.rules, "windows": [str(one) for one in project.rules.windows]}
    return declared


def _find(section: str, project: Project) -> Section:
    sections = sections_of(project.kind)
    if section not in sections:
        known = ", ".join(sections)
        raise NotFound(f"the settings of {project.name} have no section {section!r}: {known}")
    return sections[section]


def _page(
    frame: Frame,
    name: ProjectName,
    request: Request,
    refused: tuple[Section, Texts, ReconcilerError] | None = None,
) -> HTMLResponse:
    view = settings_view(frame, name)
    forms = {
        key: _form(frame, view.project, section, refused)
        for key, section in sections_of(view.project.kind).items()
    }
    return page(
        frame,
        "project/settings.html",
        status_of(refused[2] if refused else None),
        view=view.view,
        settings=view,
        forms=forms,
        said=note_on(view, request.query_params) if refused is None else None,
    )


def _form(
    frame: Frame,
    project: Project,
    section: Section,
    refused: tuple[Section, Texts, ReconcilerError] | None,
) -> Form:
    own = OF_A_PROJECT if frame.may(Policy.CONFIG, project.name) else frozenset()
    _, fields, error = refused if refused and refused[0].key == section.key else (None, None, None)
    return form_of(
        section,
        declared_of(project),
        seen=version_of(project),
        own=None if frame.may(Policy.CONFIG) else own,
        fields=fields,
        error=error,
    )
