"""Bodies of deployments, triggers, images and logs."""

from datetime import datetime, timedelta
from typing import Any, Literal, Self

from reconciler.domain.deployment import (
    Built,
    Cause,
    Deployment,
    DeploymentId,
    Pin,
    PlannedService,
    PreparedRevision,
    Release,
    Stage,
    StageRecord,
    Status,
    TargetRecord,
    TargetStatus,
)
from reconciler.domain.durations import UsualDurations, stages_ahead
from reconciler.domain.errors import InvalidInput
from reconciler.domain.history import CommitInfo
from reconciler.domain.host import parse_host_name
from reconciler.domain.migration import MigrationState
from reconciler.domain.plan import parse_plan_id
from reconciler.domain.references import CommitSha
from reconciler.domain.release import ReleaseId
from reconciler.domain.remark import parse_remark
from reconciler.domain.revision import Revision
from reconciler.log import plain
from reconciler.pipeline.requests import Approved, Wanted
from reconciler.ports import LogLine
from reconciler.web.schemas.body import (
    AT,
    DIGEST,
    SHA,
    Answer,
    Asked,
    DeploymentNumber,
    ReleaseNumber,
    next_page,
    said,
)
from reconciler.web.schemas.failure import FailureBody
from reconciler.web.schemas.project_summary import IMAGE

_EVIDENCE = {
    "verify": {
        "problem": "",
        "running": [{"service": "web", "state": "running", "digests": [DIGEST]}],
        "probes": [{"asked": "http://127.0.0.1:8080/healthz", "status": 200, "problem": ""}],
    }
}
ManifestUse = Literal["none", "used", "ignored"]


def milliseconds(duration: timedelta) -> int:
    """Return ``duration`` in whole milliseconds."""
    return round(duration.total_seconds() * 1000)


class NewDeployment(Asked):
    """What to deploy; nothing named: what the branch's tip is now."""

    commit: str | None = said("A full commit id; null: the branch's tip.", SHA, default=None)
    release: ReleaseNumber | None = said(
        "A release that CI reported: its commit and its digests; or `commit`.", 7, default=None
    )
    force: bool = said("Deploy even what is live or quarantined.", False, default=False)
    reason: str = said("For the record.", "after the incident", default="")
    hosts: list[str] = said(
        "Only on these hosts of the project; empty: on all.", ["web1"], default=[]
    )
    plan: str | None = said(
        "Id of the plan that was read: exactly that is deployed, or nothing.",
        "5f0c2a9be1d47380",
        default=None,
    )
    override: str = said(
        "Why it goes past closed deploy windows and a freeze; empty: it doesn't.",
        "the shop is down",
        default="",
    )

    def wanted(self) -> Wanted:
        """Return what was asked for. Raises ``InvalidInput``."""
        if self.release is not None and self.commit is not None:
            problem = "and `release` exclude each other: a release has its commit"
            raise InvalidInput("commit", self.commit, problem)
        hosts = (parse_host_name(host, f"hosts.{at}") for at, host in enumerate(self.hosts))
        return Wanted(
            commit=CommitSha.parse(self.commit) if self.commit is not None else None,
            release=ReleaseId(self.release) if self.release is not None else None,
            hosts=tuple(dict.fromkeys(hosts)),
            force=self.force,
            reason=parse_remark(self.reason, "reason"),
            plan=parse_plan_id(self.plan) if self.plan is not None else "",
            override=parse_remark(self.override, "override"),
        )


class Approve(Asked):
    """Which pending migration is approved."""

    deployment: DeploymentNumber | None = said(
        "The deployment that stopped for it; null: whichever waits.", 42, default=None
    )
    reason: str = said("For the record.", "read the plan with the team", default="")

    def approved(self) -> Approved:
        """Return what was approved. Raises ``InvalidInput``."""
        wanted = DeploymentId(self.deployment) if self.deployment is not None else None
        return Approved(wanted, parse_remark(self.reason, "reason"))


class Rollback(Asked):
    """Where to go back to."""

    to: DeploymentNumber | None = said(
        "A deployment that can be restored; null: the verified one before the live one.",
        40,
        default=None,
    )


class CauseBody(Answer):
    """Why a deployment was asked for."""

    trigger: str = said("What noticed that the revision moved.", "git-poll")
    actor: str = said("Who or what asked.", "git-poll")
    detail: str = said("In plain words.", "main moved 1f2e3d4c → 9a8b7c6d")

    @classmethod
    def of(cls, cause: Cause) -> Self:
        """Return the body of ``cause``."""
        return cls(trigger=cause.trigger, actor=cause.actor, detail=cause.detail)


class RevisionBody(Answer):
    """One exact thing to run."""

    commit: str | None = said("Commit; null without a repository.", SHA)
    images: dict[str, str] = said("Image as followed, and the digest behind it.", {IMAGE: DIGEST})
    generation: int = said("Of the project's declaration.", 3)

    @classmethod
    def of(cls, revision: Revision) -> Self:
        """Return the body of ``revision``."""
        return cls(
            commit=revision.commit.text if revision.commit else None,
            images={image: digest.text for image, digest in revision.images.items()},
            generation=revision.generation,
        )


class ServiceBody(Answer):
    """What one service, or one unit, should look like once it is up."""

    host: str = said("Where.", "local")
    name: str = said("Its name in the compose file, or the project's.", "web")
    image: str | None = said("The image followed, or built; null where none is pinned.", IMAGE)
    release: str | None = said("unit: the release that it runs.", None)
    digest: str | None = said("The digest that it is pinned to.", DIGEST)
    may_finish: bool = said("A one-shot: exit status 0 is success.", False)

    @classmethod
    def of(cls, service: PlannedService, host: str) -> Self:
        """Return the body of ``service`` on ``host``."""
        pin = service.pin
        return cls(
            host=host,
            name=service.name,
            image=_image_of(pin),
            release=pin.name if isinstance(pin, Release) else None,
            digest=pin.digest.text if pin else None,
            may_finish=service.may_finish,
        )


def _image_of(pin: Pin | Built | Release | None) -> str | None:
    match pin:
        case Pin(image):
            return str(image)
        case Built():
            return str(pin)
        case _:
            return None


class StageBody(Answer):
    """One stage, as it went."""

    stage: Stage = said("Which.", "apply")
    started_at: datetime = said("When it began.", AT)
    finished_at: datetime | None = said("When it ended; null while under way.", AT)
    outcome: str = said("Empty while under way; ok, failed, interrupted or a reason code.", "ok")
    seconds: float | None = said("How long it took; null while under way.", 2.7)
    usual_seconds: float | None = said(
        "How long it took lately, where all went well; null where nobody knows.", 2.5
    )

    @classmethod
    def of(cls, record: StageRecord, usual: UsualDurations) -> Self:
        """Return the body of ``record``."""
        return cls(
            stage=record.stage,
            started_at=record.started_at,
            finished_at=record.finished_at,
            outcome=record.outcome,
            seconds=record.duration.total_seconds() if record.duration is not None else None,
            usual_seconds=_usual_seconds(record.stage, usual),
        )


class StageAheadBody(Answer):
    """One stage that is still to come."""

    stage: Stage = said("Which.", "verify")
    usual_seconds: float | None = said(
        "How long it took lately, where all went well; null where nobody knows.", 5.2
    )


def _usual_seconds(stage: Stage, usual: UsualDurations) -> float | None:
    duration = usual.get(stage)
    return duration.total_seconds() if duration is not None else None


class OutcomeBody(Answer):
    """What became of a deployment on one host."""

    host: str = said("Which.", "web1")
    status: TargetStatus = said("Where it stands there.", "verified")
    error: FailureBody | None = said("What went wrong there; null if nothing did.", None)
    started_at: datetime = said("When it began there.", AT)
    changed_at: datetime = said("When it came to stand so.", AT)
    duration_ms: int = said("From its beginning there until it stood so.", 2700)
    migration: MigrationState | None = said(
        "How far the migration got there; null: it did not begin.", "done"
    )
    migration_changed_at: datetime | None = said("When it came to stand so.", AT)
    evidence: dict[str, Any] | None = said(
        "What was read back there, by the stage that it was read in; null before, and in lists.",
        _EVIDENCE,
    )

    @classmethod
    def of(cls, record: TargetRecord, *, with_evidence: bool) -> Self:
        """Return the body of ``record``."""
        return cls(
            host=record.host,
            status=record.status,
            error=FailureBody.of(record.error),
            started_at=record.started_at,
            changed_at=record.changed_at,
            duration_ms=milliseconds(record.duration),
            migration=record.migration,
            migration_changed_at=record.migration_changed_at,
            evidence=dict(record.evidence) if with_evidence and record.evidence else None,
        )


class HeadlineBody(Answer):
    """A commit as people know it."""

    subject: str = said("The first line of what it says.", "Show the delivery date in the cart")
    author: str = said("Who wrote it.", "Lena")
    at: datetime = said("When it was committed, as the committer's clock said.", AT)

    @classmethod
    def of(cls, headline: CommitInfo | None) -> Self | None:
        """Return the body of ``headline``."""
        if headline is None:
            return None
        return cls(subject=headline.subject, author=headline.author, at=headline.at)


class DeploymentBody(Answer):
    """One decision to run a revision, and what became of it."""

    id: int = said("Its number.", 42)
    project: str = said("Its project.", "shop")
    status: Status = said("Where it stands.", "deployed")
    stage: Stage = said("The stage under way, or the last one.", "verify")
    attempt: int = said("Which try this is.", 1)
    forced: bool = said("A person insisted.", False)
    override: str = said(
        "Why a person had it go past deploy windows and a freeze; empty: it doesn't.", ""
    )
    causes: list[CauseBody] = said("Why it was asked for, oldest first.", [])
    correlation: str = said(
        "Id of what noticed the change first, as the daemon's log has it; of a request, its own.",
        "5d1c0f3be82a9746",
    )
    revision: RevisionBody = said(
        "What to run.", {"commit": SHA, "images": {IMAGE: DIGEST}, "generation": 3}
    )
    headline: HeadlineBody | None = said(
        "Its commit as people know it; null before it was prepared, and without a repository."
    )
    services: list[ServiceBody] = said("What was pinned; empty before it was prepared.", [])
    stages: list[StageBody] = said("The stages so far.", [])
    ahead: list[StageAheadBody] = said("Those still to come if all goes well.", [])
    manifest: ManifestUse = said("Whether the repository's own manifest counted.", "none")
    hosts: list[str] = said("The hosts that it was asked for; empty: all of the project's.", [])
    targets: list[OutcomeBody] = said("What became of it on each host, as far as it got.", [])
    created_at: datetime = said("When it was asked for.", AT)
    started_at: datetime | None = said("When it began.", AT)
    finished_at: datetime | None = said("When it ended.", AT)
    duration_ms: int | None = said("How long it took; null before it ended.", 8500)
    not_before: datetime | None = said("When the next try may begin.", None)
    promotes: int | None = said(
        "The deployment of the environment before that verified what this one runs.", None
    )
    restores: int | None = said("A rollback asked for by a person: to this deployment.", None)
    rolled_back_to: int | None = said("The deployment that runs again after a failure.", None)
    superseded_by: int | None = said("The newer one that took its place.", None)
    error: FailureBody | None = said("What went wrong; null if nothing did.", None)

    @classmethod
    def of(
        cls,
        deployment: Deployment,
        usual: UsualDurations | None = None,
        *,
        with_evidence: bool = False,
    ) -> Self:
        """Return the body of ``deployment``; without ``usual`` nobody knows how long it takes."""
        prepared, usual = deployment.prepared, usual or {}
        return cls(
            id=deployment.id,
            project=deployment.project,
            status=deployment.status,
            stage=deployment.stage,
            attempt=deployment.attempt,
            forced=deployment.forced,
            override=deployment.override,
            causes=[CauseBody.of(cause) for cause in deployment.causes],
            correlation=deployment.correlation,
            revision=RevisionBody.of(deployment.target_revision),
            headline=HeadlineBody.of(deployment.headline),
            services=[
                ServiceBody.of(service, target.host)
                for target in (prepared.targets if prepared else ())
                for service in target.services
            ],
            stages=[StageBody.of(record, usual) for record in deployment.stages],
            ahead=[
                StageAheadBody(stage=stage, usual_seconds=_usual_seconds(stage, usual))
                for stage in stages_ahead(deployment, usual)
            ],
            manifest=_manifest_use(prepared),
            hosts=list(deployment.hosts),
            targets=[
                OutcomeBody.of(record, with_evidence=with_evidence) for record in deployment.targets
            ],
            created_at=deployment.created_at,
            started_at=deployment.started_at,
            finished_at=deployment.finished_at,
            duration_ms=milliseconds(taken) if (taken := deployment.duration) else None,
            not_before=deployment.not_before,
            promotes=deployment.promotes,
            restores=deployment.restores,
            rolled_back_to=deployment.rolled_back_to,
            superseded_by=deployment.superseded_by,
            error=FailureBody.of(deployment.error),
        )


def _manifest_use(prepared: PreparedRevision | None) -> ManifestUse:
    if prepared is None or not (prepared.manifest or prepared.manifest_ignored):
        return "none"
    return "ignored" if prepared.manifest_ignored else "used"


class DeploymentPage(Answer):
    """Some deployments, newest first."""

    items: list[DeploymentBody] = said("The deployments.", [])
    next: str | None = next_page()


class LogLineBody(Answer):
    """One line of output, secrets taken out."""

    number: int = said("From 1, growing; it jumps where output over the limit was left out.", 7)
    at: datetime = said("When it was written.", AT)
    stage: Stage = said("In which stage.", "apply")
    text: str = said("The line.", "Container shop-web-1  Started")

    @classmethod
    def of(cls, line: LogLine) -> Self:
        """Return the body of ``line``."""
        return cls(number=line.number, at=line.at, stage=line.stage, text=plain(line.text))


class LogBody(Answer):
    """Some lines of a deployment's log."""

    items: list[LogLineBody] = said("At most 1,000 lines, in order.", [])
    finished: bool = said("Whether these are the last lines there will be.", True)
