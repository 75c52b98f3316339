"""Bodies of where a project stands: what is live, what it follows, what was held back."""

from datetime import datetime
from typing import Any, Self

from reconciler.domain.deployment import Deployment
from reconciler.domain.project import ExternalSource, HostedSource, ProjectKind, Source
from reconciler.domain.promotion import Environment, declaration_of
from reconciler.domain.state import PassedOver, Quarantine
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.web.schemas.body import AT, DIGEST, SHA, Answer, Asked, said

IMAGE = "registry.example/team/app:1.2"


class EnvironmentBody(Asked):
    """Which environment of an app a project is."""

    name: str = said("1 to 32 of a-z, 0-9 and '-', starting with a letter.", "production")
    promoted_from: str | None = said(
        "The project whose verified revisions it gets, and nothing else; null: it is the first.",
        "shop",
        default=None,
    )
    soak_seconds: float | None = said(
        "How long a revision has to stand there, verified, before it may come; null: 0.",
        3600,
        default=None,
    )

    @classmethod
    def of(cls, environment: Environment | None) -> Self | None:
        """Return the body of ``environment``."""
        return cls.model_validate(declaration_of(environment)) if environment else None

    def declared(self) -> dict[str, object]:
        """Return the fields that were given."""
        return self.model_dump(exclude_unset=True)


class LiveBody(Answer):
    """What was verified last."""

    deployment: int = said("Its deployment.", 42)
    commit: str | None = said("Its commit; null without a repository.", SHA)
    images: dict[str, str] = said("Image as followed, and the digest behind it.", {IMAGE: DIGEST})
    since: datetime | None = said("Since when it is live.", AT)

    @classmethod
    def of(cls, live: Deployment | None) -> Self | None:
        """Return the body of ``live``."""
        if live is None:
            return None
        revision = live.target_revision
        return cls(
            deployment=live.id,
            commit=revision.commit.text if revision.commit else None,
            images={image: digest.text for image, digest in revision.images.items()},
            since=live.finished_at,
        )


class SourceBody(Answer):
    """Where the revisions of a compose or unit project come from."""

    kind: str = said("hosted or external.", "external")
    url: str | None = said(
        "external: the URL, without credentials.", "https://git.example/team/shop.git"
    )
    repository: str | None = said("hosted: the repository kept here.", "shop")
    branch: str = said("The branch that is followed.", "main")

    @classmethod
    def of(cls, source: Source | None) -> Self | None:
        """Return the body of ``source``."""
        match source:
            case HostedSource(repository, branch):
                return cls(kind="hosted", url=None, repository=repository, branch=str(branch))
            case ExternalSource(url, branch):
                return cls(kind="external", url=str(url), repository=None, branch=str(branch))
            case None:
                return None


class SourceErrorBody(Answer):
    """Why the last look at the source failed."""

    code: str = said("Stable code.", "source-denied")
    message: str = said("The same in a sentence.", "git.example refused our credentials (401)")


class SummaryBody(Answer):
    """A project and where it stands."""

    name: str = said("Its name.", "shop")
    kind: ProjectKind = said("What it is made of.", "compose")
    auto_deploy: bool = said("Whether triggers deploy it by themselves.", True)
    state: StandingCode = said("Where it stands, in one word.", "in-sync")
    state_text: str = said("The same in a sentence.", "deployment 42 runs, and nothing moved since")
    reason: str = said(
        "Code of the first reason, as far as a list of all knows it; `why` has all.", "live"
    )
    environment: EnvironmentBody | None = said(
        "Which environment of an app it is; null: it has but this one.", None
    )
    live: LiveBody | None = said("What was verified last; null before the first.", None)
    tracked_commit: str | None = said("Commit that was last acted on.", SHA)
    source: SourceBody | None = said(
        "Where its revisions come from; null without a repository.", None
    )
    image: str | None = said("The image that an image project follows.", IMAGE)
    looked_at: datetime | None = said("When the source was last looked at.", AT)
    next_look_at: datetime | None = said("When it is looked at again.", AT)
    source_error: SourceErrorBody | None = said(
        "Why the last look failed; null if it did not.", None
    )

    @classmethod
    def of(cls, summary: ProjectSummary) -> "SummaryBody":
        """Return the body of ``summary``."""
        return SummaryBody(**summary_values(summary))


def summary_values(summary: ProjectSummary) -> dict[str, Any]:
    """Return the fields of a ``SummaryBody``."""
    project, state, health = summary.project, summary.state, summary.health
    error = health.error
    return {
        "name": project.name,
        "kind": project.kind,
        "auto_deploy": project.auto_deploy,
        "state": summary.standing,
        "state_text": summary.text,
        "reason": summary.reason,
        "environment": EnvironmentBody.of(project.environment),
        "live": LiveBody.of(state.live),
        "tracked_commit": state.tracked_commit.text if state.tracked_commit else None,
        "source": SourceBody.of(project.source),
        "image": str(project.image) if project.image else None,
        "looked_at": health.looked_at,
        "next_look_at": health.next_look_at,
        "source_error": SourceErrorBody(code=error.code, message=error.message) if error else None,
    }


class QuarantineBody(Answer):
    """A revision that was rolled back, and is not tried again by itself."""

    commit: str | None = said("Its commit.", SHA)
    images: dict[str, str] = said("Its images.", {IMAGE: DIGEST})
    deployment: int = said("The deployment that was rolled back.", 43)
    since: datetime = said("Since when.", AT)
    reason: str = said("Why.", "web: container 3f2a ended (exit status 1)")

    @classmethod
    def of(cls, quarantine: Quarantine) -> Self:
        """Return the body of ``quarantine``."""
        revision = quarantine.revision
        return cls(
            commit=revision.commit.text if revision.commit else None,
            images={image: digest.text for image, digest in revision.images.items()},
            deployment=quarantine.deployment,
            since=quarantine.since,
            reason=quarantine.reason,
        )


class PassedOverBody(Answer):
    """A commit that does not concern its project."""

    commit: str = said("The commit.", SHA)
    code: str = said("path-untouched or skip-marker.", "path-untouched")
    text: str = said("The same in a sentence.", "2 paths differ from 5f0c2b1a, none is watched")
    at: datetime = said("When that was found.", AT)
    compared_with: str = said("The commit that runs, or one that was rolled back.", SHA)

    @classmethod
    def of(cls, passed: PassedOver | None) -> Self | None:
        """Return the body of ``passed``."""
        if passed is None:
            return None
        return cls(
            commit=passed.commit.text,
            code=passed.code,
            text=passed.text,
            at=passed.at,
            compared_with=passed.base.text,
        )
