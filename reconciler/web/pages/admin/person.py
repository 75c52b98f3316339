"""One person: their roles, a new password, where they are signed in, keeping them out."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated

from fastapi import Path
from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import ChangedMeanwhile, InvalidInput, NotFound, ReconcilerError
from reconciler.domain.version import version_of
from reconciler.pipeline.people.sessions import IDLE
from reconciler.web.api_people import SessionId, remove_person
from reconciler.web.pages.admin.done import Did, done
from reconciler.web.pages.admin.people import PATH, ROLES
from reconciler.web.pages.forms import Fields, expected_by, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.schemas.people import PersonPatch
from reconciler.web.subjects import About

admitting = router_for(Policy.ADMIN, "pages", About.DAEMON)

_ONE = f"{PATH}/{{person}}"
#: What was done before → as the audit log names it.
_ACTIONS: Mapping[str, str] = {
    "changed": "person.change",
    "password": "person.password",
    "ended": "session.end",
}

PersonName = Annotated[str, Path(max_length=64)]


@admitting.get(_ONE, include_in_schema=False)
def show_person(frame: Framed, person: PersonName, did: Did = "") -> HTMLResponse:
    """What they are, and where they are signed in."""
    return _page(frame, person, did=did)


@admitting.post(f"{_ONE}/role", include_in_schema=False)
def change_role(frame: Framed, person: PersonName, fields: Fields) -> Response:
    """For the whole daemon: it holds from the next request on."""
    patch = PersonPatch(role=fields.get("role") or None)
    return _changed(frame, person, "role", lambda: _change(frame, person, patch, fields))


@admitting.post(f"{_ONE}/project-role", include_in_schema=False)
def change_project_role(frame: Framed, person: PersonName, fields: Fields) -> Response:
    """On one project; no role takes it away."""
    name, role = fields.get("project", "").strip(), fields.get("project_role", "")
    patch = PersonPatch(roles={name: role or None})
    try:
        _change(frame, person, patch, fields)
    except NotFound:
        frame.application.store.get_person(person)  # raises, where it is they who are not there
        missing = InvalidInput("roles", name, "is no project of this daemon")
        return _page(frame, person, form="project-role", error=missing)
    except ReconcilerError as error:
        return _page(frame, person, form="project-role", error=error)
    return go(f"{PATH}/{person}?did=changed")


@admitting.post(f"{_ONE}/password", include_in_schema=False)
def put_password(frame: Framed, person: PersonName, fields: Fields) -> Response:
    """Another one: all their sessions end."""
    accounts, password = frame.application.people.accounts, fields.get("password", "")
    return _changed(frame, person, "password", lambda: accounts.put_password(person, password))


@admitting.post(f"{_ONE}/sessions/{{session}}/end", include_in_schema=False)
def end_session(frame: Framed, person: PersonName, session: SessionId, fields: Fields) -> Response:
    """Its browser is signed out with its next request; one that is over already is fine."""
    del fields  # looked at by what reads them
    with suppress(NotFound):
        frame.application.store.remove_session(session, person)
    return go(f"{PATH}/{person}")


@admitting.post(f"{_ONE}/sessions/end", include_in_schema=False)
def end_sessions(frame: Framed, person: PersonName, fields: Fields) -> Response:
    """All of them; they can sign in again."""
    del fields
    store = frame.application.store
    store.get_person(person)
    store.remove_sessions(person)
    return go(f"{PATH}/{person}?did=ended")


@admitting.get(f"{_ONE}/block", include_in_schema=False)
def ask_to_block(frame: Framed, person: PersonName) -> HTMLResponse:
    """What keeping them out, or letting them in again, would do."""
    return _confirm(frame, person, "block")


@admitting.post(f"{_ONE}/block", include_in_schema=False)
def block(frame: Framed, person: PersonName, fields: Fields) -> Response:
    """Turn it to the side that the form names."""
    patch = PersonPatch(blocked=fields.get("turn") == "block")
    try:
        _change(frame, person, patch, fields)
    except ReconcilerError as error:
        return _confirm(frame, person, "block", error)
    return go(f"{PATH}/{person}?did=changed")


@admitting.get(f"{_ONE}/remove", include_in_schema=False)
def ask_to_remove(frame: Framed, person: PersonName) -> HTMLResponse:
    """What would go with them, and what stays."""
    return _confirm(frame, person, "remove")


@admitting.post(f"{_ONE}/remove", include_in_schema=False)
def remove(application: App, frame: Framed, person: PersonName, fields: Fields) -> Response:
    """With their sessions; what they did stays in the audit log."""
    del fields
    try:
        remove_person(application, person)
    except ReconcilerError as error:
        return _confirm(frame, person, "remove", error)
    return go(f"{PATH}?did=removed&of={person}")


def _change(frame: Frame, person: str, patch: PersonPatch, fields: Mapping[str, str]) -> object:
    accounts = frame.application.people.accounts
    return accounts.change(person, patch.change(), expected_by(fields))


def _changed(frame: Frame, person: str, form: str, change: Callable[[], object]) -> Response:
    """Lead on once it is done; else show the page again, with what is wrong in that form."""
    try:
        change()
    except NotFound:
        raise  # it is they who are not there
    except ReconcilerError as error:
        return _page(frame, person, form=form, error=error)
    return go(f"{PATH}/{person}?did={'password' if form == 'password' else 'changed'}")


def _page(
    frame: Frame,
    name: str,
    *,
    did: str = "",
    form: str = "",
    error: ReconcilerError | None = None,
) -> HTMLResponse:
    store = frame.application.store
    person = store.get_person(name)
    return page(
        frame,
        "admin/person.html",
        status_of(error),
        one=person,
        guard=version_of(person.declared),
        sessions=store.list_sessions(frame.now, IDLE, name),
        roles=ROLES,
        projects=[one.project.name for one in frame.summaries],
        form=form,
        error=error,
        changed_meanwhile=isinstance(error, ChangedMeanwhile),
        did=did,
        done=done(store, _ACTIONS.get(did, ""), f"person {name}"),
    )


def _confirm(
    frame: Frame, name: str, act: str, error: ReconcilerError | None = None
) -> HTMLResponse:
    store = frame.application.store
    person = store.get_person(name)
    return page(
        frame,
        f"admin/person_{act}.html",
        status_of(error),
        one=person,
        guard=version_of(person.declared),
        sessions=len(store.list_sessions(frame.now, IDLE, name)),
        error=error,
    )
