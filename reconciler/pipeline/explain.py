"""Why a project did or did not deploy, from recorded facts only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.domain.deployment import Deployment, Status
from reconciler.domain.gate import MasterSwitch, Reason, reasons_to_hold, reasons_to_refuse
from reconciler.domain.project import Project
from reconciler.domain.references import ProjectName
from reconciler.domain.state import ProjectState, SourceHealth, WatchedImage
from reconciler.pipeline.trigger import Brakes
from reconciler.ports import Store, TriggerRecord


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
class ExplainedReason:
    """One fact that explains, with when it was so and what was seen."""

    code: str
    text: str
    at: datetime | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)


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
        reasons = (
            *_brakes(summary.project, switch),
            *_under_way(summary.state),
            *_source(summary.health),
            *_images(self.store.get_images(name)),
            *_quarantines(summary.state),
            *_latest(summary.state),
            *(_trigger(record) for record in self.store.list_triggers(name, limit=10)),
        )
        nothing = ExplainedReason(summary.standing, "nothing was seen or asked for yet")
        return Explanation(name, summary.text, reasons or (nothing,))


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
        return StandingCode.QUEUED, f"deployment {queued.id} waits for its turn"
    return None


def _troubled(project: Project, state: ProjectState, health: SourceHealth) -> _Standing | None:
    if health.branch_gone:
        text = f"branch {project.followed_branch} does not exist any more"
        return StandingCode.BRANCH_GONE, text
    if (latest := state.latest) and latest.status in {Status.FAILED, Status.NEEDS_OPERATOR}:
        said = latest.error.message if latest.error else latest.status
        return StandingCode.FAILED, f"deployment {latest.id} failed: {said}"
    if state.quarantined and _wants(state, health, state.quarantined[-1].revision.commit):
        last = state.quarantined[-1]
        text = f"{last.revision} was rolled back ({last.reason}); the last good revision runs"
        return StandingCode.QUARANTINED, text
    return None


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
        hint = (
            "" if project.auto_deploy else f"; `reconciler deploy {project.name}` starts the first"
        )
        return StandingCode.NEVER_DEPLOYED, f"nothing was deployed yet{hint}"
    if not project.auto_deploy:
        return StandingCode.OFF, f"auto-deploy is off; deployment {state.live.id} runs"
    return StandingCode.IN_SYNC, f"deployment {state.live.id} runs, and nothing moved since"


def _wants(state: ProjectState, health: SourceHealth, commit: object) -> bool:
    """Tell whether the source still asks for ``commit``."""
    return commit in {state.tracked_commit, health.observed}


def _brakes(project: Project, switch: MasterSwitch) -> list[ExplainedReason]:
    reasons = (*reasons_to_refuse(project), *reasons_to_hold(project, switch))
    return [ExplainedReason(reason.code, reason.text, switch.changed_at) for reason in reasons]


def _under_way(state: ProjectState) -> list[ExplainedReason]:
    found = []
    for deployment, code in ((state.running, "running"), (state.queued, "queued")):
        if deployment:
            cause = deployment.causes[-1]
            text = f"deployment {deployment.id} ({cause.trigger}: {cause.detail}) is {code}"
            if deployment.not_before and deployment.error:
                text += f"; attempt {deployment.attempt} after: {deployment.error.message}"
            found.append(ExplainedReason(code, text, deployment.created_at))
    return found


def _source(health: SourceHealth) -> list[ExplainedReason]:
    found = []
    if health.error:
        times = f"{health.failures} in a row" if health.failures > 1 else "the first time"
        text = f"the last look at the source failed ({times}): {health.error.message}"
        found.append(
            ExplainedReason(health.error.code, text, health.looked_at, health.error.evidence)
        )
    if health.branch_gone:
        text = "the server answered, and the branch was not there"
        found.append(ExplainedReason("branch-gone", text, health.looked_at))
    if health.observed:
        text = f"the branch was at {health.observed.short} at the last good look"
        found.append(ExplainedReason("source-observed", text, health.observed_at))
    if health.next_look_at:
        found.append(
            ExplainedReason("next-look", "the source is looked at again", health.next_look_at)
        )
    return found


def _images(images: Sequence[WatchedImage]) -> list[ExplainedReason]:
    found = []
    for image in images:
        if image.unwatched_because:
            text = f"{image.image} is not watched: {image.unwatched_because}"
            found.append(ExplainedReason("image-unwatched", text))
        elif image.error:
            text = f"the last look-up of {image.image} failed: {image.error.message}"
            found.append(
                ExplainedReason(image.error.code, text, image.looked_at, image.error.evidence)
            )
        elif image.digest:
            text = f"{image.image} was {image.digest.short} at the last look"
            found.append(ExplainedReason("image-observed", text, image.looked_at))
    return found


def _quarantines(state: ProjectState) -> list[ExplainedReason]:
    return [
        ExplainedReason(
            "quarantined",
            f"{one.revision} was {one.story}; "
            f"a newer commit or digest lifts that, or `reconciler quarantine lift {state.name}`",
            one.since,
        )
        for one in state.quarantined
    ]


def _latest(state: ProjectState) -> list[ExplainedReason]:
    found = []
    for deployment, what in ((state.live, "live"), (state.latest, "latest")):
        if deployment is None or (
            what == "latest" and state.live and deployment.id == state.live.id
        ):
            continue
        found.append(_outcome(deployment, what))
    return found


def _outcome(deployment: Deployment, what: str) -> ExplainedReason:
    cause = deployment.causes[0]
    text = f"deployment {deployment.id} ({cause.trigger}: {cause.detail}) is {deployment.status}"
    if deployment.error:
        text += f": {deployment.error.message}"
    evidence = dict(deployment.error.evidence) if deployment.error else {}
    return ExplainedReason(what, text, deployment.finished_at or deployment.created_at, evidence)


def _trigger(record: TriggerRecord) -> ExplainedReason:
    times = f" ({record.count} times)" if record.count > 1 else ""
    because = "; ".join(reason.text for reason in record.reasons)
    text = f"{record.cause.trigger} ({record.cause.detail}) was {record.outcome}{times}: {because}"
    code = record.reasons[0].code if record.reasons else record.outcome
    return ExplainedReason(str(code), text, record.last_at or record.at)
