"""Commits, digests and all else that projects for show are made of: the same at each run."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from reconciler.domain.deployment import (
    Cause,
    Pin,
    PlannedService,
    PreparedRevision,
    PreparedTarget,
    Release,
    Trigger,
)
from reconciler.domain.history import CommitInfo
from reconciler.domain.host import HostName
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import (
    CommitSha,
    Digest,
    ImageReference,
    ProjectName,
    RepositoryPath,
    ServiceName,
)
from reconciler.domain.revision import Revision
from reconciler.domain.target import Target, TargetStrategy

MARA, JONAS = "mara", "jonas"
_SUBJECTS = (
    "Show the delivery date in the cart",
    "Raise the idle timeout to 75 s",
    "Keep originals on the second disk",
    "Fix the feed’s dates",
    "Sign out on every device",
)


def commit_of(name: str, version: int) -> CommitSha:
    """Return the commit that is a project's n-th."""
    return CommitSha(hashlib.sha1(f"{name} {version}".encode()).hexdigest())  # noqa: S324


def digest_of(name: str, version: int) -> Digest:
    """Return the digest that an image had behind its tag at the project's n-th commit."""
    return Digest(f"sha256:{hashlib.sha256(f'{name} {version}'.encode()).hexdigest()}")


def prepared_as(project: Project, revision: Revision) -> PreparedRevision:
    """Return a revision with everything resolved, on each host."""
    services = tuple(
        PlannedService(service_of(image), Pin(ImageReference.parse(image), digest))
        for image, digest in revision.images.items()
    )
    if project.kind is ProjectKind.UNIT:
        assert revision.commit
        release = Release(f"20261101-{revision.commit.short}", digest_of(revision.commit.text, 0))
        services = (PlannedService(ServiceName(project.name), release),)
    targets = tuple(
        PreparedTarget(
            revision,
            services,
            compose_file="compose.yaml",
            override_file=".deploy/override.yaml",
            rendered_sha256="0" * 64,
            host=target.host,
        )
        for target in project.where
    )
    return PreparedRevision(revision, targets, headline=_headline(revision.commit))


def _headline(commit: CommitSha | None) -> CommitInfo | None:
    if commit is None:
        return None
    subject = _SUBJECTS[int(commit.text[:4], 16) % len(_SUBJECTS)]
    return CommitInfo(commit, subject, JONAS, datetime.now(UTC) - timedelta(days=3))


def revision_of(project: Project, version: int) -> Revision:
    """Return a project's n-th commit with the digests that its images had then."""
    commit = commit_of(project.name, version) if project.source else None
    images = {image: digest_of(image, version) for image in _images_of(project)}
    return Revision(commit, images, project.generation)


def _images_of(project: Project) -> Sequence[str]:
    match project.kind:
        case ProjectKind.COMPOSE:
            app = f"registry.example/{project.name}"
            return [f"{app}/web:2", f"{app}/worker:2", "docker.io/library/nginx:1.29"]
        case ProjectKind.IMAGE:
            return [str(project.image)]
        case _:
            return []


def service_of(image: str) -> ServiceName:
    """Return the service that runs an image."""
    return ServiceName(image.rpartition("/")[2].partition(":")[0])


def target_of(name: str, kind: ProjectKind, host: HostName) -> Target:
    """Return where a project runs."""
    if kind is ProjectKind.UNIT:
        strategy, binary = TargetStrategy.SYSTEMD, RepositoryPath(f"bin/{name}")
        return Target(ProjectName(name), host, strategy, binary=binary, build=("make",), port=8080)
    return Target(ProjectName(name), host, TargetStrategy.COMPOSE)


def cause_of(trigger: Trigger, name: str, version: int) -> Cause:
    """Return why the n-th commit is asked for."""
    moved = f"main moved {commit_of(name, version - 1).short} → {commit_of(name, version).short}"
    person = trigger is Trigger.PERSON
    return Cause(trigger, *((MARA, "asked for it") if person else (str(trigger), moved)))
