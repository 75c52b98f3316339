"""What explains where a project stands: recorded facts as sentences, the weightiest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.domain.deployment import Deployment, Status
from reconciler.domain.gate import MasterSwitch, ReasonCode, reasons_to_hold, reasons_to_refuse
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.manifest import MANIFEST_PATH
from reconciler.domain.project import Project
from reconciler.domain.state import ProjectState, SourceHealth, WatchedImage
from reconciler.ports import TriggerRecord

_ENDED = {
    Status.DEPLOYED: "was deployed",
    Status.ROLLED_BACK: "was rolled back",
    Status.FAILED: "failed",
    Status.SUPERSEDED: "was superseded",
    Status.WITHDRAWN: "was withdrawn",
    Status.NEEDS_OPERATOR: "needs an operator",
}


@dataclass(frozen=True, slots=True)
class ExplainedReason:
    """One fact that explains, with when it was so and what was seen."""

    code: str
    text: str
    at: datetime | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)


def reasons_of(
    project: Project,
    state: ProjectState,
    health: SourceHealth,
    switch: MasterSwitch,
    images: Sequence[WatchedImage],
    triggers: Sequence[TriggerRecord],
) -> tuple[ExplainedReason, ...]:
    """Return what is known: brakes, what goes on, what failed, what runs, what was seen."""
    brakes = _brakes(project, switch)
    # What the first sentences told in full is not told again by those that follow from it.
    told = {brake.text: "" for brake in brakes}
    told |= {one.story: "it is quarantined" for one in state.quarantined}
    return (
        *brakes,
        *_under_way(state),
        *_quarantines(state),
        *_latest(state, told),
        *_manifest(project, state),
        *_source(health),
        *_images(images),
        *_unserved(triggers, state, told),
    )


def reasons_of_hosts(
    project: Project, troubles: Mapping[HostName, HostHealth]
) -> tuple[ExplainedReason, ...]:
    """Return what is wrong with the hosts that ``project`` is deployed to."""
    found = []
    for target in project.where:
        health = troubles.get(target.host)
        if health is not None and health.error is not None:
            error = health.error
            text = f"{error.message}; {error.remedy}" if error.remedy else error.message
            found.append(ExplainedReason(error.code, text, health.since, error.evidence))
    return tuple(found)


def _brakes(project: Project, switch: MasterSwitch) -> list[ExplainedReason]:
    holds = reasons_to_hold(project, switch) if project.kind.deployable else ()
    reasons = (*reasons_to_refuse(project), *holds)
    return [
        ExplainedReason(
            reason.code,
            reason.text,
            switch.changed_at if reason.code is ReasonCode.MASTER_SWITCH_OFF else None,
        )
        for reason in reasons
    ]


def _under_way(state: ProjectState) -> list[ExplainedReason]:
    found = []
    for deployment, code in ((state.running, "running"), (state.queued, "queued")):
        if deployment:
            text = f"deployment {deployment.id} is {code}; {_asked_for(deployment)}"
            if deployment.not_before and deployment.error:
                text += f"; attempt {deployment.attempt} after: {deployment.error.message}"
            found.append(ExplainedReason(code, text, deployment.created_at))
    return found


def _quarantines(state: ProjectState) -> list[ExplainedReason]:
    return [
        ExplainedReason(
            "quarantined",
            f"{one.revision} is {one.story}; "
            f"a newer commit or digest lifts that, or `reconciler quarantine lift {state.name}`",
            one.since,
        )
        for one in state.quarantined
    ]


def _latest(state: ProjectState, told: Mapping[str, str]) -> list[ExplainedReason]:
    """Return how the newest deployment ended, unless that was told already, and what runs."""
    live, latest = state.live, state.latest
    known = {one.deployment for one in state.quarantined} | {live.id if live else None}
    found = []
    if latest and latest.id not in known:
        text = f"deployment {latest.id} {_ENDED.get(latest.status, latest.status)}"
        if latest.error:
            text += f": {told.get(latest.error.message, latest.error.message)}"
            text += f"; {latest.error.remedy}" if latest.error.remedy else ""
        evidence = dict(latest.error.evidence) if latest.error else {}
        text += f"; {_asked_for(latest)}"
        found.append(ExplainedReason("latest", text, _end_of(latest), evidence))
    if latest:
        found += _migrations(latest)
    if live:
        text = f"deployment {live.id} runs: {live.target_revision}; {_asked_for(live)}"
        found.append(ExplainedReason("live", text, _end_of(live)))
    return found


def _migrations(deployment: Deployment) -> list[ExplainedReason]:
    return [
        ExplainedReason(
            "migration",
            f"the migration of deployment {deployment.id} on {one.host}: {one.migration}",
            one.migration_changed_at,
        )
        for one in deployment.targets
        if one.migration
    ]


def _manifest(project: Project, state: ProjectState) -> list[ExplainedReason]:
    """Return that the repository's own manifest did not count, where that is so."""
    newest = state.latest
    if newest is None or not (newest.prepared and newest.prepared.manifest_ignored):
        return []
    text = f"deployment {newest.id} ignored the repository's {MANIFEST_PATH}: it is not allowed"
    if not project.allow_manifest:
        text += f"; `reconciler project set {project.name} --allow-manifest` lets it count"
    return [ExplainedReason("manifest-ignored", text, newest.created_at)]


def _asked_for(deployment: Deployment) -> str:
    cause = deployment.causes[-1]
    return f"asked for by {cause.trigger} ({cause.detail})"


def _end_of(deployment: Deployment) -> datetime:
    return deployment.finished_at or deployment.created_at


def _source(health: SourceHealth) -> list[ExplainedReason]:
    found = []
    if health.error:
        times = f"{health.failures} in a row" if health.failures > 1 else "the first time"
        text = f"the last look at the source failed ({times}): {health.error.message}"
        text += f"; {health.error.remedy}" if health.error.remedy else ""
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
    """Return what was seen of the images, troubles first."""
    troubles, seen = [], []
    for image in images:
        if image.error:
            text = f"the last look-up of {image.image} failed: {image.error.message}"
            text += f"; {image.error.remedy}" if image.error.remedy else ""
            troubles.append(
                ExplainedReason(image.error.code, text, image.looked_at, image.error.evidence)
            )
        elif image.unwatched_because:
            text = f"{image.image} is not watched: {image.unwatched_because}"
            troubles.append(ExplainedReason("image-unwatched", text))
        elif image.digest:
            text = f"{image.image} was {image.digest.short} at the last look"
            seen.append(ExplainedReason("image-observed", text, image.looked_at))
    return [*troubles, *seen]


def _unserved(
    records: Sequence[TriggerRecord], state: ProjectState, told: Mapping[str, str]
) -> list[ExplainedReason]:
    """Return the requests that no deployment serves and that no later one overtook."""
    found = []
    known = (state.live, state.latest, state.running, state.queued)
    newest = max((one.created_at for one in known if one), default=None)
    for record in records:
        at = record.last_at or record.at
        if record.deployment is not None or (newest and at < newest):
            continue
        times = f" ({record.count} times)" if record.count > 1 else ""
        text = f"{record.cause.trigger} ({record.cause.detail}) was {record.outcome}{times}"
        texts = (told.get(one.text, one.text) for one in record.reasons)
        because = "; ".join(text for text in texts if text)
        code = record.reasons[0].code if record.reasons else record.outcome
        found.append(ExplainedReason(code, f"{text}: {because}" if because else text, at))
    return found
