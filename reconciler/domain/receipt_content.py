"""What a receipt says of a deployment that has ended."""

from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.audit import Head
from reconciler.domain.deployment import (
    Built,
    Deployment,
    DeploymentId,
    Pin,
    PlannedService,
    PreparedTarget,
    Release,
    StageRecord,
    Status,
    TargetRecord,
)
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostName
from reconciler.domain.project import Project
from reconciler.domain.promotion import Promotion
from reconciler.domain.receipt import FORMAT, Document, hash_of
from reconciler.domain.revision import Revision


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes a receipt, and after which one."""

    version: str  #: of the daemon
    key: str  #: id of the key that it signs with
    previous: Head
    at: datetime

    def heading(self) -> dict[str, object]:
        """Return what every receipt begins with."""
        return {
            "format": FORMAT,
            "number": self.previous.number + 1,
            "previous": self.previous.seal,
            "written_at": _instant(self.at),
            "daemon": {"version": self.version, "key": self.key},
        }


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a receipt tells beside the deployment itself."""

    project: Project  #: as it is declared when the deployment ends
    correlation: str = ""
    approved_by: str = ""  #: who approved its migration; empty: nobody had to
    approved_at: datetime | None = None
    approval_reason: str = ""
    origin: str = ""  #: the environment that verified what it promotes; empty: it is no promotion
    promotion: Promotion | None = None  #: what it was admitted for


def content_of(writer: Writer, deployment: Deployment, around: Circumstances) -> Document:
    """Return the content of the receipt of ``deployment``."""
    prepared = deployment.prepared
    return {
        **writer.heading(),
        "deployment": deployment.id,
        "project": deployment.project,
        "correlation": around.correlation,
        "status": str(deployment.status),
        "triggers": [
            {"trigger": str(cause.trigger), "actor": cause.actor, "detail": cause.detail}
            for cause in deployment.causes
        ],
        "forced": deployment.forced,
        "override": deployment.override,
        "approved": _approval(around),
        "promotes": _promotes(deployment, around),
        "restores": deployment.restores,
        "hosts": list(deployment.hosts),
        "before": _revision(deployment.before) if deployment.before else None,
        "after": _revision(deployment.target_revision),
        "manifest_sha256": hash_of(prepared.manifest) if prepared and prepared.manifest else None,
        "targets": [_target(deployment, host, around.project) for host in _hosts_of(deployment)],
        "stages": [_stage(stage) for stage in deployment.stages],
        "error": _failure(deployment.error),
        "withdrawal": _failure(deployment.withdrawal),
        "rolled_back_to": deployment.rolled_back_to,
        "superseded_by": deployment.superseded_by,
        "created_at": _instant(deployment.created_at),
        "started_at": _instant(deployment.started_at),
        "ended_at": _instant(deployment.finished_at),
        "attempts": deployment.attempt,
    }


def gap_of(
    writer: Writer, deployment: DeploymentId, project: str, status: Status, bug: str
) -> Document:
    """Return the content of a receipt that can't tell more, so that nothing seems to be missing."""
    return {
        **writer.heading(),
        "deployment": deployment,
        "project": project,
        "status": str(status),
        "gap": f"a bug kept this receipt from being written in full: {bug}",
    }


def _approval(around: Circumstances) -> Document | None:
    if not around.approved_by:
        return None
    return {
        "by": around.approved_by,
        "at": _instant(around.approved_at),
        "reason": around.approval_reason,
    }


def _promotes(deployment: Deployment, around: Circumstances) -> Document | None:
    """Return where it was verified before, who wanted it here, and who agreed."""
    if deployment.promotes is None:
        return None
    promotion = around.promotion
    return {
        "project": around.origin,
        "deployment": deployment.promotes,
        "promotion": promotion.id if promotion else None,
        "asked_by": promotion.asked_by if promotion else "",
        "approvals": [
            {"by": vote.person, "at": _instant(vote.at), "reason": vote.reason}
            for vote in (promotion.approvals if promotion else ())
        ],
    }


def _revision(revision: Revision) -> Document:
    return {
        "commit": revision.commit.text if revision.commit else None,
        "images": {image: digest.text for image, digest in revision.images.items()},
        "generation": revision.generation,
    }


def _hosts_of(deployment: Deployment) -> list[HostName]:
    """Return every host that something was prepared for, or that it reached."""
    prepared = deployment.prepared.targets if deployment.prepared else ()
    named = [*(one.host for one in prepared), *(one.host for one in deployment.targets)]
    return list(dict.fromkeys(named))


def _target(deployment: Deployment, host: HostName, project: Project) -> Document:
    ready = deployment.prepared.find(host) if deployment.prepared else None
    record = next((one for one in deployment.targets if one.host == host), None)
    declared = next((one for one in project.where if one.host == host), None)
    return {
        "host": host,
        "strategy": str(declared.strategy) if declared else None,
        **_ready(ready),
        **_outcome(record),
    }


def _ready(ready: PreparedTarget | None) -> Document:
    return {
        "rendered_sha256": (ready.rendered_sha256 or None) if ready else None,
        "services": [_service(one) for one in ready.services] if ready else [],
    }


def _outcome(record: TargetRecord | None) -> Document:
    if record is None:
        return {"status": "waiting", "evidence": None}
    return {
        "status": str(record.status),
        "started_at": _instant(record.started_at),
        "changed_at": _instant(record.changed_at),
        "error": _failure(record.error),
        "migration": str(record.migration) if record.migration else None,
        "evidence": record.evidence,
    }


def _service(service: PlannedService) -> Document:
    pin = service.pin
    return {
        "name": service.name,
        "image": str(pin.image) if isinstance(pin, Pin | Built) else None,
        "release": pin.name if isinstance(pin, Release) else None,
        "digest": pin.digest.text if pin else None,
        "replicas": service.replicas,
        "may_finish": service.may_finish,
    }


def _stage(record: StageRecord) -> Document:
    return {
        "stage": str(record.stage),
        "started_at": _instant(record.started_at),
        "ended_at": _instant(record.finished_at),
        "seconds": record.duration.total_seconds() if record.duration is not None else None,
        "outcome": record.outcome,
    }


def _failure(failure: Failure | None) -> Document | None:
    if failure is None:
        return None
    return {
        "code": failure.code,
        "message": failure.message,
        "recovery": str(failure.recovery),
        "evidence": dict(failure.evidence),
    }


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
