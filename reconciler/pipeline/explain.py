"""Why a project did or did not deploy, from recorded facts only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.domain.deployment import Deployment, Status
from reconciler.domain.errors import MigrationNeedsApproval, Recovery
from reconciler.domain.gate import reasons_to_refuse, reasons_to_wait
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.project import HostedSource, Project
from reconciler.domain.promoting import approvals_missing, soaking
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.settings import IMAGE_WATCH_INTERVAL
from reconciler.domain.state import ProjectState, SourceHealth
from reconciler.pipeline.promoting.prospects import Prospect, Prospects, first_looks
from reconciler.pipeline.reasons import (
    ExplainedReason,
    Facts,
    find_unapproved,
    reasons_of,
    with_remedy,
)
from reconciler.pipeline.trigger import Brakes
from reconciler.ports import Clock, Store

#: Requests, and deployments that gave way, that an answer goes back to.
_MOST_REQUESTS = 50
#: How long a host may be away before nobody knows any more what runs on it: a restart is none.
_SILENCE = timedelta(minutes=5)
_FAILED = frozenset({Status.FAILED, Status.NEEDS_OPERATOR})


class StandingCode(StrEnum):
    """Where a project stands, in one word."""

    IN_SYNC = "in-sync"
    DEPLOYING = "deploying"
    QUEUED = "queued"
    HELD = "held"
    NEEDS_APPROVAL = "needs-approval"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DRIFTED = "drifted"
    QUARANTINED = "quarantined"
    BRANCH_GONE = "branch-gone"
    OFF = "off"
    NEVER_DEPLOYED = "never-deployed"
    NOTHING_TO_DEPLOY = "nothing-to-deploy"


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """A project, what is known of it, and where it stands."""

    project: Project
    state: ProjectState
    health: SourceHealth
    standing: StandingCode
    text: str  #: one plain sentence
    reason: str  #: code of the first reason that a list of all projects knows
    #: When that began to be so. Another look that finds the same is news to nobody.
    since: datetime | None = field(default=None, compare=False)

    @property
    def news(self) -> "ProjectSummary":
        """This without when its source was looked at: a look that finds the same is none."""
        health = self.health
        seen = SourceHealth(
            observed=health.observed, branch_gone=health.branch_gone, error=health.error
        )
        return replace(self, health=seen)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to 'why?'."""

    project: ProjectName
    verdict: str
    reasons: tuple[ExplainedReason, ...]


@dataclass(frozen=True, slots=True)
class Explainer:
    """Answers from the store; looks at nothing else."""

    store: Store
    clock: Clock
    brakes: Brakes
    #: Returns the hosts on which nothing can be done now, and why.
    troubles: Callable[[], Mapping[HostName, HostHealth]] = dict
    places: int = 1  #: how many deployments one daemon carries out at once
    #: Tells why nobody knows that what runs in an environment is well; empty: it is.
    doubt: Callable[[ProjectName], str] = lambda _: ""

    def summaries(self, known: Sequence[ProjectSummary] = ()) -> Sequence[ProjectSummary]:
        """Return all projects, by name, in a handful of statements.

        What is as it was when they were ``known`` is not read again.
        """
        store, now, troubles = self.store, self.clock.now(), self.troubles()
        states = store.list_states([one.state for one in known])
        health, images = store.list_health(), store.list_images()
        switch, registries = self.brakes(store.get_switch()), store.list_registry_troubles()
        projects = store.list_projects([one.project for one in known])
        promoting = first_looks(store, projects, states, now)
        return [
            summarize(
                Facts(
                    project,
                    states[project.name],
                    health.get(project.name, SourceHealth()),
                    switch,
                    now,
                    hosts=troubles,
                    images=images.get(project.name, ()),
                    registries=registries,
                    promoting=promoting.get(project.name),
                )
            )
            for project in projects
            if project.name
            in states  # one that was added since the states were read waits a moment
        ]

    def summary(self, name: ProjectName) -> ProjectSummary:
        """Return one project. Raises ``NotFound``."""
        return summarize(self._facts(name))

    def why(self, name: ProjectName) -> Explanation:
        """Return why the project stands where it does. Raises ``NotFound``."""
        facts = self._facts(name)
        return Explanation(name, summarize(facts).text, reasons_of(facts))

    def _facts(self, name: ProjectName) -> Facts:
        store, now = self.store, self.clock.now()
        project, state = store.get_project(name), store.get_state(name)
        interval = store.get_settings()[IMAGE_WATCH_INTERVAL].value
        announced = store.get_announcements(name)
        return Facts(
            project,
            state,
            store.get_health(name),
            self.brakes(store.get_switch()),
            now,
            hosts=self.troubles(),
            images=store.get_images(name),
            registries=store.list_registry_troubles(),
            image_interval=timedelta(seconds=int(interval)),
            triggers=store.list_triggers(name, limit=_MOST_REQUESTS),
            superseded=store.list_deployments(
                name, statuses=[Status.SUPERSEDED], limit=_MOST_REQUESTS
            ),
            queue=store.queue_place(state.queued.id, now) if state.queued else None,
            announcements=announced,
            webhooks=store.list_webhooks() if announced.suspicious else (),
            status=store.last_status(name) if project.commit_statuses else None,
            places=self.places,
            promoting=Prospects(store, self.clock, self.doubt).read(project, state),
        )


def summarize(facts: Facts) -> ProjectSummary:
    """Return where a project stands; the first of these that is so."""
    standing, text = _standing(facts)
    first = reasons_of(facts)[0]
    return ProjectSummary(
        facts.project, facts.state, facts.health, standing, text, first.code, first.at
    )


_Standing = tuple[StandingCode, str]


def _standing(facts: Facts) -> _Standing:
    project, state, health = facts.project, facts.state, facts.health
    if not project.kind.deployable:
        text = f"a {project.kind} project has nothing to deploy"
        return StandingCode.NOTHING_TO_DEPLOY, text
    return (
        _busy(state)
        or _gone_or_failed(project, state, health)
        or _out_of_sight(facts)
        or _drifted(state)
        or _quarantined(state, health)
        or _held(facts)
        or _calm(facts)
    )


def _busy(state: ProjectState) -> _Standing | None:
    if running := state.running:
        return StandingCode.DEPLOYING, f"deployment {running.id} is in stage {running.stage}"
    if queued := state.queued:
        if queued.error:
            text = f"deployment {queued.id} waits for attempt {queued.attempt}"
            return StandingCode.QUEUED, f"{text}: {queued.error.message}"
        return StandingCode.QUEUED, f"deployment {queued.id} waits for its turn"
    return None


def _gone_or_failed(
    project: Project, state: ProjectState, health: SourceHealth
) -> _Standing | None:
    if health.branch_gone:
        was_seen = health.observed or state.tracked_commit
        since = "does not exist any more" if was_seen else "is not there yet"
        text = f"branch {project.followed_branch} {since}; push it, or follow another: "
        text += f"`reconciler project set {project.name} --branch …`"
        return StandingCode.BRANCH_GONE, text
    if (latest := state.latest) and (latest.status in _FAILED or _may_be_repeated(latest)):
        return _failed(latest)
    return None


def _out_of_sight(facts: Facts) -> _Standing | None:
    """Tell that a host has been silent for so long that nobody knows what runs there."""
    live = facts.state.live
    if live is None:
        return None
    for target in facts.project.where:
        health = facts.hosts.get(target.host)
        if health is not None and is_out_of_sight(health, facts.now):
            said = f": {health.error.message}" if health.error else ""
            text = f"nobody knows what runs on {target.host}{said}; it was deployment {live.id}"
            return StandingCode.UNKNOWN, text
    return None


def is_out_of_sight(health: HostHealth, now: datetime) -> bool:
    """Tell whether a host is in trouble for longer than it takes to start anew."""
    return health.error is not None and (health.since or now) <= now - _SILENCE


def _drifted(state: ProjectState) -> _Standing | None:
    if state.drift is None or state.live is None:
        return None
    text = f"what runs is not what deployment {state.live.id} left there"
    return StandingCode.DRIFTED, f"{text}: {'; '.join(state.drift.differences)}"


def _quarantined(state: ProjectState, health: SourceHealth) -> _Standing | None:
    if state.quarantined and _wants(state, health, state.quarantined[-1].revision.commit):
        last = state.quarantined[-1]
        runs = f"deployment {state.live.id} runs" if state.live else "nothing runs"
        text = f"deployment {last.deployment} was rolled back ({last.reason}); {runs}"
        return StandingCode.QUARANTINED, text
    return None


def _failed(latest: Deployment) -> _Standing:
    """Return how it failed, and what a person does about it, if that is what it takes."""
    error = latest.error
    said = with_remedy(error.message, error) if error else latest.status
    if error and error.code == MigrationNeedsApproval.code:
        text = f"deployment {latest.id} waits for a person to approve its migration: {said}"
        return StandingCode.NEEDS_APPROVAL, text
    how = "failed" if latest.status is Status.FAILED else "needs a person"
    return StandingCode.FAILED, f"deployment {latest.id} {how}: {said}"


def _may_be_repeated(latest: Deployment) -> bool:
    """Tell whether it went back for a passing reason: what should run does not, and nobody asks."""
    passing = latest.error is not None and latest.error.recovery is Recovery.RETRY
    return latest.status is Status.ROLLED_BACK and passing


def _held(facts: Facts) -> _Standing | None:
    project, waits = facts.project, facts.waits
    holds = (*reasons_to_refuse(project), *facts.holds, *facts.too_young())
    if waits and holds and project.auto_deploy:
        return StandingCode.HELD, f"{waits} waits: {holds[0].text}"
    return _not_promoted(facts, facts.promoting) if facts.promoting else None


def _not_promoted(facts: Facts, promoting: Prospect) -> _Standing | None:
    """Return what the environment before has, and why it waits: for people, its time, to soak."""
    if unapproved := find_unapproved(promoting):
        newest = unapproved[-1]
        missing = approvals_missing(newest, promoting.project)
        text = f"{newest.revision} of {promoting.origin.name} {missing.text if missing else ''}"
        return StandingCode.NEEDS_APPROVAL, text
    holds = reasons_to_wait(facts.project, facts.state.freeze, facts.now)
    if promoting.proposed and holds:
        return StandingCode.HELD, f"{facts.waits} waits: {holds[0].text}"
    candidate, soak = promoting.candidate, promoting.soak
    if candidate and soak and not soak.over and not promoting.proposed:
        return StandingCode.HELD, soaking(promoting.origin.name, candidate, soak).text
    return None


def _calm(facts: Facts) -> _Standing:
    project, live, error = facts.project, facts.state.live, facts.health.error
    if live is None:
        text = "nothing was deployed yet"
        if error:
            text += f", and its source can't be looked at: {error.message}"
            return StandingCode.NEVER_DEPLOYED, with_remedy(text, error)
        return StandingCode.NEVER_DEPLOYED, f"{text}; {_first_step(project)}"
    runs = f"deployment {live.id} runs"
    if not project.auto_deploy:
        return StandingCode.OFF, f"auto-deploy is off; {runs}"
    return StandingCode.IN_SYNC, f"{runs}{_what_else(facts, live)}"


def _what_else(facts: Facts, live: Deployment) -> str:
    """Return what is to be known of what runs and is in sync; goes on from a sentence."""
    project, error = facts.project, facts.health.error
    if live.target_revision.generation != project.generation:
        text = ", from before the last change of its declaration or variables"
        command = "promote" if project.promoted_from else "deploy"
        return f"{text}; `reconciler {command} {project.name}` applies that"
    if error:  # nobody knows what moved
        return with_remedy(f"; its source can't be looked at: {error.message}", error)
    if passed := facts.state.passed_over_at(facts.health.observed):
        return f"; the newest commit {passed.commit.short} was passed over: {passed.text}"
    tip = facts.state.newest_wanted(facts.health.observed)
    if facts.waits and tip not in {None, live.target_revision.commit}:  # held until just now
        return f"; the next look takes up {facts.waits}"
    return ", and nothing moved since"


def _first_step(project: Project) -> str:
    source = project.source
    if project.promoted_from:
        return f"`reconciler promote {project.name}` brings what {project.promoted_from} verified"
    if not project.auto_deploy:
        return f"`reconciler deploy {project.name}` starts the first"
    if target := project.followed_folder:
        return f"the next look at {target.base} on {target.host} starts it"
    if isinstance(source, HostedSource):
        return f"push to branch {source.branch} of the repository {source.repository}"
    return f"the first look at {'its source' if source else 'its image'} starts it"


def _wants(state: ProjectState, health: SourceHealth, commit: CommitSha | None) -> bool:
    """Tell whether ``commit`` is still the newest that the source has."""
    return commit == state.newest_wanted(health.observed)
