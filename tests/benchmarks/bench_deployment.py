"""A whole compose deployment, against `docker compose pull` and `up -d --wait` typed by hand.

The same two services, engine and registry, each time with new images. Ours runs from asking for the
deployment to its record as deployed; the stability windows, set to their minimum, are subtracted:
they are no work, but the time for which a service must stay well.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.cost import Cost, cost_of, cpu_seconds_of
from tests.benchmarks.table import Row, median, print_table
from tests.parts.daemon import SHORT_WINDOWS, Daemon
from tests.parts.docker_engine import DockerEngine
from tests.parts.registry import Registry
from tests.parts.shop import Images, Shop, hosted_shop
from tests.parts.waiting import eventually

pytestmark = [
    pytest.mark.bench,
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
    pytest.mark.timeout(300),
]

ROUNDS = 7
WINDOW_SECONDS = SHORT_WINDOWS["stability_unchecked_seconds"]


@pytest.fixture
def shop(engine: DockerEngine, tmp_path: Path) -> Iterator[Shop]:
    with Registry() as registry, Daemon({"log_level": "warning"}) as daemon:
        images = Images(engine, registry)
        with hosted_shop(daemon, images, tmp_path) as ready:
            yield ready


def test_a_whole_deployment(shop: Shop, tmp_path: Path) -> None:
    """Print wall and CPU time of both, in turns."""
    by_hand = _ByHand(shop, tmp_path / "by-hand")
    _deploy(shop, 0)
    by_hand.deploy(0)
    ours, theirs = [], []
    try:
        for number in range(1, ROUNDS + 1):
            ours.append(_deploy(shop, number))
            theirs.append(by_hand.deploy(number))
    finally:
        shop.engine.remove_project(by_hand.name)
    own, typed = Cost.middle(ours), Cost.middle(theirs)
    print_table(
        "one deployment, two services",
        [
            Row("wall, s (stability window apart)", own.seconds, typed.seconds, "aim 1.25×"),
            Row("wall with the window, s", own.seconds + WINDOW_SECONDS, typed.seconds),
            Row("CPU of the client, s", own.cpu_seconds, typed.cpu_seconds),
            *_stages(shop),
        ],
        theirs="by hand",
    )


def _stages(shop: Shop) -> Iterator[Row]:
    """Yield where our time goes."""
    for stage in ("prepare", "gate", "apply", "verify"):
        took = [
            one["seconds"]
            for deployment in shop.all()[1:]
            for one in deployment["stages"]
            if one["stage"] == stage
        ]
        yield Row(f"  of ours, {stage}, s", median(took))


def _new_version(shop: Shop, number: int, who: str) -> str:
    """Push two new images; return a compose file of them."""
    for service in ("web", "worker"):
        shop.images.push(f"{who}-{service}:{number}", version=f"{who} {number}")
    return shop.compose(
        shop.images.at(f"{who}-web:{number}"), worker=shop.images.at(f"{who}-worker:{number}")
    )


def _deploy(shop: Shop, number: int) -> Cost:
    """Push a version; return what it took from the push's acceptance to the record."""
    compose = _new_version(shop, number, "ours")
    before = cpu_seconds_of(shop.daemon.pid)
    shop.push(compose)
    began = time.monotonic()
    path = f"projects/{shop.name}/deployments"
    eventually(
        lambda: shop.daemon.get(path, limit=1)["items"][0]["status"] == "deployed",
        within=60,
        what="it is deployed",
    )
    took = time.monotonic() - began - WINDOW_SECONDS
    assert len(shop.all()) == number + 1
    for service in ("web", "worker"):
        image = shop.images.at(f"ours-{service}:{number}")
        assert shop.running(service)["Config"]["Image"].startswith(image)
    return Cost(took, cpu_seconds_of(shop.daemon.pid) - before)


class _ByHand:
    """What a person would do in a folder of their own."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.name = shop.engine.unique("hand")
        self._shop = shop
        self._folder = folder
        folder.mkdir()

    def deploy(self, number: int) -> Cost:
        """Write the file, then time the two commands."""
        compose = _new_version(self._shop, number, "hand")
        (self._folder / "compose.yaml").write_text(compose)
        cost = cost_of(self._pull_and_up)
        shown = self._shop.engine.containers(self.name)
        images = {self._shop.images.at(f"hand-{one}:{number}") for one in ("web", "worker")}
        assert {one["Config"]["Image"] for one in shown} == images
        return cost

    def _pull_and_up(self) -> None:
        for command in (("pull",), ("up", "-d", "--wait")):
            subprocess.run(
                ["docker", "compose", "-p", self.name, *command],
                cwd=self._folder,
                check=True,
                capture_output=True,
                timeout=60,
            )
