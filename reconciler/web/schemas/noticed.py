"""Bodies of what was noticed: requests for deployments, and images."""

from datetime import datetime
from typing import Self

from reconciler.domain.state import WatchedImage
from reconciler.ports import TriggerRecord
from reconciler.web.schemas.body import AT, DIGEST, SHA, Answer, next_page, said
from reconciler.web.schemas.deployments import RevisionBody
from reconciler.web.schemas.failure import FailureBody
from reconciler.web.schemas.problem import ReasonBody
from reconciler.web.schemas.project_summary import IMAGE


class TriggerBody(Answer):
    """One request for a deployment, and what became of it."""

    number: int = said("Grows with each.", 17)
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
    correlation: str = said("Id of the first of them, as the log has it.", "5d1c0f3be82a9746")

    @classmethod
    def of(cls, record: TriggerRecord) -> Self:
        """Return the body of ``record``."""
        return cls(
            number=record.number,
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
            correlation=record.correlation,
        )


class TriggerList(Answer):
    """Newest first."""

    items: list[TriggerBody] = said("The requests.", [])
    next: str | None = next_page()


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
    note: str = said("What its services' labels ask for besides, and don't get.", "")

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
            note=image.note,
        )


class ImageList(Answer):
    """In file order."""

    items: list[ImageBody] = said("The images.", [])
