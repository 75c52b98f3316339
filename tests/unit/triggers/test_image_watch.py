"""Looks at registries: one per distinct image, and what is compared with what."""

from collections.abc import Collection, Mapping

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.domain.errors import InvalidComposeFile, ManifestRefused, SourceUnreachable
from reconciler.domain.project import ProjectKind
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.secret import Secret
from reconciler.domain.state import ImageLook
from reconciler.store.sql_store import SqlStore
from reconciler.testing import ManualClock, digest_of
from reconciler.triggers.compose_images import ComposeImages
from reconciler.triggers.image_watch import ImageWatch
from reconciler.triggers.lanes import Lanes
from tests.unit.triggers.conftest import A, B, Sources, add_project, external, hosted, promoted

SHARED = "registry.example/team/shared:1"
FILE = b"services:\n  web:\n    image: registry.example/team/shared:1\n"


class Watcher:
    """A watcher whose results are collected."""

    def __init__(self, store: SqlStore, clock: ManualClock, sources: Sources) -> None:
        self.store = store
        self.clock = clock
        self.seen: dict[str, Mapping[str, Digest]] = {}
        self.followed: dict[str, Collection[str]] = {}
        self.troubles: list[tuple[str, Exception]] = []
        self.silent: set[str] = set()
        self.watch = ImageWatch(
            store,
            sources,  # type: ignore[arg-type]
            ComposeImages(store, sources, sources, RuamelComposeReader()),  # type: ignore[arg-type]
            clock,
            Lanes("test", at_once=4, per_host=4, suspects_at_once=1),
            self._see,
            lambda what, error: self.troubles.append((what, error)),
            lambda: self.silent,
        )

    def _see(self, look: ImageLook) -> None:
        self.followed[look.project] = look.followed
        self.seen[look.project] = look.seen

    def track(self, name: str, commit: object) -> None:
        with self.store.transaction() as transaction:
            transaction.track(ProjectName(name), Revision(commit))  # type: ignore[arg-type]


@pytest.fixture
def watcher(store: SqlStore, clock: ManualClock, sources: Sources) -> Watcher:
    return Watcher(store, clock, sources)


def test_an_image_of_many_projects_is_asked_for_once(watcher: Watcher, sources: Sources) -> None:
    """Ten projects, one image: one look-up a tick, and ten comparisons."""
    sources.files[A] = {"compose.yaml": FILE}
    sources.digests[SHARED] = digest_of("one")
    for number in range(10):
        add_project(watcher.store, watcher.clock, f"web-{number}", hosted(f"web-{number}"))
        watcher.track(f"web-{number}", A)
    assert watcher.watch.tick() == 1
    assert sources.asked.count(SHARED) == 1
    assert watcher.seen == {f"web-{n}": {SHARED: digest_of("one")} for n in range(10)}


def test_the_images_of_what_is_promoted_are_nobody_s_matter(
    watcher: Watcher, sources: Sources
) -> None:
    """Neither in a tick nor when somebody asks for a look at it alone: no file, no registry."""
    sources.files[A] = {"compose.yaml": FILE}
    add_project(watcher.store, watcher.clock, "web", hosted("web"))
    add_project(watcher.store, watcher.clock, "live", hosted("web"), environment=promoted("web"))
    watcher.track("live", A)
    assert watcher.watch.tick() + watcher.watch.tick({ProjectName("live")}) == 0
    assert (set(watcher.seen), sources.asked) == ({"web"}, [])


def test_a_compose_file_is_read_once_per_commit(watcher: Watcher, sources: Sources) -> None:
    """Not once per tick; a new commit is read again."""
    sources.files |= {A: {"compose.yaml": FILE}, B: {"compose.yaml": FILE}}
    sources.digests[SHARED] = digest_of("one")
    add_project(watcher.store, watcher.clock, "web", external("git.example"))
    watcher.track("web", A)
    for _ in range(3):
        watcher.watch.tick()
    reads = [asked for asked in sources.asked if "git.example" in asked]
    assert len(reads) == 1
    watcher.track("web", B)
    watcher.watch.tick()
    assert len([asked for asked in sources.asked if "git.example" in asked]) == 2


def test_variables_come_from_the_project_and_its_dotenv_file(
    watcher: Watcher, sources: Sources
) -> None:
    """The project's own win; what nobody sets is shown as unwatched."""
    sources.files[A] = {
        "compose.yaml": (
            b"services:\n"
            b"  a: {image: 'registry.example/${NAME}:${TAG:-1}'}\n"
            b"  b: {image: 'registry.example/${OTHER}:1'}\n"
            b"  c: {image: 'registry.example/${MISSING}:1'}\n"
        ),
        ".env": b"NAME=from-file\nOTHER=from-file\n",
    }
    for image in ("registry.example/from-project:1", "registry.example/from-file:1"):
        sources.digests[image] = digest_of(image)
    add_project(watcher.store, watcher.clock, "web", hosted("web"))
    watcher.track("web", A)
    watcher.store.put_secret(
        ProjectName("web"),
        "variable:NAME",
        Secret.of("from-project"),
        bound_to="",
        username="",
        now=watcher.clock.now(),
    )
    watcher.watch.tick()
    assert list(watcher.followed["web"]) == [
        "registry.example/from-project:1",
        "registry.example/from-file:1",
    ]
    unwatched = [one for one in watcher.store.get_images(ProjectName("web")) if one.digest is None]
    assert [(one.image, one.unwatched_because) for one in unwatched] == [
        ("registry.example/${MISSING}:1", "variable MISSING is not set")
    ]


def test_a_label_keeps_a_service_s_image_from_being_looked_up(
    watcher: Watcher, sources: Sources
) -> None:
    """In both forms that compose has for labels; those below ``deploy`` are of no container."""
    sources.files[A] = {
        "compose.yaml": (
            b"services:\n"
            b"  a: {image: 'registry.example/a:1', labels: {wud.watch: false}}\n"
            b"  b: {image: 'registry.example/b:1', labels: ['diun.enable=0']}\n"
            b"  c: {image: 'registry.example/c:1', deploy: {labels: {wud.watch: false}},\n"
            b"      labels: {wud.tag.include: '^1'}}\n"
        )
    }
    sources.digests["registry.example/c:1"] = digest_of("c")
    add_project(watcher.store, watcher.clock, "web", hosted("web"))
    watcher.track("web", A)
    watcher.watch.tick()
    assert watcher.seen == {"web": {"registry.example/c:1": digest_of("c")}}
    assert [one for one in sources.asked if one.startswith("registry.")] == ["registry.example/c:1"]
    a, b, c = watcher.store.get_images(ProjectName("web"))
    assert a.unwatched_because == "its label wud.watch is false"
    assert b.unwatched_because == "its label diun.enable is false"
    assert (c.unwatched_because, c.note[:15]) == ("", "wud.tag.include")


def test_a_failed_look_up_keeps_the_digest_and_says_so(watcher: Watcher, sources: Sources) -> None:
    """It is not among what was seen, so it can't count as a change."""
    sources.files[A] = {"compose.yaml": FILE}
    sources.digests[SHARED] = digest_of("one")
    add_project(watcher.store, watcher.clock, "web", hosted("web"))
    watcher.track("web", A)
    watcher.watch.tick()
    sources.digests[SHARED] = SourceUnreachable("registry.example: 500")
    watcher.watch.tick()
    assert watcher.seen["web"] == {}
    image = watcher.store.get_images(ProjectName("web"))[0]
    assert image.digest == digest_of("one")
    assert image.error is not None


def test_a_silent_registry_is_not_asked(watcher: Watcher, sources: Sources) -> None:
    """Its images are left as they are until it answers the probe."""
    sources.files[A] = {"compose.yaml": FILE}
    add_project(watcher.store, watcher.clock, "web", hosted("web"))
    watcher.track("web", A)
    watcher.silent.add("registry.example")
    assert watcher.watch.tick() == 0
    assert SHARED not in sources.asked


def test_a_broken_compose_file_is_its_own_projects_trouble(
    watcher: Watcher, sources: Sources
) -> None:
    """The others are watched all the same."""
    sources.files |= {A: {"compose.yaml": b"services: {}\n"}, B: {"compose.yaml": FILE}}
    sources.digests[SHARED] = digest_of("one")
    for name, commit in (("bad", A), ("good", B)):
        add_project(watcher.store, watcher.clock, name, hosted(name))
        watcher.track(name, commit)
    watcher.watch.tick()
    assert watcher.seen["good"] == {SHARED: digest_of("one")}
    assert [type(error) for _, error in watcher.troubles] == [InvalidComposeFile]


def test_an_image_project_has_no_file_to_read(watcher: Watcher, sources: Sources) -> None:
    """Its one image is watched by its declaration."""
    from dataclasses import replace

    sources.digests[SHARED] = digest_of("one")
    project = add_project(watcher.store, watcher.clock, "web", None)
    image = replace(project, kind=ProjectKind.IMAGE, image=ImageReference.parse(SHARED))
    watcher.store.remove_project(project.name)
    watcher.store.create_project(image)
    watcher.watch.tick()
    assert watcher.seen["web"] == {SHARED: digest_of("one")}


MANIFEST = b'compose_path = "deploy/compose.yaml"'


@pytest.mark.parametrize("allowed", [True, False])
def test_a_manifest_may_name_the_file_where_it_is_allowed(
    watcher: Watcher, sources: Sources, clock: ManualClock, *, allowed: bool
) -> None:
    """What would be deployed is what is watched."""
    add_project(watcher.store, clock, "a", external("one.example"), allow_manifest=allowed)
    other = FILE.replace(b"shared", b"other")
    sources.files[A] = {
        ".reconciler.toml": MANIFEST, "compose.yaml": FILE, "deploy/compose.yaml": other
    }  # fmt: skip
    other_image = SHARED.replace("shared", "other")
    sources.digests = {SHARED: digest_of("1"), other_image: digest_of("2")}
    watcher.track("a", A)
    watcher.watch.tick()
    assert list(watcher.seen["a"]) == [other_image if allowed else SHARED]


def test_a_manifest_that_is_refused_keeps_what_was_read(
    watcher: Watcher, sources: Sources, clock: ManualClock
) -> None:
    """It is this project's trouble, and is told."""
    add_project(watcher.store, clock, "a", external("one.example"), allow_manifest=True)
    sources.files = {A: {"compose.yaml": FILE}, B: {".reconciler.toml": b"hosts = []"}}
    sources.digests = {SHARED: digest_of("1")}
    for commit in (A, B):
        watcher.track("a", commit)
        watcher.watch.tick()
    assert [image.image for image in watcher.store.get_images(ProjectName("a"))] == [SHARED]
    ((_, error),) = watcher.troubles
    assert isinstance(error, ManifestRefused)
