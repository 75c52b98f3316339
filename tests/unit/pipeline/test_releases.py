"""What CI may report, against what the source and the registries have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from reconciler.domain.errors import (
    DigestUnknown,
    InvalidComposeFile,
    InvalidInput,
    NotFound,
    RevisionNotFound,
    SourceUnreachable,
)
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import (
    CommitSha,
    GitUrl,
    ImageReference,
    ProjectName,
    RepositoryPath,
)
from reconciler.domain.state import WatchedImage
from reconciler.pipeline.releases import CheckDraft, ReleaseDraft, Releases
from reconciler.pipeline.sources import Sources as ProjectSources
from reconciler.ports import GitCredentials
from tests.unit.pipeline.conftest import WEB, A, B, World

IMAGE = "registry.example/team/app:main"
WORKER = "registry.example/team/worker:main"
ONE, TWO = (f"sha256:{letter * 64}" for letter in "12")
DRAFT = ReleaseDraft("web", A.text, "success", "2026-11-20T16:00:00Z", images={IMAGE: ONE})


@dataclass
class Sources:
    """A git server and a registry, and what they have."""

    commits: set[CommitSha] = field(default_factory=lambda: {A})
    digests: set[str] = field(default_factory=lambda: {ONE, TWO})
    away: bool = False
    broken_file: bool = False
    asked: list[str] = field(default_factory=list)

    def read_files(
        self,
        url: GitUrl,
        commit: CommitSha,
        paths: Sequence[RepositoryPath],
        credentials: GitCredentials | None = None,
    ) -> Mapping[RepositoryPath, bytes]:
        self.asked.append(f"{url} {commit}")
        if commit not in self.commits:
            raise RevisionNotFound(f"{url} has no commit {commit.short}")
        if self.broken_file:
            raise InvalidComposeFile("compose.yaml is a symlink")
        return {}

    def holds(self, image: ImageReference, project: ProjectName | None = None) -> bool:
        self.asked.append(str(image))
        if self.away:
            raise SourceUnreachable(f"{image.registry} can't be reached", host=image.registry)
        return str(image.digest) in self.digests


@pytest.fixture
def sources() -> Sources:
    return Sources()


@pytest.fixture
def releases(world: World, sources: Sources) -> Releases:
    of_projects = ProjectSources(world.store, sources, sources)  # type: ignore[arg-type]
    return Releases(world.store, world.clock, of_projects, sources)  # type: ignore[arg-type]


def declare_image(world: World) -> None:
    now = world.clock.now()
    image = ImageReference.parse("registry.example/team/blog:2")
    world.store.create_project(
        Project(ProjectName("blog"), ProjectKind.IMAGE, now, now, image=image)
    )


def test_a_release_is_kept_and_deploys_nothing(world: World, releases: Releases) -> None:
    """As it was reported, in the name of who did; nobody is asked a second time."""
    checks = (CheckDraft("unit tests", "success", "https://ci.example/1"),)
    draft = replace(DRAFT, build_url="https://ci.example/812", checks=checks)
    record, is_new = releases.record(draft, actor="ci")
    assert is_new
    assert (record.recorded_by, record.report.commit) == ("ci", A)
    assert world.store.list_releases(WEB) == [record]
    assert world.store.list_deployments() == []


def test_the_same_again_is_answered_without_asking_anybody(
    releases: Releases, sources: Sources
) -> None:
    """Also while the registry is away: CI tries again until it is told."""
    first, _ = releases.record(DRAFT, actor="ci")
    sources.asked.clear()
    sources.away = True
    short = replace(DRAFT, images=None, image=IMAGE, digest=ONE, build_url="http://ci.example/2")
    assert releases.record(short, actor="somebody") == (first, False)
    assert sources.asked == []


def test_a_digest_that_the_registry_lacks_is_refused(
    world: World, releases: Releases, sources: Sources
) -> None:
    """One of many is enough; image and registry are named, and nothing is kept."""
    sources.digests = {ONE}
    with pytest.raises(DigestUnknown, match=r"registry\.example has no sha256:2222") as refused:
        releases.record(replace(DRAFT, images={IMAGE: ONE, WORKER: TWO}), actor="ci")
    assert refused.value.code == "digest-unknown"
    evidence = refused.value.evidence
    assert (evidence["image"], evidence["registry"]) == (WORKER, "registry.example")
    assert world.store.list_releases() == []


def test_a_registry_that_is_away_keeps_nothing(
    world: World, releases: Releases, sources: Sources
) -> None:
    """It may have it: the same report may come again."""
    sources.away = True
    with pytest.raises(SourceUnreachable, match="registry"):
        releases.record(DRAFT, actor="ci")
    assert world.store.list_releases() == []
    sources.away = False
    assert releases.record(DRAFT, actor="ci")[1]


def test_a_commit_that_the_source_lacks_is_refused(
    world: World, releases: Releases, sources: Sources
) -> None:
    """Before any registry is asked; what its files are like is no matter here."""
    with pytest.raises(RevisionNotFound):
        releases.record(replace(DRAFT, commit=B.text), actor="ci")
    assert sources.asked == [f"https://git.example/web.git {B}"]
    assert world.store.list_releases() == []
    sources.broken_file = True
    assert releases.record(DRAFT, actor="ci")[1]


def test_an_image_that_is_not_the_project_s_is_refused(world: World, releases: Releases) -> None:
    """Where that is known: any tag of its repositories is its own."""
    declare_image(world)
    mine = replace(DRAFT, project="blog", images={"registry.example/team/blog:3": ONE})
    assert releases.record(mine, actor="ci")[1]
    with pytest.raises(InvalidInput, match=r"none of blog's images: registry\.example/team/blog"):
        releases.record(replace(mine, images={IMAGE: ONE}), actor="ci")
    world.store.put_images(WEB, "read", [WatchedImage(IMAGE, ("web",))])
    with pytest.raises(InvalidInput, match="none of web's images"):
        releases.record(replace(DRAFT, images={WORKER: ONE}), actor="ci")
    unresolved = WatchedImage("registry.example/${WHAT}", ("job",), "WHAT is not set")
    world.store.put_images(WEB, "again", [WatchedImage(IMAGE, ("web",)), unresolved])
    assert releases.record(replace(DRAFT, images={WORKER: ONE}), actor="ci")[1]


def test_what_is_made_of_no_images_has_no_releases(world: World, releases: Releases) -> None:
    """And what is not there has none either."""
    now = world.clock.now()
    world.store.create_project(Project(ProjectName("door"), ProjectKind.TUNNEL, now, now))
    with pytest.raises(InvalidInput, match="not made of images"):
        releases.record(replace(DRAFT, project="door"), actor="ci")
    with pytest.raises(NotFound, match="gone"):
        releases.record(replace(DRAFT, project="gone"), actor="ci")


@pytest.mark.parametrize(
    ("field_name", "changes"),
    [
        ("project", {"project": "../shop"}),
        ("commit", {"commit": "main"}),
        ("commit", {"commit": A.text[:12]}),
        ("build.result", {"build_result": "failure"}),
        ("build.finished_at", {"build_finished_at": "2026-11-20T16:00:00"}),
        ("build.finished_at", {"build_finished_at": "0001-01-01T00:00:00+23:00"}),
        ("build.finished_at", {"build_finished_at": "yesterday"}),
        ("build.url", {"build_url": "javascript:alert(1)"}),
        ("build.url", {"build_url": "https://ci.example/\n1"}),
        ("build.url", {"build_url": "https://[ci/"}),
        ("build.url", {"build_url": f"https://ci.example/{'x' * 2048}"}),
        ("images", {"images": {}}),
        ("images", {"images": {f"registry.example/a{number}": ONE for number in range(21)}}),
        ("images", {"images": {"registry.example/a": ONE, "registry.example/a:latest": ONE}}),
        ("images", {"images": {f"registry.example/a@{ONE}": ONE}}),
        ("images", {"images": {"--upload": ONE}}),
        ("images.registry.example/a:latest", {"images": {"registry.example/a": "sha256:1"}}),
        ("images", {"image": IMAGE, "digest": ONE}),
        ("digest", {"images": None, "image": IMAGE}),
        ("image", {"images": None, "digest": ONE}),
        ("checks", {"checks": [CheckDraft("x", "success")] * 51}),
        ("checks.1.name", {"checks": [CheckDraft("x", "success"), CheckDraft(" ", "success")]}),
        ("checks.0.status", {"checks": [CheckDraft("x", "failure")]}),
        ("checks.0.url", {"checks": [CheckDraft("x", "success", "ftp://ci.example")]}),
    ],
)
def test_what_is_wrong_is_named(
    releases: Releases, sources: Sources, field_name: str, changes: dict[str, object]
) -> None:
    """By its field, before anybody is asked."""
    with pytest.raises(InvalidInput) as refused:
        releases.record(replace(DRAFT, **changes), actor="ci")  # type: ignore[arg-type]
    assert refused.value.field == field_name
    assert sources.asked == []


def test_a_password_in_an_address_is_not_shown(releases: Releases) -> None:
    """Errors are logged and shown to others than who sent it."""
    for url in ("https://me:hunter2@ci.example/1", "ftp://me:hunter2@ci.example/1"):
        with pytest.raises(InvalidInput) as refused:
            releases.record(replace(DRAFT, build_url=url), actor="ci")
        assert "hunter2" not in refused.value.message
