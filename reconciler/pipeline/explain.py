"""Why a project did or did not deploy, from recorded facts only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reconciler.domain.deployment import Deployment, Status
from reconciler.domain.errors import Recovery
from reconciler.domain.gate import MasterSwitch, Reason, reasons_to_hold, reasons_to_refuse
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.project import HostedSource, Project
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.state import ProjectState, SourceHealth
from reconciler.pipeline.reasons import ExplainedReason, reasons_of, reasons_of_hosts
from reconciler.pipeline.trigger import Brakes
from reconciler.ports import Store

_FAILED = frozenset({Status.FAILED, Status.NEEDS_OPERATOR})


class StandingCode(StrEnum):
    """Where a project stands, in one word."""

    IN_SYNC = "in-sync"
    DEPLOYING = "deploying"
    QUEUED = "queued"
    HELD = "held"
    FAILED = "failed"
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
    brakes: Brakes
    #: Returns the hosts on which nothing can be done now, and why.
    troubles: Callable[[], Mapping[HostName, HostHealth]] = dict

    def summaries(self) -> Sequence[ProjectSummary]:
        """Return all projects, by name, in a handful of statements."""
        states, health = self.store.list_states(), self.store.list_health()
        switch = self.brakes(self.store.get_switch())
        return [
            summarize(
                project, states[project.name], health.get(project.name, SourceHealth()), switch
            )
            for project in self.store.list_projects()
            if project.name
            in states  # one that was added since the states were read waits a moment
        ]

    def summary(self, name: ProjectName) -> ProjectSummary:
        """Return one project. Raises ``NotFound``."""
        project = self.store.get_project(name)
        switch = self.brakes(self.store.get_switch())
        return summarize(project, self.store.get_state(name), self.store.get_health(name), switch)

    def why(self, name: ProjectName) -> Explanation:
        """Return why the project stands where it does. Raises ``NotFound``."""
        summary = self.summary(name)
        switch = self.brakes(self.store.get_switch())
        reasons = reasons_of(
            summary.project,
            summary.state,
            summary.health,
            switch,
            self.store.get_images(name),
            self.store.list_triggers(name, limit=10),
        )
        nothing = ExplainedReason(summary.standing, "nothing was seen or asked for yet")
        found = (*reasons_of_hosts(summary.project, self.troubles()), *reasons)
        return Explanation(name, summary.text, found or (nothing,))


def summarize(
    project: Project, state: ProjectState, health: SourceHealth, switch: MasterSwitch
) -> ProjectSummary:
    """Return where ``project`` stands; the first of these that is so."""
    standing, text = _standing(project, state, health, reasons_to_hold(project, switch))
    return ProjectSummary(project, state, health, standing, text)


_Standing = tuple[StandingCode, str]


def _standing(
    project: Project, state: ProjectState, health: SourceHealth, holds: tuple[Reason, ...]
) -> _Standing:
    if not project.kind.deployable:
        text = f"a {project.kind} project has nothing to deploy"
        return StandingCode.NOTHING_TO_DEPLOY, text
    return (
        _busy(state)
        or _troubled(project, state, health)
        or _held(project, state, health, holds)
        or _calm(project, state)
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


def _troubled(project: Project, state: ProjectState, health: SourceHealth) -> _Standing | None:
    if health.branch_gone:
        was_seen = health.observed or state.tracked_commit
        since = "does not exist any more" if was_seen else "is not there yet"
        text = f"branch {project.followed_branch} {since}; push it, or follow another: "
        text += f"`reconciler project set {project.name} --branch …`"
        return StandingCode.BRANCH_GONE, text
    if (latest := state.latest) and (latest.status in _FAILED or _may_be_repeated(latest)):
        said = latest.error.message if latest.error else latest.status
        how = "failed" if latest.status is Status.FAILED else "needs a person"
        return StandingCode.FAILED, f"deployment {latest.id} {how}: {said}"
    if state.quarantined and _wants(state, health, state.quarantined[-1].revision.commit):
        last = state.quarantined[-1]
        runs = f"deployment {state.live.id} runs" if state.live else "nothing runs"
        text = f"deployment {last.deployment} was rolled back ({last.reason}); {runs}"
        return StandingCode.QUARANTINED, text
    return None


def _may_be_repeated(latest: Deployment) -> bool:
    """Tell whether it went back for a passing reason: what should run does not, and nobody asks."""
    passing = latest.error is not None and latest.error.recovery is Recovery.RETRY
    return latest.status is Status.ROLLED_BACK and passing


def _held(
    project: Project, state: ProjectState, health: SourceHealth, holds: tuple[Reason, ...]
) -> _Standing | None:
    moved = health.observed is not None and health.observed != state.tracked_commit
    reasons = (*reasons_to_refuse(project), *holds) if project.auto_deploy else ()
    if moved and reasons:
        return StandingCode.HELD, f"the source moved, but {reasons[0].text}"
    return None


def _calm(project: Project, state: ProjectState) -> _Standing:
    if state.live is None:
        return StandingCode.NEVER_DEPLOYED, f"nothing was deployed yet; {_first_step(project)}"
    runs = f"deployment {state.live.id} runs"
    if not project.auto_deploy:
        return StandingCode.OFF, f"auto-deploy is off; {runs}"
    if state.live.target_revision.generation != project.generation:
        text = f"{runs}, from before the last change of its declaration or variables"
        return StandingCode.IN_SYNC, f"{text}; `reconciler deploy {project.name}` applies that"
    return StandingCode.IN_SYNC, f"{runs}, and nothing moved since"


def _first_step(project: Project) -> str:
    source = project.source
    if not project.auto_deploy:
        return f"`reconciler deploy {project.name}` starts the first"
    if isinstance(source, HostedSource):
        return f"push to branch {source.branch} of the repository {source.repository}"
    return f"the first look at {'its source' if source else 'its image'} starts it"


def _wants(state: ProjectState, health: SourceHealth, commit: CommitSha | None) -> bool:
    """Tell whether ``commit`` is still the newest that the source has."""
    return commit == (health.observed or state.tracked_commit)
