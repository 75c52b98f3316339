"""The people: who there is, and somebody new."""

from collections.abc import Mapping

from starlette.responses import HTMLResponse, Response

from reconciler.domain.access import Role
from reconciler.domain.errors import InvalidInput, NotFound, ReconcilerError
from reconciler.web.api_people import add_person
from reconciler.web.pages.admin.audit_words import AuditLine
from reconciler.web.pages.admin.done import Did, Of, done
from reconciler.web.pages.forms import Fields, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.schemas.people import NewPerson
from reconciler.web.subjects import About

admitting = router_for(Policy.ADMIN, "pages", About.DAEMON)

PATH = "/admin/people"
#: Role → what it is good for; empty: none.
ROLES: Mapping[str, str] = {
    "": "No role",
    Role.VIEWER: "Viewer: sees everything",
    Role.OPERATOR: "Operator: deploys as well",
    Role.ADMIN: "Admin: may do everything",
}

_ACTIONS: Mapping[str, str] = {"added": "person.create", "removed": "person.remove"}


@admitting.get(PATH, include_in_schema=False)
def show_people(frame: Framed, did: Did = "", of: Of = "") -> HTMLResponse:
    """Everybody, with their roles, and when they were here last."""
    store = frame.application.store
    return _page(frame, done=done(store, _ACTIONS.get(did, ""), f"person {of}"))


@admitting.post(PATH, include_in_schema=False)
def add(application: App, frame: Framed, fields: Fields) -> Response:
    """Add somebody, or say beside the field why not; a password is never filled in again."""
    try:
        made = add_person(application, _asked(fields))
    except NotFound:
        missing = InvalidInput("roles", fields.get("project"), "is no project of this daemon")
        return _page(frame, error=missing, typed=fields)
    except ReconcilerError as error:
        return _page(frame, error=error, typed=fields)
    return go(f"{PATH}?did=added&of={made.name}")


def _asked(fields: Mapping[str, str]) -> NewPerson:
    elsewhere, password = "elsewhere" in fields, fields.get("password", "")
    if elsewhere and password:
        problem = "is for who signs in here; leave it empty, or take the mark away"
        raise InvalidInput("password", None, problem)
    project, role = fields.get("project", "").strip(), fields.get("project_role", "")
    return NewPerson(
        name=fields.get("name", "").strip(),
        role=fields.get("role") or None,
        roles={project: role} if project else {},
        password=None if elsewhere else password,
    )


def _page(
    frame: Frame,
    *,
    error: ReconcilerError | None = None,
    typed: Mapping[str, str] | None = None,
    done: AuditLine | None = None,
) -> HTMLResponse:
    found = sorted(frame.application.store.list_people(), key=lambda one: one.name)
    return page(
        frame,
        "admin/people.html",
        status_of(error),
        people=found,
        admins=sum(one.is_admin for one in found),
        roles=ROLES,
        projects=[one.project.name for one in frame.summaries],
        error=error,
        typed=typed or {},
        done=done,
    )
