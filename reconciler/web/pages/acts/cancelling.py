"""Cancelling a deployment, which is possible before it changes anything."""

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.deployment import Deployment, DeploymentId, Stage, Status
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.gate import reasons_to_hold
from reconciler.web.api_deployments import Number, withdraw_deployment
from reconciler.web.pages.acts.asking import asked
from reconciler.web.pages.forms import Fields
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.notes import led
from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.subjects import About

withdrawing = router_for(Policy.TRIGGER, "pages", About.DEPLOYMENT)


@withdrawing.get("/deployments/{id}/cancel", include_in_schema=False)
def ask_to_cancel(frame: Framed, id: Number) -> HTMLResponse:  # noqa: A002  the path's word
    """What cancelling it would do at the stage that it is in."""
    return _page(frame, id)


@withdrawing.post("/deployments/{id}/cancel", include_in_schema=False)
def cancel(
    application: App,
    request: Request,
    frame: Framed,
    id: Number,  # noqa: A002  the path's word
    fields: Fields,
) -> Response:
    """Take it back; once it changes something, say that it goes on."""
    del fields  # looked at by what reads them
    try:
        withdraw_deployment(application, id, request)
    except ReconcilerError as error:
        return _page(frame, id, error)
    return led(f"/deployments/{id}", "cancelled", id)


def _page(frame: Frame, number: int, error: ReconcilerError | None = None) -> HTMLResponse:
    store = frame.application.store
    found = store.get_deployment(DeploymentId(number))
    project, state = store.get_project(found.project), store.get_state(found.project)
    held = reasons_to_hold(project, frame.switch, state.freeze, frame.now)
    return asked(
        frame,
        "cancel",
        error,
        one=found,
        live=state.live,
        stands=_stands(found),
        comes_again=found.automatic and not held,
    )


def _stands(found: Deployment) -> str:
    """Return how far it is, as far as cancelling it is concerned."""
    if found.status.final:
        return "ended"
    if found.status is Status.QUEUED:
        return "queued"
    if found.stage.is_before_any_change:
        return "unchanged"
    return "migrating" if found.stage is Stage.MIGRATE else "changing"
