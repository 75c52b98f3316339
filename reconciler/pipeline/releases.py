"""Releases that are reported: checked against where their parts are, and kept. Deploys nothing."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from reconciler.domain.errors import (
    DigestUnknown,
    InvalidComposeFile,
    InvalidInput,
    InvalidReference,
)
from reconciler.domain.project import Project
from reconciler.domain.references import (
    CommitSha,
    Digest,
    ImageReference,
    parse_project_name,
)
from reconciler.domain.release import (
    MOST_CHECKS,
    MOST_IMAGES,
    Build,
    Check,
    ReleaseRecord,
    ReleaseReport,
    parse_build_result,
    parse_check_name,
    parse_check_status,
    parse_link,
    parse_time,
)
from reconciler.pipeline.sources import Sources
from reconciler.ports import Clock, ImageRegistry, Store

_LOOKS_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class CheckDraft:
    """A check as it was reported."""

    name: str
    status: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class ReleaseDraft:
    """A release as it was reported: nothing of it is checked yet."""

    project: str
    commit: str
    build_result: str
    build_finished_at: str
    build_url: str | None = None
    images: Mapping[str, str] | None = None  #: name → digest
    image: str | None = None  #: with ``digest``, instead of ``images``: the only one
    digest: str | None = None
    checks: Sequence[CheckDraft] = ()


@dataclass(frozen=True, slots=True)
class Releases:
    """What CI reports."""

    store: Store
    clock: Clock
    sources: Sources
    registry: ImageRegistry

    def record(self, draft: ReleaseDraft, *, actor: str) -> tuple[ReleaseRecord, bool]:
        """Keep a release, and tell if it is new. Safe to repeat: the same gives the same record.

        Raises:
            NotFound: there is no such project.
            InvalidInput: a value is wrong, or the project has no such image.
            RevisionNotFound: its source has no such commit.
            DigestUnknown: a registry has no such digest.
            SourceError: the source or a registry could not be asked; nothing is kept.
        """
        report = parse_release(draft)
        project = self.store.get_project(report.project)
        if known := self.store.find_release(report.project, report.fingerprint):
            return known, False
        images = [ImageReference.parse(name) for name in report.images]
        self._require_images(project, images)
        self._require_commit(project, report.commit)
        self._require_digests(report)
        return self.store.add_release(report, actor, self.clock.now())

    def _require_images(self, project: Project, images: Sequence[ImageReference]) -> None:
        """Raise ``InvalidInput`` for an image that is surely none of the project's."""
        if not project.kind.runs_containers:
            problem = f"is of kind {project.kind}, which is not made of images"
            raise InvalidInput("project", project.name, problem)
        known = self._repositories_of(project)
        for image in images:
            if known and image.name not in known:
                problem = f"is none of {project.name}'s images: {', '.join(sorted(known))}"
                raise InvalidInput("images", str(image), problem)

    def _repositories_of(self, project: Project) -> frozenset[str]:
        """Return where the project's images are; empty where that is not known in full."""
        if project.image is not None:
            return frozenset({project.image.name})
        try:
            named = [ImageReference.parse(one.image) for one in self.store.get_images(project.name)]
        except InvalidReference:  # a variable that nobody resolved: it may be any
            return frozenset()
        return frozenset(image.name for image in named)

    def _require_commit(self, project: Project, commit: CommitSha) -> None:
        if commit == self.store.get_health(project.name).observed:
            return
        try:
            self.sources.read_files(project, commit, (project.compose_path,))
        except InvalidComposeFile:
            # The commit is there; whether its files can be used, a deployment finds out.
            return

    def _require_digests(self, report: ReleaseReport) -> None:
        def look(part: tuple[str, Digest]) -> bool:
            image = ImageReference.parse(f"{part[0]}@{part[1]}")
            return self.registry.holds(image, report.project)

        with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
            found = list(pool.map(look, report.images.items()))
        for (name, digest), is_there in zip(report.images.items(), found, strict=True):
            if not is_there:
                raise DigestUnknown(name, str(digest), ImageReference.parse(name).registry)


def parse_release(draft: ReleaseDraft) -> ReleaseReport:
    """Return what was reported, each value checked by itself. Raises ``InvalidInput``."""
    parse_build_result(draft.build_result)
    return ReleaseReport(
        project=parse_project_name(draft.project, "project"),
        commit=CommitSha.parse(draft.commit),
        images=_parse_images(_images_of(draft)),
        build=Build(
            parse_time(draft.build_finished_at, "build.finished_at"),
            _parse_url(draft.build_url, "build.url"),
        ),
        checks=_parse_checks(draft.checks),
    )


def _images_of(draft: ReleaseDraft) -> Mapping[str, str]:
    """Return the images however they were written. Raises ``InvalidInput``."""
    if draft.image is None and draft.digest is None:
        return draft.images or {}
    if draft.images is not None:
        raise InvalidInput("images", None, "can't stand beside image and digest; give one of both")
    if draft.image is None or draft.digest is None:
        missing = "digest" if draft.image else "image"
        raise InvalidInput(missing, None, "is missing: image and digest belong together")
    return {draft.image: draft.digest}


def _parse_images(images: Mapping[str, str]) -> dict[str, Digest]:
    if not 0 < len(images) <= MOST_IMAGES:
        problem = f"must name 1 to {MOST_IMAGES} images with their digests, and names {len(images)}"
        raise InvalidInput("images", None, problem)
    found: dict[str, Digest] = {}
    for text, digest in images.items():
        image = ImageReference.parse(text, "images")
        if image.digest is not None:
            raise InvalidReference("images", text, "names a digest, which belongs beside the name")
        if str(image) in found:
            raise InvalidInput("images", text, "is named twice")
        found[str(image)] = Digest.parse(digest, f"images.{image.familiar}")
    return found


def _parse_checks(checks: Sequence[CheckDraft]) -> tuple[Check, ...]:
    if len(checks) > MOST_CHECKS:
        raise InvalidInput("checks", None, f"must be at most {MOST_CHECKS}, not {len(checks)}")
    return tuple(
        Check(
            parse_check_name(check.name, f"checks.{number}.name"),
            parse_check_status(check.status, f"checks.{number}.status"),
            _parse_url(check.url, f"checks.{number}.url"),
        )
        for number, check in enumerate(checks)
    )


def _parse_url(text: str | None, field: str) -> str:
    return parse_link(text, field) if text is not None else ""
