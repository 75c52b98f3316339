"""A whole tick of the image watcher: 1,000 compose projects, against one `skopeo` per image.

The projects follow 300 distinct images, two each, in a real registry; the tick reads the store,
looks the images up, compares them for each project and records what it saw. Theirs is `skopeo
inspect` for each distinct image, as many side by side as ours: which knows nothing of projects yet.
"""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import Trigger
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.state import ImageLook, WatchedImage
from reconciler.domain.wish import Wish
from reconciler.pipeline.reconcile import Reconciler
from reconciler.pipeline.sources import Sources
from reconciler.store.sql_store import SqlStore
from reconciler.triggers.compose_images import ComposeImages
from reconciler.triggers.image_watch import ImageWatch
from reconciler.triggers.lanes import Lanes
from tests.benchmarks.cost import Cost, cost_of
from tests.benchmarks.fleet import NoFiles, declare, open_state
from tests.benchmarks.table import Row, print_table
from tests.parts.registry import Registry

pytestmark = [pytest.mark.bench, pytest.mark.needs_registry, pytest.mark.timeout(300)]

PROJECTS = 1_000
IMAGES = 300
AT_ONCE = 16
ROUNDS = 3


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry() as running:
        yield running


@pytest.fixture(scope="module")
def images(registry: Registry) -> list[str]:
    """All images, as compose files name them."""

    def push(number: int) -> str:
        registry.push_manifest(f"team/app{number}", "main", str(number))
        return f"{registry.host}/team/app{number}:main"

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(push, range(IMAGES)))


@pytest.fixture
def store(tmp_path: Path, images: list[str]) -> Iterator[SqlStore]:
    """The projects, whose compose files were read."""
    with open_state(tmp_path):
        pass
    names = [f"p{number}" for number in range(PROJECTS)]
    declare(tmp_path, dict.fromkeys(names, "https://git.example/team/app.git"), CommitSha("a" * 40))
    with open_state(tmp_path) as opened:
        for number, name in enumerate(map(ProjectName, names)):
            followed = (images[number % IMAGES], images[(7 * number + 1) % IMAGES])
            opened.put_images(
                name,
                opened.images_read_at(name),
                [WatchedImage(one, ("web",)) for one in dict.fromkeys(followed)],
            )
        yield opened


def test_a_tick_of_a_thousand_projects(
    registry: Registry, images: list[str], store: SqlStore
) -> None:
    """Print requests, wall and CPU time of a tick in which nothing moved."""
    watch = _watch(store)
    seeding = cost_of(watch.tick)
    asked = len(registry.requests())
    later = Cost.middle([cost_of(watch.tick) for _ in range(ROUNDS)])
    asked = (len(registry.requests()) - asked) // ROUNDS
    assert asked == IMAGES
    assert all(image.digest for shown in store.list_images().values() for image in shown)

    skopeo, before = [], len(registry.requests())
    for _ in range(ROUNDS):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            skopeo.append(cost_of(lambda pool=pool: list(pool.map(_inspect, images))))  # type: ignore[misc]
    theirs = Cost.middle(skopeo)
    print_table(
        f"a tick: {PROJECTS:,} projects, {IMAGES} images",
        [
            Row("requests", asked, (len(registry.requests()) - before) / ROUNDS),
            Row("wall, s", later.seconds, theirs.seconds),
            Row("CPU, s", later.cpu_seconds, theirs.cpu_seconds),
            Row("the first tick, which records: wall, s", seeding.seconds),
        ],
        theirs="skopeo each",
    )


def _watch(store: SqlStore) -> ImageWatch:
    clock = SystemClock()
    nothing = NoFiles()
    sources = Sources(store, nothing, nothing)  # type: ignore[arg-type]
    reconciler = Reconciler(store, clock, lambda switch: switch, sources.compare)

    def compare(look: ImageLook) -> object:
        return reconciler.reconcile_images(look, Wish(Trigger.IMAGE_WATCH, "image-watch"))

    def fail(what: str, bug: Exception) -> None:
        raise AssertionError(what) from bug

    return ImageWatch(
        store,
        OrasRegistry(clock, lambda _host, _project: None),
        ComposeImages(store, nothing, nothing, RuamelComposeReader()),  # type: ignore[arg-type]
        clock,
        Lanes("watch", at_once=AT_ONCE, per_host=AT_ONCE, suspects_at_once=AT_ONCE),
        compare,
        fail,
    )


def _inspect(image: str) -> None:
    subprocess.run(
        ["skopeo", "inspect", "--no-tags", "--tls-verify=false", f"docker://{image}"],
        check=True,
        capture_output=True,
        timeout=60,
    )
