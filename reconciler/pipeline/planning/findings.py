"""What would stop a deployment, and what would happen besides."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.domain.admission import Admit, Coalesce, Decision, Hold, Refuse
from reconciler.domain.deployment import Status
from reconciler.domain.errors import (
    MigrationNeedsApproval,
    ReconcilerError,
    Recovery,
    TookTooLong,
)
from reconciler.domain.failure import Failure
from reconciler.domain.gate import Reason
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.manifest import MANIFEST_PATH, overlaid, parse_manifest
from reconciler.domain.plan import Finding, Weight
from reconciler.domain.project import Project
from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.planning.images import Digests
from reconciler.pipeline.planning.outlook import Outlook
from reconciler.pipeline.planning.standing import Standing
from reconciler.ports import Approval

#: Which option helps a person against an answer of the gate.
_REMEDIES = {
    ReasonCode.ALREADY_LIVE: "`--force` deploys it again",
    ReasonCode.QUARANTINED: "`--force` tries it again",
}
#: What helps where it is promoted.
_PROMOTED_REMEDIES = {
    ReasonCode.QUARANTINED: "`reconciler quarantine lift` lets it be tried again",
}
#: What a promotion waits for, where a deployment is refused.
_WAITED_FOR = frozenset({ReasonCode.WINDOW_CLOSED, ReasonCode.FROZEN, ReasonCode.IMAGE_TOO_YOUNG})


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was seen for one plan."""

    standing: Standing
    outlook: Outlook | ReconcilerError
    digests: Digests
    decision: Decision
    approval: Approval | None  #: of a migration of the very revision
    troubles: Mapping[HostName, HostHealth]


def findings_of(seen: Seen) -> tuple[Finding, ...]:
    """Return what there is to say: what stops it first."""
    promotion = seen.standing.promotion
    told = [*promotion.findings()] if promotion else []
    if not (promotion and promotion.reasons):  # which say already why it would be refused
        told += _decided(seen.decision, promoted=promotion is not None)
    found = [*told, *_failures(seen), *_hosts(seen)]
    found += [*_besides(seen), *_migration(seen)]
    return tuple(sorted(found, key=lambda one: list(Weight).index(one.weight)))


def _decided(decision: Decision, *, promoted: bool) -> Iterator[Finding]:
    match decision:
        case Refuse(reasons) | Hold(reasons):
            yield from (_told(reason, promoted=promoted) for reason in reasons)
        case Coalesce(_, reason):
            yield _told(reason, promoted=promoted)
        case Admit(replaces) if replaces is not None:
            text = f"it would take the place of deployment {replaces.id}, which waits"
            yield Finding(Weight.TELLS, ReasonCode.REPLACED_QUEUED, text)


def _told(reason: Reason, *, promoted: bool) -> Finding:
    remedies = _PROMOTED_REMEDIES if promoted else _REMEDIES
    weight = Weight.TELLS if promoted and reason.code in _WAITED_FOR else Weight.REFUSES
    return Finding(weight, reason.code, reason.text, reason.remedy or remedies.get(reason.code, ""))


def _failures(seen: Seen) -> Iterator[Finding]:
    outlook = seen.outlook
    if isinstance(outlook, ReconcilerError):
        # A deployment may take longer and more than we did, and tries again.
        passing = outlook.recovery is Recovery.RETRY
        yield _unseen(outlook) if passing else _failing(Failure.of(outlook))
    elif refusal := outlook.foreseen.refusal:
        yield _failing(refusal)
    for error in seen.digests.failed.values():
        late = isinstance(error, TookTooLong)
        yield _unseen(error) if late else _failing(Failure.of(error))


def _failing(failure: Failure) -> Finding:
    return Finding(Weight.FAILS, failure.code, failure.message, failure.remedy)


def _unseen(error: ReconcilerError) -> Finding:
    text = f"what would be deployed could not be looked at: {error.message}"
    return Finding(Weight.TELLS, error.code, text, error.remedy)


def _hosts(seen: Seen) -> Iterator[Finding]:
    project = _project(seen)
    for target in project.where:
        trouble = seen.troubles.get(target.host)
        if trouble and trouble.error:
            error = trouble.error
            yield Finding(
                Weight.FAILS, error.code, f"host {target.host}: {error.message}", error.remedy
            )


def _besides(seen: Seen) -> Iterator[Finding]:
    standing, project = seen.standing, _project(seen)
    if running := standing.state.running:
        text = f"deployment {running.id} is under way; it would wait for that one's end"
        yield Finding(Weight.TELLS, "deployment-running", text)
    if isinstance(seen.outlook, Outlook) and seen.outlook.manifest_ignored:
        text = f"{MANIFEST_PATH} is in the repository, and not allowed"
        remedy = f"`reconciler project set {project.name} --allow-manifest` lets it count"
        yield Finding(Weight.TELLS, "manifest-ignored", text, remedy)
    before = {target.host: target.build for target in _as_deployed(standing).where}
    for target in project.where:
        if standing.live and before.get(target.host, target.build) != target.build:
            old, new = (shlex.join(one) or "nothing" for one in (before[target.host], target.build))
            text = f"the build command on {target.host} would be `{new}`, and not `{old}`"
            yield Finding(Weight.TELLS, "build-changed", text)


def _migration(seen: Seen) -> Iterator[Finding]:
    project, latest = _project(seen), seen.standing.state.latest
    if migration := project.migration:
        hosts = ", ".join(target.host for target in project.where)
        text = f"the migration `{shlex.join(migration.command)}` would run first, on {hosts}"
        if seen.approval:
            text += f"; {seen.approval.approved_by} approved what it finds pending"
        elif migration.approval_status is not None:
            status = migration.approval_status
            text += f"; with exit status {status} it would stop until a person approves"
        yield Finding(Weight.TELLS, "migration", text)
    waits = latest and latest.status is Status.NEEDS_OPERATOR and latest.error
    if latest and waits and waits.code == MigrationNeedsApproval.code:
        text = f"the migration of deployment {latest.id} waits for approval"
        yield Finding(Weight.TELLS, waits.code, text, waits.remedy)


def _project(seen: Seen) -> Project:
    return seen.outlook.project if isinstance(seen.outlook, Outlook) else seen.standing.project


def _as_deployed(standing: Standing) -> Project:
    """Return the project as the manifest completed it that is live."""
    live, project = standing.live, standing.project
    text = live.prepared.manifest if live and live.prepared else ""
    if not text or not project.allow_manifest:
        return project
    try:
        return overlaid(project, parse_manifest(text, project.kind)).project
    except ReconcilerError:  # what it says is refused by now
        return project
