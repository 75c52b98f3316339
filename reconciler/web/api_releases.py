"""Releases: what CI reports, and finding it again."""

from typing import Annotated

from fastapi import Path, Query, Request
from starlette.responses import JSONResponse, Response

from reconciler.domain.references import CommitSha, parse_project_name
from reconciler.domain.release import ReleaseId
from reconciler.web.pagination import NewestPaged
from reconciler.web.principal import Policy, Seen, actor_of, authorize, principal_of
from reconciler.web.routing import WITH_BODY, App, errors, router_for
from reconciler.web.schemas.body import MOST_NUMBER, SHA
from reconciler.web.schemas.releases import NewRelease, ReleaseBody, ReleasePage
from reconciler.web.subjects import About

listing = router_for(Policy.READ, "releases", About.EACH)
reading = router_for(Policy.READ, "releases", About.RELEASE)
reporting = router_for(Policy.TRIGGER, "releases", About.BODY)

_KNOWN = {"model": ReleaseBody, "description": "The same was reported before: that record."}


@reporting.post(
    "/releases",
    status_code=201,
    response_model=ReleaseBody,
    summary="Report a release",
    responses={200: _KNOWN, **errors(404, 409, 502, *WITH_BODY)},
)
def report_release(application: App, request: Request, body: NewRelease) -> Response:
    """From CI, once the images are pushed. Safe to repeat.

    The project is looked at now, as its switches allow; a release deploys nothing by itself. Two
    reports of the same project, commit and digests are one release, and the first one is kept.

    409 with `digest-unknown` where a registry has no such digest, or `revision-not-found` where
    the project's source has no such commit; 502 where one of them can't be asked. Nothing is kept.
    """
    draft = body.draft()
    authorize(principal_of(request), Policy.TRIGGER, draft.project)
    record, is_new = application.release(draft, actor=actor_of(request))
    headers = {"location": f"/api/v1/releases/{record.id}"}
    answer = ReleaseBody.of(record).model_dump(mode="json")
    return JSONResponse(answer, 201 if is_new else 200, headers)


@listing.get("/releases", summary="List releases, newest first", responses=errors(404, 422))
def list_releases(
    application: App,
    page: NewestPaged,
    seen: Seen,
    project: Annotated[
        str | None, Query(description="Only of this project.", examples=["shop"])
    ] = None,
    commit: Annotated[
        str | None, Query(description="Only of this full commit.", examples=[SHA])
    ] = None,
) -> ReleasePage:
    """In pages; `next` leads to the older ones."""
    name = parse_project_name(project, "project") if project is not None else None
    if name is not None:
        seen.require(name)
        application.store.get_project(name)
    before = page.before()
    found = application.store.list_releases(
        name,
        commit=CommitSha.parse(commit) if commit is not None else None,
        before=ReleaseId(before) if before else None,
        limit=page.limit + 1,
        projects=seen.projects,
    )
    shown, following = page.cut(found, lambda one: one.id)
    return ReleasePage(items=[ReleaseBody.of(record) for record in shown], next=following)


@reading.get("/releases/{id}", summary="Show a release", responses=errors(404, 422))
def show_release(
    application: App,
    id: Annotated[  # noqa: A002  the path's word
        int, Path(ge=1, le=MOST_NUMBER, description="Number of a release.", examples=[7])
    ],
) -> ReleaseBody:
    """Its commit, its digests, its build and the checks that passed."""
    return ReleaseBody.of(application.store.get_release(ReleaseId(id)))
