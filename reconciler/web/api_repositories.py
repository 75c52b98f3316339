"""Repositories that this daemon keeps, their tokens, and what is pushed to them."""

import re
from typing import Annotated

from fastapi import Body, Request, Response
from starlette.responses import PlainTextResponse

from reconciler.app import Application, RefUpdate
from reconciler.domain.errors import AlreadyExists, Conflict, InvalidInput
from reconciler.domain.project import HostedSource
from reconciler.domain.references import CommitSha, ProjectName, parse_project_name
from reconciler.pipeline.declaring.repositories import make_repository, remove_repository
from reconciler.web.git_http import Receipts
from reconciler.web.pagination import Paged
from reconciler.web.principal import Policy, Seen
from reconciler.web.routing import WITH_BODY, App, Name, errors, router_for
from reconciler.web.schemas.daemon import (
    NewRepository,
    RepositoryBody,
    RepositoryList,
)
from reconciler.web.subjects import About

listing = router_for(Policy.READ, "repositories", About.EACH)
reading = router_for(Policy.READ, "repositories", About.PROJECT)
changing = router_for(Policy.CONFIG, "repositories", About.DAEMON)
pushing = router_for(Policy.PUSH, "repositories", About.PROJECT)

_MOST_UPDATES = 1000
_REF = re.compile(r"refs/[\x21-\x7e]{1,250}")


@listing.get(
    "/repositories", summary="List the repositories kept here, by name", responses=errors(422)
)
def list_repositories(application: App, page: Paged, seen: Seen) -> RepositoryList:
    """With the branches that are in them."""
    there = (name for name in application.repositories.names() if seen.has(name))
    names, following = page.by_name(there, lambda name: name)
    return RepositoryList(items=[_body(application, name) for name in names], next=following)


@changing.post(
    "/repositories",
    status_code=201,
    summary="Make a repository",
    responses=errors(409, *WITH_BODY),
)
def create_repository(application: App, body: NewRepository) -> RepositoryBody:
    """Empty, and ready to be pushed to."""
    name = parse_project_name(body.name)
    if name in application.repositories.names():
        raise AlreadyExists(f"there is a repository {name} already")
    make_repository(application.store, application.repositories, name)
    return _body(application, name)


@reading.get("/repositories/{name}", summary="Show a repository", responses=errors(404, 422))
def show_repository(application: App, name: Name) -> RepositoryBody:
    """With the branches that are in it."""
    application.repositories.path(name)
    return _body(application, name)


@changing.delete(
    "/repositories/{name}",
    status_code=204,
    summary="Delete a repository with all it holds",
    responses=errors(404, 409, 422),
)
def delete_repository(application: App, name: Name) -> Response:
    """With the tokens for it, which would open a later one of its name. Not while followed."""
    application.repositories.path(name)
    followers = [
        project.name
        for project in application.store.list_followers(name)
        if isinstance(project.source, HostedSource)
    ]
    if followers:
        raise Conflict(f"repository {name} is followed by {', '.join(followers)}")
    remove_repository(application.store, application.repositories, name)
    return Response(status_code=204)


@pushing.post(
    "/repositories/{name}/received",
    response_class=PlainTextResponse,
    summary="Say that a push was accepted",
    responses={
        200: {
            "description": "Lines for the pusher's terminal.",
            "content": {"text/plain": {"example": "shop: deployment 42 is queued\n"}},
        },
        **errors(408, 413, 422),
    },
)
def received(
    application: App,
    request: Request,
    name: Name,
    body: Annotated[
        bytes,
        Body(
            media_type="text/plain",
            description="What a post-receive hook reads: a line `old new ref` for each ref.",
            examples=[f"{'0' * 40} {'9a' * 20} refs/heads/main\n"],
        ),
    ],
) -> PlainTextResponse:
    """For post-receive hooks. What it says is looked up again; safe to repeat."""
    updates = parse_updates(body)
    lines = application.received(name, updates)
    receipts: Receipts = request.app.state.receipts
    for update in updates:
        receipts.add(name, update)
    return PlainTextResponse("".join(f"{line}\n" for line in lines))


def parse_updates(body: bytes) -> list[RefUpdate]:
    """Return the updates that a post-receive hook reads from its standard input.

    Source: githooks(5), "post-receive".

    Raises:
        InvalidInput: naming the line that is none.
    """
    lines = body.decode("ascii", "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    if not 1 <= len(lines) <= _MOST_UPDATES:
        raise InvalidInput("body", len(lines), f"lines are not 1 to {_MOST_UPDATES}")
    return [_parse_update(line, f"line {number}") for number, line in enumerate(lines, 1)]


def _parse_update(line: str, field: str) -> RefUpdate:
    parts = line.split(" ")
    if len(parts) != 3 or not _REF.fullmatch(parts[2]):
        raise InvalidInput(field, line, "is not `old new ref`")
    old, new, ref = parts
    return RefUpdate(_parse_object(old, field), _parse_object(new, field), ref)


def _parse_object(text: str, field: str) -> CommitSha | None:
    """Return the commit; None for git's all-zero 'nothing'."""
    commit = CommitSha.parse(text, field)
    return commit if text.strip("0") else None


def _body(application: Application, name: ProjectName) -> RepositoryBody:
    branches = application.repositories.branches(name)
    return RepositoryBody(
        name=name,
        url_path=f"/git/{name}.git",
        branches={str(branch): commit.text for branch, commit in branches.items()},
    )
