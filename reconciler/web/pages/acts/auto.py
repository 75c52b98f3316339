"""Auto-deploy of one project, on or off."""

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import ReconcilerError
from reconciler.domain.gate import reasons_to_hold, reasons_to_refuse
from reconciler.domain.references import ProjectName
from reconciler.domain.version import ANYTHING
from reconciler.web.api_projects import patch_project
from reconciler.web.pages.acts.asking import asked
from reconciler.web.pages.forms import Fields
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.notes import led
from reconciler.web.principal import Policy
from reconciler.web.routing import App, Name, router_for
from reconciler.web.schemas.projects import ProjectPatch
from reconciler.web.subjects import About

changing = router_for(Policy.CONFIG, "pages", About.PROJECT)


@changing.get("/projects/{name}/auto", include_in_schema=False)
def ask_to_turn(frame: Framed, name: Name) -> HTMLResponse:
    """What turning it would do."""
    return _page(frame, name)


@changing.post("/projects/{name}/auto", include_in_schema=False)
def turn(application: App, request: Request, frame: Framed, name: Name, fields: Fields) -> Response:
    """Turn it to the side that the form names: one that was seen before is not turned back."""
    change = ProjectPatch(auto_deploy=fields.get("turn") == "on")
    try:
        patch_project(application, name, request, change, ANYTHING)
    except ReconcilerError as error:
        return _page(frame, name, error)
    return led(f"/projects/{name}", "auto", name)


def _page(frame: Frame, name: ProjectName, error: ReconcilerError | None = None) -> HTMLResponse:
    one = frame.application.summary(name)
    project, state, health = one.project, one.state, one.health
    live = state.live.target_revision.commit if state.live else None
    held = reasons_to_hold(project, frame.switch, state.freeze, frame.now)
    return asked(
        frame,
        "auto",
        error,
        project=project,
        state=state,
        refused=reasons_to_refuse(project) if not project.kind.deployable else (),
        live=live,
        next_one=health.observed if health.observed != live else None,
        next_look_at=health.next_look_at,
        held=[reason for reason in held if reason.code != "auto-deploy-off"],
    )
