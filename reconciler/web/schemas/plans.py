"""Bodies of plans."""

from datetime import datetime
from typing import Self

from reconciler.domain.history import CommitInfo
from reconciler.domain.plan import (
    ChangedFile,
    Direction,
    ExactImage,
    Finding,
    ImageFate,
    ImageStep,
    Plan,
    Weight,
)
from reconciler.web.schemas.body import AT, DIGEST, SHA, Answer, said
from reconciler.web.schemas.project_summary import IMAGE

PLAN_ID = "5f0c2a9be1d47380"


class PlannedCommitBody(Answer):
    """One commit between what is live and what would be taken."""

    commit: str = said("Its id.", SHA)
    subject: str = said("The first line of its message.", "Show prices with tax")
    author: str = said("Who wrote it.", "Ann")
    at: datetime = said("When, by the committer's clock.", AT)

    @classmethod
    def of(cls, info: CommitInfo) -> Self:
        """Return the body of ``info``."""
        return cls(commit=info.commit.text, subject=info.subject, author=info.author, at=info.at)


class ExactImageBody(Answer):
    """One exact image."""

    image: str = said("As it is followed.", IMAGE)
    digest: str = said("Of its manifest, or its own id where it was built.", DIGEST)
    size_bytes: int | None = said("Of its layers, compressed; null: not known.", 31_457_280)
    created_at: datetime | None = said("When it was made, as it says itself.", AT)

    @classmethod
    def of(cls, image: ExactImage | None) -> Self | None:
        """Return the body of ``image``."""
        if image is None:
            return None
        return cls(
            image=image.name,
            digest=image.digest.text,
            size_bytes=image.size_bytes,
            created_at=image.created_at,
        )


class PlannedImageBody(Answer):
    """What becomes of the image of one service."""

    service: str = said("The service.", "web")
    image: str = said("As the files name it.", IMAGE)
    fate: ImageFate = said(
        "pinned (to the digest behind its tag), fixed (by the file), built, left (stateful, or by "
        "a label) or gone.",
        "pinned",
    )
    hosts: list[str] = said("Where `before` runs; empty where nothing does.", ["local"])
    before: ExactImageBody | None = said("What runs; null: nothing, or it was not pinned.")
    after: ExactImageBody | None = said("What would run; null: not known before it is deployed.")
    changes: bool = said("Whether it would be another one.", True)
    note: str = said("What is to be said of it.", "")

    @classmethod
    def of(cls, step: ImageStep) -> Self:
        """Return the body of ``step``."""
        return cls(
            service=step.service,
            image=step.name,
            fate=step.fate,
            hosts=list(step.hosts),
            before=ExactImageBody.of(step.before),
            after=ExactImageBody.of(step.after),
            changes=step.changes,
            note=step.note,
        )


class PlannedFileBody(Answer):
    """One file that differs."""

    path: str = said("Below the top of the repository.", "compose.yaml")
    change: str = said("added, changed or removed.", "changed")

    @classmethod
    def of(cls, file: ChangedFile) -> Self:
        """Return the body of ``file``."""
        return cls(path=file.path, change=file.change)


class FindingBody(Answer):
    """What would stop it, or would happen besides."""

    weight: Weight = said(
        "refuses (it would not start), fails (it would start, and fail) or tells.", "tells"
    )
    code: str = said("Stable code, a deployment's own.", "migration")
    text: str = said("The same in words.", "the migration `bin/migrate up` would run first")
    remedy: str | None = said("What helps.", None)

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """Return the body of ``finding``."""
        remedy = finding.remedy or None
        return cls(weight=finding.weight, code=finding.code, text=finding.text, remedy=remedy)


class PlanLiveBody(Answer):
    """What is live."""

    deployment: int = said("The deployment.", 41)
    commit: str | None = said("Its commit; null without a repository.", SHA)


class PlanBody(Answer):
    """What deploying now would change."""

    project: str = said("The project.", "shop")
    plan: str = said(
        "The plan's id; a deployment asked for with it deploys this or nothing.", PLAN_ID
    )
    verdict: str = said("In a sentence.", "Deploying now would change nothing.")
    changes: bool = said("Whether a deployment would start, and not be known to fail.", True)
    live: PlanLiveBody | None = said("What is live; null: nothing.")
    commit: str | None = said("What would be taken; null without a repository.", SHA)
    generation: int = said("Of the project's declaration.", 3)
    direction: Direction = said("How the commit stands to the one that is live.", "forward")
    hosts: list[str] = said("Where it would go.", ["local"])
    elsewhere: dict[str, str] = said(
        "Host and the commit that runs there, where that is not the live one.", {"web2": SHA}
    )
    commits: list[PlannedCommitBody] = said("Those between, newest first; at most 100.", [])
    more_commits: bool = said("Whether there are more.", False)
    images: list[PlannedImageBody] = said("What becomes of each service's image.", [])
    files: list[PlannedFileBody] | None = said("That differ; at most 100; null: not known.", [])
    more_files: int = said("How many more differ.", 0)
    difference: list[str] = said(
        "Lines of the rendered compose file's unified diff; variables are as they are written.",
        ["-    image: shop:1", "+    image: shop:2"],
    )
    difference_note: str | None = said("Why there is none, or not all of it.", None)
    findings: list[FindingBody] = said("What would stop it, then what would happen besides.", [])

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Return the body of ``plan``."""
        basis, files = plan.basis, plan.files
        live = plan.live_commit.text if plan.live_commit else None
        commit = basis.revision.commit
        return cls(
            project=plan.project,
            plan=basis.id,
            verdict=plan.verdict,
            changes=plan.changes,
            live=PlanLiveBody(deployment=basis.live, commit=live) if basis.live else None,
            commit=commit.text if commit else None,
            generation=basis.revision.generation,
            direction=plan.direction,
            hosts=list(plan.hosts),
            elsewhere={str(host): one.text for host, one in plan.elsewhere.items()},
            commits=[PlannedCommitBody.of(one) for one in plan.commits],
            more_commits=plan.history.more if plan.history else False,
            images=[PlannedImageBody.of(step) for step in plan.images],
            files=[PlannedFileBody.of(file) for file in files.files] if files else None,
            more_files=files.more if files else 0,
            difference=list(plan.difference.lines),
            difference_note=plan.difference.note or None,
            findings=[FindingBody.of(finding) for finding in plan.findings],
        )
