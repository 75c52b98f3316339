"""Bodies of deployments, triggers, images and logs."""

from datetime import datetime
from typing import Self

from reconciler.domain.deployment import (
    Cause,
    Deployment,
    Failure,
    PlannedService,
    Stage,
    StageRecord,
    Status,
)
from reconciler.domain.errors import Recovery
from reconciler.domain.revision import Revision
from reconciler.domain.state import WatchedImage
from reconciler.ports import LogLine, TriggerRecord
from reconciler.web.schemas.body import AT, DIGEST, SHA, Answer, Asked, DeploymentNumber, said
from reconciler.web.schemas.problem import ReasonBody
from reconciler.web.schemas.projects import IMAGE


class NewDeployment(Asked):
    """What to deploy; nothing named: what the branch's tip is now."""

    commit: str | None = said("A full commit id; null: the branch's tip.", SHA, default=None)
    force: bool = said("Deploy even what is live or quarantined.", False, default=False)
    reason: str = said("For the record.", "after the incident", default="")


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
    """What one service should look like once it is up."""

    name: str = said("Its name in the compose file.", "web")
    image: str | None = said("The image that it follows; null where it is not pinned.", IMAGE)
    digest: str | None = said("The digest that it is pinned to.", DIGEST)
    may_finish: bool = said("A one-shot: exit status 0 is success.", False)

    @classmethod
    def of(cls, service: PlannedService) -> Self:
        """Return the body of ``service``."""
        pin = service.pin
        return cls(
            name=service.name,
            image=str(pin.image) if pin else None,
            digest=pin.digest.text if pin else None,
            may_finish=service.may_finish,
        )


class StageBody(Answer):
    """One stage, as it went."""

    stage: Stage = said("Which.", "apply")
    started_at: datetime = said("When it began.", AT)
    finished_at: datetime | None = said("When it ended; null while under way.", AT)
    outcome: str = said("Empty while under way; ok, failed, interrupted or a reason code.", "ok")
    seconds: float | None = said("How long it took; null while under way.", 2.7)

    @classmethod
    def of(cls, record: StageRecord) -> Self:
        """Return the body of ``record``."""
        return cls(
            stage=record.stage,
            started_at=record.started_at,
            finished_at=record.finished_at,
            outcome=record.outcome,
            seconds=record.duration.total_seconds() if record.duration is not None else None,
        )


class FailureBody(Answer):
    """An error as it was recorded."""

    code: str = said("Stable code.", "verification-failed")
    message: str = said("What happened.", "web: container 3f2a ended (exit status 1)")
    recovery: Recovery = said("What helps: retry, stall (something newer), operator.", "stall")
    remedy: str = said("What to do.", "")
    evidence: dict[str, str] = said("What was seen.", {"exit_status": "1"})

    @classmethod
    def of(cls, failure: Failure | None) -> Self | None:
        """Return the body of ``failure``."""
        if failure is None:
            return None
        return cls(
            code=failure.code,
            message=failure.message,
            recovery=failure.recovery,
            remedy=failure.remedy,
            evidence=dict(failure.evidence),
        )


class DeploymentBody(Answer):
    """One decision to run a revision, and what became of it."""

    id: int = said("Its number.", 42)
    project: str = said("Its project.", "shop")
    status: Status = said("Where it stands.", "deployed")
    stage: Stage = said("The stage under way, or the last one.", "verify")
    attempt: int = said("Which try this is.", 1)
    forced: bool = said("A person insisted.", False)
    causes: list[CauseBody] = said("Why it was asked for, oldest first.", [])
    revision: RevisionBody = said(
        "What to run.", {"commit": SHA, "images": {IMAGE: DIGEST}, "generation": 3}
    )
    services: list[ServiceBody] = said("What was pinned; empty before it was prepared.", [])
    stages: list[StageBody] = said("The stages so far.", [])
    created_at: datetime = said("When it was asked for.", AT)
    started_at: datetime | None = said("When it began.", AT)
    finished_at: datetime | None = said("When it ended.", AT)
    not_before: datetime | None = said("When the next try may begin.", None)
    restores: int | None = said("A rollback asked for by a person: to this deployment.", None)
    rolled_back_to: int | None = said("The deployment that runs again after a failure.", None)
    superseded_by: int | None = said("The newer one that took its place.", None)
    error: FailureBody | None = said("What went wrong; null if nothing did.", None)

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        """Return the body of ``deployment``."""
        prepared = deployment.prepared
        return cls(
            id=deployment.id,
            project=deployment.project,
            status=deployment.status,
            stage=deployment.stage,
            attempt=deployment.attempt,
            forced=deployment.forced,
            causes=[CauseBody.of(cause) for cause in deployment.causes],
            revision=RevisionBody.of(deployment.target_revision),
            services=[ServiceBody.of(service) for service in prepared.services] if prepared else [],
            stages=[StageBody.of(record) for record in deployment.stages],
            created_at=deployment.created_at,
            started_at=deployment.started_at,
            finished_at=deployment.finished_at,
            not_before=deployment.not_before,
            restores=deployment.restores,
            rolled_back_to=deployment.rolled_back_to,
            superseded_by=deployment.superseded_by,
            error=FailureBody.of(deployment.error),
        )


class DeploymentPage(Answer):
    """Some deployments, newest first."""

    items: list[DeploymentBody] = said("The deployments.", [])
    next: str | None = said("Give it as `cursor` for the next page; null on the last.", "41")


class TriggerBody(Answer):
    """One request for a deployment, and what became of it."""

    trigger: str = said("What noticed.", "push")
    actor: str = said("Who or what asked.", "push")
    detail: str = said("In plain words.", "main moved 1f2e3d4c → 9a8b7c6d")
    outcome: str = said("admitted, coalesced, held or refused.", "held")
    reasons: list[ReasonBody] = said("Why.", [])
    deployment: int | None = said("The deployment that serves it.", 42)
    revision: RevisionBody = said(
        "What was asked for.", {"commit": SHA, "images": {}, "generation": 3}
    )
    at: datetime = said("When.", AT)
    count: int = said("Equal requests in a row are one record.", 1)
    last_at: datetime | None = said("When the last of them was.", AT)

    @classmethod
    def of(cls, record: TriggerRecord) -> Self:
        """Return the body of ``record``."""
        return cls(
            trigger=record.cause.trigger,
            actor=record.cause.actor,
            detail=record.cause.detail,
            outcome=record.outcome,
            reasons=[ReasonBody(code=reason.code, text=reason.text) for reason in record.reasons],
            deployment=record.deployment,
            revision=RevisionBody.of(record.revision),
            at=record.at,
            count=record.count,
            last_at=record.last_at,
        )


class TriggerList(Answer):
    """Newest first."""

    items: list[TriggerBody] = said("The requests.", [])


class ImageBody(Answer):
    """One image of a project, as its compose file names it."""

    image: str = said("As it is followed.", IMAGE)
    services: list[str] = said("The services that run it.", ["web"])
    watched: bool = said("Whether its digest is looked up.", True)
    unwatched_because: str | None = said("Why not.", "variable TAG is not set")
    digest: str | None = said("The last one that a look-up gave.", DIGEST)
    first_seen_at: datetime | None = said("When that digest was first seen.", AT)
    looked_at: datetime | None = said("When it was last looked up.", AT)
    error: FailureBody | None = said("Why the last look-up failed.", None)

    @classmethod
    def of(cls, image: WatchedImage) -> Self:
        """Return the body of ``image``."""
        return cls(
            image=image.image,
            services=list(image.services),
            watched=not image.unwatched_because,
            unwatched_because=image.unwatched_because or None,
            digest=image.digest.text if image.digest else None,
            first_seen_at=image.first_seen_at,
            looked_at=image.looked_at,
            error=FailureBody.of(image.error),
        )


class ImageList(Answer):
    """In file order."""

    items: list[ImageBody] = said("The images.", [])


class LogLineBody(Answer):
    """One line of output, secrets taken out."""

    number: int = said("From 1, growing; it jumps where output over the limit was left out.", 7)
    at: datetime = said("When it was written.", AT)
    stage: Stage = said("In which stage.", "apply")
    text: str = said("The line.", "Container shop-web-1  Started")

    @classmethod
    def of(cls, line: LogLine) -> Self:
        """Return the body of ``line``."""
        return cls(number=line.number, at=line.at, stage=line.stage, text=line.text)


class LogBody(Answer):
    """Some lines of a deployment's log."""

    items: list[LogLineBody] = said("At most 1,000 lines, in order.", [])
    finished: bool = said("Whether these are the last lines there will be.", True)
