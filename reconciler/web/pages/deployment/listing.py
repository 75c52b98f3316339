"""All deployments: what goes on and waits, and what there was, by day."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query
from starlette.responses import HTMLResponse

from reconciler.domain.deployment import Deployment, DeploymentId, Status, Trigger
from reconciler.domain.errors import InvalidInput
from reconciler.domain.host import HostName, parse_host_name
from reconciler.domain.references import ProjectName, parse_project_name
from reconciler.ports import DeploymentFilter, Store
from reconciler.web.pages.deployment.stages import StageLine, stage_line
from reconciler.web.pages.deployment.timeline import Entry, by_day, entry_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import router_for
from reconciler.web.schemas.body import MOST_NUMBER
from reconciler.web.subjects import About

Name = TypeVar("Name")

listing = router_for(Policy.READ, "pages", About.EACH)

_UNDER_WAY = (Status.RUNNING, Status.QUEUED)
_ENDED = tuple(one for one in Status if one.final)
_MOST_UNDER_WAY = 500
_PAGE = 50
_LONGEST_NAME = 300


@dataclass(frozen=True, slots=True)
class Filter:
    """Which deployments are wanted; what is not said, or makes no sense, leaves nothing out."""

    outcome: Status | None = None
    trigger: Trigger | None = None
    project: ProjectName | None = None
    host: HostName | None = None
    person: str = ""
    before: DeploymentId | None = None  #: those that are older

    @property
    def narrows(self) -> bool:
        """Whether anything is left out."""
        return any((self.outcome, self.trigger, self.project, self.host, self.person))

    def older_than(self, number: int) -> str:
        """Return the query that goes on from there."""
        chosen = {
            "outcome": self.outcome,
            "trigger": self.trigger,
            "project": self.project,
            "host": self.host,
            "person": self.person,
            "before": number,
        }
        return urlencode({name: value for name, value in chosen.items() if value})


@dataclass(frozen=True, slots=True)
class UnderWay:
    """One that goes on, or waits."""

    deployment: Deployment
    stages: StageLine | None  #: of one that goes on
    place: str = ""  #: of one that waits: where in the queue, and what for
    behind: DeploymentId | None = None  #: the one that it waits for


@dataclass(frozen=True, slots=True)
class Listed:
    """What the page lists."""

    under_way: Sequence[UnderWay]
    days: Sequence[tuple[date, Sequence[Entry]]]
    next: str = ""  #: the query of the next page; empty: there is none
    hosts: Sequence[HostName] = field(default_factory=list)


async def _filter(
    outcome: str = "",
    trigger: str = "",
    project: str = "",
    host: str = "",
    person: Annotated[str, Query(max_length=_LONGEST_NAME)] = "",
    before: Annotated[int, Query(ge=0, le=MOST_NUMBER)] = 0,
) -> Filter:
    return Filter(
        next((one for one in _ENDED if one == outcome), None),
        next((one for one in Trigger if one == trigger), None),
        _parsed(parse_project_name, project),
        _parsed(parse_host_name, host),
        person.strip(),
        DeploymentId(before) if before else None,
    )


#: What the query says of which are wanted.
Wanted = Annotated[Filter, Depends(_filter)]


@listing.get("/deployments", include_in_schema=False)
def show_deployments(frame: Framed, wanted: Wanted) -> HTMLResponse:
    """Those under way first, then the others, newest first."""
    if wanted.project is not None:
        frame.sight.require(wanted.project)
    listed = _listed(frame, wanted)
    return page(frame, "deployment/list.html", listed=listed, wanted=wanted, outcomes=_ENDED)


def queue_places(
    running: Sequence[Deployment], queued: Sequence[Deployment], places: int, now: datetime
) -> Iterator[tuple[Deployment, str, DeploymentId | None]]:
    """Yield those that wait, the next one first: at which place, and behind which of its project.

    Both lists are of all projects, be they shown or not.
    """
    of_project = {one.project: one.id for one in running}
    for place, one in enumerate(sorted(queued, key=lambda one: one.id), 1):
        behind = of_project.get(one.project)
        if one.not_before and one.not_before > now:
            said = f"attempt {one.attempt} waits for its time"
        elif behind is not None:
            said = f"{_ordinal(place)}, starts when"
        elif len(running) >= places:
            said = f"{_ordinal(place)}, starts when a place is free"
        else:
            said = f"{_ordinal(place)}, starts in a moment"
        yield one, said, behind


def _listed(frame: Frame, wanted: Filter) -> Listed:
    store = frame.application.store
    only = DeploymentFilter(
        wanted.trigger, wanted.host, projects=frame.sight.projects, actor=wanted.person
    )
    found = store.list_deployments(
        wanted.project,
        statuses=[wanted.outcome] if wanted.outcome else _ENDED,
        only=only,
        before=wanted.before,
        limit=_PAGE + 1,
    )
    shown = found[:_PAGE]
    return Listed(
        [] if wanted.before or wanted.outcome else list(_under_way(frame, store, wanted, only)),
        list(by_day([entry_of(one) for one in shown], frame.reader.zone_info)),
        wanted.older_than(shown[-1].id) if len(found) > _PAGE else "",
        sorted({one.host for summary in frame.summaries for one in summary.project.where}),
    )


def _under_way(
    frame: Frame, store: Store, wanted: Filter, only: DeploymentFilter
) -> Iterator[UnderWay]:
    every = store.list_deployments(statuses=_UNDER_WAY, limit=_MOST_UNDER_WAY)
    seen = store.list_deployments(
        wanted.project, statuses=_UNDER_WAY, only=only, limit=_MOST_UNDER_WAY
    )
    ids = {one.id for one in seen}
    running = [one for one in every if one.status is Status.RUNNING]
    queued = [one for one in every if one.status is Status.QUEUED]
    for one in running:
        if one.id in ids:
            usual = store.usual_durations(one.project)
            yield UnderWay(one, stage_line(one, usual, frame.now))
    places = frame.application.explainer.places
    for one, said, behind in queue_places(running, queued, places, frame.now):
        if one.id in ids:
            yield UnderWay(one, None, said, behind)


def _ordinal(place: int) -> str:
    teen = 10 < place % 100 < 14
    return f"{place}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(place % 10, 'th')}"


def _parsed(parse: Callable[[str], Name], text: str) -> Name | None:
    try:
        return parse(text) if text else None
    except InvalidInput:
        return None
