"""The environments of an app in their order: what runs where, what could move, and why not."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reconciler.domain.deployment import Deployment, DeploymentId, Status
from reconciler.domain.errors import NotFound
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.project import Project
from reconciler.domain.promoting import (
    JUDGED,
    Soak,
    content_of,
    name_of_environment,
    same_content,
)
from reconciler.domain.promotion import Promotion, PromotionStatus, Standing
from reconciler.domain.reason_codes import ReasonKind
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.revision import ImageDigests, Revision
from reconciler.domain.state import ProjectState
from reconciler.domain.target import TargetStrategy
from reconciler.pipeline.promoting.prospects import Prospect, Prospects
from reconciler.pipeline.reasons import ExplainedReason, Facts, reasons_of
from reconciler.pipeline.trigger import Brakes
from reconciler.ports import Clock, Store

#: Deployments of each environment that are gone through for its releases.
_MOST_DEPLOYMENTS = 50
_MOST_RELEASES = 20


@dataclass(frozen=True, slots=True)
class Place:
    """One environment of an app, and how it stands."""

    project: Project
    name: str  #: of the environment, or of the project where it declares none
    depth: int  #: how many environments are before it
    state: ProjectState
    standing: Standing | None  #: what stands here, well, and since when
    prospect: Prospect | None  #: what it could get; None: it is promoted from no other
    reasons: tuple[ExplainedReason, ...]  #: why it does not move, the weightiest first

    @property
    def strategies(self) -> tuple[TargetStrategy, ...]:
        """How its targets change, each named once."""
        return tuple(dict.fromkeys(one.strategy for one in self.project.where))

    @property
    def live(self) -> Deployment | None:
        """What was verified last, and runs."""
        return self.state.live

    @property
    def since(self) -> datetime | None:
        """Since when that runs."""
        return self.live.finished_at if self.live else None

    @property
    def candidate(self) -> Deployment | None:
        """The deployment that is live in the environment before, and not here."""
        return self.prospect.candidate if self.prospect else None

    @property
    def soak(self) -> Soak | None:
        """How long the candidate has stood there, and how long it has to."""
        return self.prospect.soak if self.prospect else None

    @property
    def waiting(self) -> tuple[Promotion, ...]:
        """The promotions to it that wait, oldest first."""
        return self.prospect.waiting if self.prospect else ()

    @property
    def needed(self) -> int:
        """How many people have to approve each."""
        return self.project.rules.approvals

    @property
    def under_way(self) -> Deployment | None:
        """The deployment that runs, or waits for its start."""
        return self.state.running or self.state.queued

    @property
    def last(self) -> Deployment | None:
        """The newest deployment, whatever became of it."""
        return self.state.latest


@dataclass(frozen=True, slots=True)
class Chain:
    """The environments of one app: each comes after the one that it is promoted from."""

    places: tuple[Place, ...]  #: those that are promoted from the same one, by their projects


class Progress(StrEnum):
    """How far a release came in one environment."""

    LIVE = "live"  #: it runs there, verified
    VERIFIED = "verified"  #: it ran there, and something else does by now
    UNDER_WAY = "under-way"
    WAITING = "waiting"  #: for approvals, for a window, for somebody to switch something on
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"  #: nobody decided in time
    NOT_YET = "not-yet"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One release in one environment."""

    project: ProjectName
    progress: Progress
    at: datetime | None = None  #: since when it is so; None: it is not there yet
    deployment: DeploymentId | None = None
    promotion: Promotion | None = None


@dataclass(frozen=True, slots=True)
class Journey:
    """One revision that the first environment verified, and how far it came."""

    commit: CommitSha | None
    images: ImageDigests
    deployment: DeploymentId  #: the newest one of the first environment that verified it
    verified_at: datetime | None
    arrivals: tuple[Arrival, ...]  #: in the order of the environments, the first one included

    @property
    def steps(self) -> tuple[Arrival, ...]:
        """Those of the environments that it came to, or is asked about in."""
        return tuple(one for one in self.arrivals if one.progress is not Progress.NOT_YET)


@dataclass(frozen=True, slots=True)
class Environments:
    """Tells of apps with several environments, from recorded facts."""

    store: Store
    clock: Clock
    brakes: Brakes
    #: Tells why nobody knows that what runs in an environment is well; empty: it is.
    doubt: Callable[[ProjectName], str] = lambda _: ""
    #: Returns the hosts on which nothing can be done now, and why.
    troubles: Callable[[], Mapping[HostName, HostHealth]] = dict

    def chain(self, project: ProjectName) -> Chain:
        """Return the environments of the app that ``project`` is one of. Raises ``NotFound``."""
        standings = self.store.current_standings()
        prospects = Prospects(self.store, self.clock, self.doubt)
        places = []
        for its, depth in self._in_order(project):
            with suppress(NotFound):  # it was removed in this very moment
                one, state = self.store.get_project(its), self.store.get_state(its)
                found = prospects.read(one, state)
                standing, reasons = standings.get(its), self._reasons(one, state, found)
                name = name_of_environment(one)
                places.append(Place(one, name, depth, state, standing, found, reasons))
        return Chain(tuple(places))

    def releases(self, project: ProjectName, limit: int = _MOST_RELEASES) -> Sequence[Journey]:
        """Return what the first environment verified lately, newest first. Raises ``NotFound``."""
        records = [self._records(name) for name, _ in self._in_order(project)]
        journeys: list[Journey] = []
        known: list[Revision] = []
        for one in records[0].deployments:
            content = content_of(one)
            if content is None or one.status is not Status.DEPLOYED:
                continue
            if any(same_content(content, other) for other in known):
                continue
            known.append(content)
            arrivals = tuple(_arrival(each, content) for each in records)
            journeys.append(
                Journey(content.commit, content.images, one.id, one.finished_at, arrivals)
            )
        return journeys[:limit]

    def _reasons(
        self, project: Project, state: ProjectState, prospect: Prospect | None
    ) -> tuple[ExplainedReason, ...]:
        facts = Facts(
            project,
            state,
            self.store.get_health(project.name),
            self.brakes(self.store.get_switch()),
            self.clock.now(),
            hosts=self.troubles(),
            promoting=prospect,
        )
        return tuple(one for one in reasons_of(facts) if one.kind is ReasonKind.STOPS)

    def _in_order(self, project: ProjectName) -> Sequence[tuple[ProjectName, int]]:
        """Return the environments of the app, each with how many are before it."""
        # Of all that there are no more than this is read: an app has few of them.
        origins = self.store.list_origins()
        if project not in origins:
            remedy = "`reconciler project list` shows all"
            raise NotFound(f"there is no project {project!r}; {remedy}")
        first, seen = project, {project}
        while (before := origins.get(first)) is not None and before not in seen:
            first = before
            seen.add(first)
        return list(_below(first, origins, 0))

    def _records(self, name: ProjectName) -> "_Records":
        return _Records(
            name,
            self.store.get_state(name),
            self.store.list_deployments(name, limit=_MOST_DEPLOYMENTS),
            self.store.list_promotions(name, limit=_MOST_DEPLOYMENTS),
        )


@dataclass(frozen=True, slots=True)
class _Records:
    """What is recorded of one environment lately, newest first."""

    project: ProjectName
    state: ProjectState
    deployments: Sequence[Deployment]
    promotions: Sequence[Promotion]


def _below(
    first: ProjectName, origins: Mapping[ProjectName, ProjectName | None], depth: int
) -> Iterator[tuple[ProjectName, int]]:
    """Yield ``first``, and what is promoted from it, each followed by what comes after it."""
    yield first, depth
    if depth < len(origins):
        for name in sorted(one for one, before in origins.items() if before == first):
            yield from _below(name, origins, depth + 1)


def _arrival(records: _Records, content: Revision) -> Arrival:
    """Return how far ``content`` came; the newest word counts."""
    name, live = records.project, records.state.live
    if live and _is(live, content):
        return Arrival(name, Progress.LIVE, live.finished_at, live.id)
    alike = (one for one in records.promotions if same_content(one.revision, content))
    promotion = next(alike, None)
    deployment = next((one for one in records.deployments if _is(one, content)), None)
    if promotion and promotion.status in _OF_PROMOTION and _is_newer(promotion, deployment):
        at = promotion.decided_at or promotion.proposed_at
        return Arrival(name, _OF_PROMOTION[promotion.status], at, None, promotion)
    if deployment is None:
        return Arrival(name, Progress.NOT_YET, promotion=promotion)
    at = deployment.finished_at or deployment.created_at
    return Arrival(name, _progress(deployment), at, deployment.id, promotion)


_OF_PROMOTION = {
    PromotionStatus.WAITING: Progress.WAITING,
    PromotionStatus.REJECTED: Progress.REJECTED,
    PromotionStatus.EXPIRED: Progress.EXPIRED,
}


def _is_newer(promotion: Promotion, deployment: Deployment | None) -> bool:
    return deployment is None or deployment.created_at < promotion.proposed_at


def _is(deployment: Deployment, content: Revision) -> bool:
    found = content_of(deployment) or deployment.revision
    return same_content(found, content) or same_content(deployment.revision, content)


def _progress(deployment: Deployment) -> Progress:
    if not deployment.status.final:
        return Progress.UNDER_WAY
    if deployment.status is Status.DEPLOYED:
        return Progress.VERIFIED
    return Progress.FAILED if deployment.status in JUDGED else Progress.NOT_YET
