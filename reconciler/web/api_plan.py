"""What deploying now would change."""

from typing import Annotated

from fastapi import Query, Request

from reconciler.domain.references import CommitSha
from reconciler.web.principal import Policy, authorize, principal_of
from reconciler.web.routing import App, Name, errors, router_for
from reconciler.web.schemas.body import SHA
from reconciler.web.schemas.plans import PlanBody
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "deployments", About.PROJECT)


@reading.get(
    "/projects/{name}/plan",
    summary="What deploying now would change",
    responses=errors(404, 409, 422, 502),
)
def show_plan(
    application: App,
    request: Request,
    name: Name,
    commit: Annotated[
        str | None,
        Query(description="A full commit id; without one the branch's tip.", examples=[SHA]),
    ] = None,
) -> PlanBody:
    """Changes nothing, pulls nothing, and takes at most a minute.

    Two are made at once; another one is answered with 503 and Retry-After. What of it can't be
    known in time, or at all, is said in `findings`, and the rest is there.

    Naming a commit takes the scope trigger: its files say where the project's variables go.
    """
    if commit is not None:
        authorize(principal_of(request), Policy.TRIGGER, name)
    wanted = CommitSha.parse(commit) if commit is not None else None
    return PlanBody.of(application.plans.plan(name, wanted))
