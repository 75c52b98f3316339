"""People, as admins see and change them, and everybody's sessions."""

from typing import Annotated

from fastapi import Path, Query, Request, Response

from reconciler.domain.errors import Conflict
from reconciler.pipeline.people.sessions import IDLE
from reconciler.web.pagination import Paged
from reconciler.web.principal import Policy
from reconciler.web.routing import WITH_BODY, App, errors, router_for
from reconciler.web.schemas.people import (
    EndedBody,
    NewPassword,
    NewPerson,
    PersonBody,
    PersonList,
    PersonPatch,
    SessionBody,
    SessionList,
    SetUpOffer,
    parse_role,
    parse_roles,
)
from reconciler.web.sessions import session_of
from reconciler.web.subjects import About

admitting = router_for(Policy.ADMIN, "people", About.DAEMON)

PersonName = Annotated[str, Path(description="The person's name.", examples=["ada"])]
SessionId = Annotated[str, Path(description="The session's id.", examples=["5f0c2b1a5f0c2b1a"])]


@admitting.get("/people", summary="List the people, by name", responses=errors(422))
def list_people(application: App, page: Paged) -> PersonList:
    """With their roles; never a password, nor its hash."""
    found, following = page.by_name(application.store.list_people(), lambda one: one.name)
    return PersonList(items=[PersonBody.of(one) for one in found], next=following)


@admitting.post(
    "/people", status_code=201, summary="Add a person", responses=errors(404, 409, *WITH_BODY)
)
def add_person(application: App, body: NewPerson) -> PersonBody:
    """With a role for the whole daemon, for single projects, both, or neither yet."""
    role = parse_role(body.role) if body.role is not None else None
    accounts = application.people.accounts
    return PersonBody.of(accounts.add(body.name, role, parse_roles(body.roles), body.password))


@admitting.get("/people/{person}", summary="Show a person", responses=errors(404))
def show_person(application: App, person: PersonName) -> PersonBody:
    """One of them."""
    return PersonBody.of(application.store.get_person(person))


@admitting.patch(
    "/people/{person}",
    summary="Change a person's roles, or block them",
    responses=errors(404, 409, *WITH_BODY),
)
def change_person(application: App, person: PersonName, body: PersonPatch) -> PersonBody:
    """Roles hold from the next request on; blocking ends all sessions. The last admin stays one."""
    return PersonBody.of(application.people.accounts.change(person, body.change()))


@admitting.put(
    "/people/{person}/password",
    status_code=204,
    summary="Give a person another password",
    responses=errors(404, *WITH_BODY),
)
def put_password(application: App, person: PersonName, body: NewPassword) -> Response:
    """All their sessions end."""
    application.people.accounts.put_password(person, body.password)
    return Response(status_code=204)


@admitting.delete(
    "/people/{person}", status_code=204, summary="Remove a person", responses=errors(404, 409)
)
def remove_person(application: App, person: PersonName) -> Response:
    """With their sessions; what they did stays in the audit log."""
    application.store.remove_person(person)
    return Response(status_code=204)


@admitting.get("/sessions", summary="List the sessions of everybody", responses=errors(422))
def list_sessions(
    application: App,
    request: Request,
    person: Annotated[
        str | None, Query(description="Only this person's.", examples=["ada"])
    ] = None,
) -> SessionList:
    """Newest first, with address and browser."""
    found = application.store.list_sessions(application.clock.now(), IDLE, person)
    current = session_of(request)
    return SessionList(items=[SessionBody.of(one, current) for one in found])


@admitting.delete(
    "/people/{person}/sessions/{session}",
    status_code=204,
    summary="End a session of a person",
    responses=errors(404),
)
def end_session(application: App, person: PersonName, session: SessionId) -> Response:
    """Its browser is signed out with its next request."""
    application.store.remove_session(session, person)
    return Response(status_code=204)


@admitting.delete(
    "/people/{person}/sessions", summary="End all sessions of a person", responses=errors(404)
)
def end_sessions(application: App, person: PersonName) -> EndedBody:
    """They can sign in again; block them to keep them out."""
    application.store.get_person(person)
    return EndedBody(ended=application.store.remove_sessions(person))


@admitting.post(
    "/set-up-token",
    status_code=201,
    summary="Make another token for the first admin",
    responses=errors(409),
)
def offer_set_up(application: App) -> SetUpOffer:
    """While nobody is one: it can be asked for over the unix socket, then, and nowhere else."""
    people, listen = application.people, application.config.listen
    token = people.offer_set_up()
    if token is None:
        raise Conflict("there is an admin, or a token that may do everything")
    return SetUpOffer(
        url=f"http://{listen}/set-up" if listen else None, token=token, file=str(people.set_up_file)
    )
