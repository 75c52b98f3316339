"""Going back to an earlier verified revision that is still kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.deployment import Deployment, DeploymentId, PreparedRevision
from reconciler.domain.errors import Conflict, NotFound, ReconcilerError, Refused
from reconciler.domain.migration import MigrationState
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import Digest, ProjectName
from reconciler.domain.state import ProjectState
from reconciler.web.pages.acts.asking import asked, came_to
from reconciler.web.pages.forms import Fields
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.notes import number
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import App, Name, router_for
from reconciler.web.subjects import About

triggering = router_for(Policy.TRIGGER, "pages", About.PROJECT)

#: Deployments that are looked through for migrations since.
_MOST_BETWEEN = 200


@dataclass(frozen=True, slots=True)
class ServiceMove:
    """What one service runs, and would run; None: nothing that was pinned."""

    service: str
    before: Digest | None
    after: Digest | None


@dataclass(frozen=True, slots=True)
class WayBack:
    """One revision that can be gone back to."""

    to: Deployment
    moves: Sequence[ServiceMove]  #: the services whose exact image differs
    stays: Sequence[str]  #: the other services
    migrations: Sequence[Deployment]  #: that changed data since it was verified, newest first


@triggering.get("/projects/{name}/rollback", include_in_schema=False)
def ask_to_go_back(frame: Framed, name: Name, to: str = "") -> HTMLResponse:
    """What going back to a kept revision would do, and which others are kept."""
    return _page(frame, name, to)


@triggering.post("/projects/{name}/rollback", include_in_schema=False)
def go_back(
    application: App, request: Request, frame: Framed, name: Name, fields: Fields
) -> Response:
    """Go back to it, from what the form was shown for."""
    to = fields.get("to", "")
    try:
        live = application.store.get_state(name).live
        if live is None or str(live.id) != fields.get("from"):
            what = f"deployment {live.id} was verified" if live else "what ran is gone"
            raise Conflict(f"Since you opened this, {what}. Nothing was done")
        wanted = DeploymentId(number(to))
        return came_to(name, application.roll_back(name, to=wanted, actor=actor_of(request)))
    except ReconcilerError as error:
        return _page(frame, name, to, error)


def _page(
    frame: Frame, name: ProjectName, to: str, error: ReconcilerError | None = None
) -> HTMLResponse:
    application = frame.application
    state, kept = application.store.get_state(name), application.requests.list_kept(name)
    if not to:
        chosen = next((one for one in kept if state.live and one.id < state.live.id), None)
    else:
        chosen = next((one for one in kept if one.id == number(to)), None)
    if chosen is None and error is None:
        error = _nothing_kept(name, to)
    lately = application.store.list_deployments(name, limit=_MOST_BETWEEN)
    ways = [_way(state, one, lately) for one in kept]
    way = next((one for one in ways if one.to is chosen), None)
    return asked(frame, "rollback", error, name=name, live=state.live, way=way, ways=ways)


def _nothing_kept(name: ProjectName, to: str) -> ReconcilerError:
    if to:
        return NotFound(f"#{to} of {name} is not among the revisions that are kept")
    text = f"{name} has no earlier verified revision that is still kept where it runs"
    return Refused(ReasonCode.NOTHING_TO_RESTORE, text)


def _way(state: ProjectState, to: Deployment, lately: Sequence[Deployment]) -> WayBack:
    before = _digests(state.live.prepared if state.live else None)
    after = _digests(to.prepared)
    moves = [
        ServiceMove(service, before.get(service), after.get(service))
        for service in dict.fromkeys([*before, *after])
        if before.get(service) != after.get(service)
    ]
    moved = {one.service for one in moves}
    migrated = [one for one in lately if one.id > to.id and _migrated(one)]
    return WayBack(to, moves, [one for one in after if one not in moved], migrated)


def _digests(prepared: PreparedRevision | None) -> dict[str, Digest | None]:
    """Return the exact image of each service; of one that differs between hosts, the first's."""
    found: dict[str, Digest | None] = {}
    for target in prepared.targets if prepared else ():
        for service in target.services:
            found.setdefault(service.name, service.pin.digest if service.pin else None)
    return found


def _migrated(deployment: Deployment) -> bool:
    changed = {MigrationState.DONE, MigrationState.STARTED, MigrationState.FAILED}
    return any(one.migration in changed for one in deployment.targets)
