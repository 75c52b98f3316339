"""Everything that happens, as it happens."""

from typing import Annotated

from fastapi import Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from reconciler.domain.references import parse_project_name
from reconciler.web.events import EventStream
from reconciler.web.feed import MOST_FOLLOWERS, Feed
from reconciler.web.principal import Policy, Seen
from reconciler.web.problems import make_problem, respond
from reconciler.web.routing import App, errors, router_for
from reconciler.web.subjects import About

listing = router_for(Policy.READ, "daemon", About.EACH)

_FORM = {
    "description": "Server-sent events.",
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": 'id: 5f0c2b1a-7\nevent: daemon\ndata: {"state":"ready"}\n\n',
        }
    },
}


@listing.get(
    "/events",
    summary="Follow what happens",
    response_class=EventStream,
    responses={200: _FORM, **errors(404, 422)},
)
async def follow_events(
    application: App,
    request: Request,
    seen: Seen,
    project: Annotated[
        str | None, Query(description="Only of this project.", examples=["shop"])
    ] = None,
    after: Annotated[
        str,
        Query(
            description="Where it begins, as `Last-Event-ID` says where it goes on; no snapshot.",
            examples=["5f0c2b1a-7"],
        ),
    ] = "",
    last_event_id: Annotated[
        str,
        Header(
            alias="Last-Event-ID",
            description="Where a broken stream goes on.",
            examples=["5f0c2b1a-7"],
        ),
    ] = "",
) -> Response:
    """At first `snapshot` with all that is to be seen, then what changes, within two seconds.

    `project` has a project's summary (that it was looked at again is no change),
    `project-removed` its name, `deployment` a deployment whose stage or status changed, `switch`
    the master switch, `daemon` the daemon's state, `promotion` one that waits, was voted on or
    came to its end. With the last event's id, a stream goes on
    after it; where that is not possible any more, `reset` says so, and a snapshot follows. Who
    asks for what comes `after` an event gets no snapshot, and a `beat` every 15 seconds.
    """
    projects = seen.projects
    if project is not None:
        name = parse_project_name(project, "project")
        seen.require(name)
        await run_in_threadpool(application.store.get_project, name)
        projects = frozenset({name})
    feed: Feed = request.app.state.feed
    if feed.full:
        return respond(make_problem(503, f"{MOST_FOLLOWERS} follow what happens already"))
    await feed.ready()
    return EventStream.of(feed.follow(projects, last_event_id or after, changes_only=bool(after)))
