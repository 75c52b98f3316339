"""Adding a project: four questions, each of whose answers is checked against the real thing.

The first answer declares the project, with auto-deploy off; each further one changes it. So all
that there is stands in the store, whoever goes on with it and when: nothing is half made.
"""

from collections.abc import Mapping
from dataclasses import replace

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.app import Application
from reconciler.domain.errors import (
    AlreadyExists,
    ReconcilerError,
    RevisionNotFound,
    SourceDenied,
    SourceError,
)
from reconciler.domain.host import LOCAL, parse_host_name
from reconciler.domain.project import HostedSource, Project
from reconciler.domain.references import ProjectName, parse_repository_path
from reconciler.pipeline.declaring.project_draft import parse_draft
from reconciler.pipeline.declaring.projects import change_project, declare_project
from reconciler.pipeline.declaring.secrets import SecretDraft, put_secret
from reconciler.pipeline.requests import Wanted
from reconciler.web.pages.acts.asking import came_to
from reconciler.web.pages.forms import Fields, go
from reconciler.web.pages.frame import Framed
from reconciler.web.pages.new_project.forms import (
    SourceForm,
    at_field,
    credentials_of,
    health_change,
    reached,
    runs_change,
)
from reconciler.web.pages.new_project.steps import Step, address_of, first_page, steps_page
from reconciler.web.principal import Policy, actor_of, authorize, principal_of
from reconciler.web.routing import App, Name, router_for
from reconciler.web.subjects import About

declaring = router_for(Policy.CONFIG, "pages", About.DAEMON)


@declaring.get("/new", include_in_schema=False)
def show_new(frame: Framed) -> HTMLResponse:
    """The first question: where is the code?"""
    return first_page(frame, {})


@declaring.post("/new", include_in_schema=False)
def answer_source(application: App, request: Request, frame: Framed, fields: Fields) -> Response:
    """See that the source answers, and declare a project that follows it."""
    form = SourceForm(fields)
    try:
        name = _declare(application, request, form)
    except ReconcilerError as error:
        return first_page(frame, fields, _placed(error, fields))
    return go(address_of(name, Step.RUNS))


@declaring.get("/new/project/{name}", include_in_schema=False)
def show_steps(application: App, frame: Framed, name: Name, step: str = "") -> Response:
    """What was found so far, and the question that comes next."""
    adopted = application.store.get_project(name).followed_folder
    if adopted or application.store.get_state(name).live:
        return go(f"/projects/{name}")
    return steps_page(frame, name, Step(step) if step in set(Step) else None)


@declaring.post("/new/project/{name}/source", include_in_schema=False)
def change_source(
    application: App, request: Request, frame: Framed, name: Name, fields: Fields
) -> Response:
    """Follow something else, or show the source another credential."""
    try:
        _follow(application, request, name, SourceForm({**fields, "name": name}))
    except ReconcilerError as error:
        return steps_page(frame, name, Step.SOURCE, _placed(error, fields), fields)
    return go(address_of(name, Step.RUNS))


@declaring.post("/new/project/{name}/runs", include_in_schema=False)
def answer_runs(application: App, frame: Framed, name: Name, fields: Fields) -> Response:
    """See that the compose file is there and can be read, and keep which one it is."""
    project = application.store.get_project(name)
    try:
        change = runs_change(project, fields)
        if project.image is None:
            _require_readable(application, project, change)
        _change(application, name, change)
    except ReconcilerError as error:
        return steps_page(frame, name, Step.RUNS, error, fields)
    return go(address_of(name, Step.WHERE))


@declaring.post("/new/project/{name}/where", include_in_schema=False)
def answer_where(application: App, frame: Framed, name: Name, fields: Fields) -> Response:
    """Keep what people reach, on which host, and when that is healthy."""
    try:
        _place(application, name, fields)
    except ReconcilerError as error:
        return steps_page(frame, name, Step.WHERE, _renamed(error), fields)
    return go(address_of(name, Step.PLAN))


@declaring.post("/new/project/{name}/begin", include_in_schema=False)
def begin(
    application: App, request: Request, frame: Framed, name: Name, fields: Fields
) -> Response:
    """Deploy what the plan said, once; or switch auto-deploy on, which deploys the tip."""
    try:
        if fields.get("how") == "auto":
            _change(application, name, {"auto_deploy": True})
            application.daemon.look_now(name)
            return go(f"/projects/{name}")
        authorize(principal_of(request), Policy.TRIGGER, name)
        wanted = Wanted(plan=fields.get("plan", ""))
        return came_to(name, application.deploy(name, wanted, actor=actor_of(request)))
    except ReconcilerError as error:
        return steps_page(frame, name, Step.PLAN, error)


# ── What the answers come to ──────────────────────────────────────────────────────────────────


def _declare(application: Application, request: Request, form: SourceForm) -> ProjectName:
    """Declare it once its source has answered; a credential that was given is kept with it."""
    draft, now = form.draft(), application.clock.now()
    project = parse_draft(draft, now)
    secret = _look_at(application, request, form, project)
    declare_project(
        application.store, application.repositories, draft, now, create_repository=form.is_here
    )
    _keep(application, project.name, secret)
    return project.name


def _follow(
    application: Application, request: Request, name: ProjectName, form: SourceForm
) -> None:
    before, draft = application.store.get_project(name), form.draft()
    wanted = parse_draft(draft, application.clock.now())
    secret = _look_at(application, request, form, wanted)
    change = {"image": draft.image} if before.image else {"url": draft.url, "branch": draft.branch}
    if not isinstance(before.source, HostedSource):
        _change(application, name, change)
    _keep(application, name, secret)


def _look_at(
    application: Application, request: Request, form: SourceForm, project: Project
) -> SecretDraft | None:
    """See that its source answers, be it with the credential that was given; return that."""
    secret = form.secret(project)
    if secret is not None:
        authorize(principal_of(request), Policy.SECRETS, project.name)
    if not isinstance(project.source, HostedSource):  # to which something has to be pushed first
        application.first_looks.require(project, credentials_of(project, secret))
    return secret


def _keep(application: Application, name: ProjectName, secret: SecretDraft | None) -> None:
    if secret is not None:
        put_secret(application.store, name, secret, application.clock.now())


def _change(application: Application, name: ProjectName, change: Mapping[str, object]) -> None:
    now = application.clock.now()
    change_project(application.store, application.repositories, name, change, now)


def _require_readable(
    application: Application, project: Project, change: Mapping[str, object]
) -> None:
    """See that the compose file that is to be kept can be read at the branch's tip."""
    if path := change["compose_path"]:
        parsed = parse_repository_path(str(path), "compose_path")
        project = replace(project, compose_path=parsed)
    found = application.first_looks.look(project)
    if error := found.error or found.unread:
        raise at_field(error, "compose_path")


def _place(application: Application, name: ProjectName, fields: Mapping[str, str]) -> None:
    """Keep all of the third answer, once all of it is known to be right."""
    store, targets = application.store, application.targets
    project, found = store.get_project(name), None
    if project.image is None:
        found = application.first_looks.look(project)
        if error := found.error or found.unread:
            raise error
        project = reached(project, fields, found)
    health = health_change(project, fields, found)
    if found:
        exposed = {"expose_service": project.expose_service, "expose_port": project.expose_port}
        _change(application, name, exposed)
    host = parse_host_name(fields.get("host") or LOCAL)
    if all(one.host != host for one in project.where):
        targets.move(name, to=host)
    targets.change(name, host, health)


def _placed(error: ReconcilerError, fields: Mapping[str, str]) -> ReconcilerError:
    """Return ``error`` beside the field that helps against it."""
    match error:
        case AlreadyExists():
            return at_field(error, "name")
        case RevisionNotFound():
            return at_field(error, "branch")
        case SourceDenied() if fields.get("url", "").startswith("https:"):
            return at_field(error, "token")
        case SourceError():
            return at_field(error, "image" if fields.get("where") == "image" else "url")
    return error


def _renamed(error: ReconcilerError) -> ReconcilerError:
    """Return an error of a target beside the field of the form that means the same."""
    own = {"port": "health_port", "to": "host"}.get(error.evidence.get("field", ""))
    if own:
        error.evidence = {**error.evidence, "field": own}
    return error
