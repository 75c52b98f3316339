"""The environments of an app, and the way of its releases through them."""

from typing import Annotated

from fastapi import Query

from reconciler.pipeline.promoting.environments import Chain, Place
from reconciler.web.principal import Policy, Seen, Sight
from reconciler.web.routing import App, Name, errors, router_for
from reconciler.web.schemas.environments import ChainBody, JourneyBody, JourneyList, PlaceBody
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "promotions", About.PROJECT)


@reading.get(
    "/projects/{name}/environments",
    summary="Show an app's environments",
    responses=errors(404, 422),
)
def show_environments(application: App, name: Name, seen: Seen) -> ChainBody:
    """All of the app that this project is an environment of: the first one first.

    What runs in each, what comes next and what that waits for. Those that you may not see are
    left out, and counted in `hidden`.
    """
    chain = application.environments.chain(name)
    places = _seen(chain, seen)
    return ChainBody(
        items=[PlaceBody.of(one, application.summary(one.project.name)) for one in places],
        hidden=len(chain.places) - len(places),
    )


@reading.get(
    "/projects/{name}/environments/releases",
    summary="Follow releases through an app's environments",
    responses=errors(404, 422),
)
def list_journeys(
    application: App,
    name: Name,
    seen: Seen,
    limit: Annotated[int, Query(ge=1, le=50, description="How many at most.", examples=[20])] = 20,
) -> JourneyList:
    """What the first environment verified lately, newest first, and how far each came."""
    chain = application.environments.chain(name)
    named = {str(one.project.name): one.name for one in _seen(chain, seen)}
    journeys = application.environments.releases(name, limit)
    # Of what is only where you may not look nothing is told.
    came = (one for one in journeys if any(step.project in named for step in one.steps))
    return JourneyList(
        items=[JourneyBody.of(one, named) for one in came],
        hidden=len(chain.places) - len(named),
    )


def _seen(chain: Chain, seen: Sight) -> list[Place]:
    return [one for one in chain.places if seen.has(one.project.name)]
