"""Lifting a project's quarantine, and having it looked at."""

from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import NotFound
from reconciler.domain.references import ProjectName
from reconciler.web.api_projects import lift_quarantine, look_now
from reconciler.web.pages.acts.asking import asked
from reconciler.web.pages.forms import Fields
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.notes import led
from reconciler.web.principal import Policy
from reconciler.web.routing import App, Name, router_for
from reconciler.web.subjects import About

triggering = router_for(Policy.TRIGGER, "pages", About.PROJECT)


@triggering.get("/projects/{name}/quarantine", include_in_schema=False)
def ask_to_lift(frame: Framed, name: Name) -> HTMLResponse:
    """What may be deployed again once it is lifted."""
    return _page(frame, name)


@triggering.get("/projects/{name}/quarantine/{fingerprint}", include_in_schema=False)
def ask_to_lift_one(frame: Framed, name: Name, fingerprint: str) -> HTMLResponse:
    """The same, where a page names the revision that it is about."""
    known = frame.application.store.get_state(name).quarantined
    if fingerprint not in {one.fingerprint for one in known}:
        raise NotFound(f"this revision of {name} is not quarantined, or not any more")
    return _page(frame, name)


@triggering.post("/projects/{name}/quarantine", include_in_schema=False)
def lift(application: App, name: Name, fields: Fields) -> Response:
    """Lift it; where nothing is quarantined any more, that is fine."""
    del fields  # looked at by what reads them
    lift_quarantine(application, name)
    return led(f"/projects/{name}", "lifted", name)


@triggering.post("/projects/{name}/look", include_in_schema=False)
def look(application: App, frame: Framed, name: Name, fields: Fields) -> Response:
    """Look at its source and images, as if its interval were over."""
    del fields
    look_now(application, name)
    return led(f"/projects/{name}", "looking", name, since=int(frame.now.timestamp()))


def _page(frame: Frame, name: ProjectName) -> HTMLResponse:
    one = frame.application.summary(name)
    return asked(frame, "quarantine", project=one.project, state=one.state)
