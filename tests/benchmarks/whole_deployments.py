"""Whole compose deployments, ours and those typed by hand, in turns."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from tests.benchmarks.cost import Cost, cpu_seconds_of
from tests.benchmarks.table import Row, median, print_table
from tests.parts.daemon import SHORT_WINDOWS, Daemon
from tests.parts.docker_engine import DockerEngine
from tests.parts.registry import Registry
from tests.parts.shop import Images, Shop, hosted_shop
from tests.parts.waiting import eventually

ROUNDS = 7
WINDOW_SECONDS = SHORT_WINDOWS["stability_unchecked_seconds"]

Pushed = TypeVar("Pushed")


class ByHand(Protocol):
    """A person who deploys versions of the same."""

    name: str  #: of the compose project

    def deploy(self, number: int) -> Cost:
        """Make a version, then time the commands."""


@contextmanager
def quiet_shop(engine: DockerEngine, folder: Path) -> Iterator[Shop]:
    """Give a shop with a registry and a daemon of its own."""
    with (
        Registry() as registry,
        Daemon({"log_level": "warning"}) as daemon,
        hosted_shop(daemon, Images(engine, registry), folder) as ready,
    ):
        yield ready


def compare(
    title: str,
    aim: str,
    stages: tuple[str, ...],
    ours: Callable[[Shop, int], Cost],
    *,
    shop: Shop,
    by_hand: ByHand,
) -> None:
    """Print wall and CPU time of both, in turns, and where our time goes."""
    ours(shop, 0)
    by_hand.deploy(0)
    took, typed = [], []
    try:
        for number in range(1, ROUNDS + 1):
            took.append(ours(shop, number))
            typed.append(by_hand.deploy(number))
    finally:
        shop.engine.remove_project(by_hand.name)
    own, theirs = Cost.middle(took), Cost.middle(typed)
    print_table(
        title,
        [
            Row("wall, s (stability window apart)", own.seconds, theirs.seconds, aim),
            Row("wall with the window, s", own.seconds + WINDOW_SECONDS, theirs.seconds),
            Row("CPU of the client, s", own.cpu_seconds, theirs.cpu_seconds),
            *_stages(shop, stages),
        ],
        theirs="by hand",
    )


def cost_of_push(shop: Shop, push: Callable[[], Pushed]) -> tuple[Cost, Pushed]:
    """Return what it took from the push's acceptance to the record, and what ``push`` gave."""
    before = cpu_seconds_of(shop.daemon.pid)
    pushed = push()
    began = time.monotonic()
    path = f"projects/{shop.name}/deployments"
    eventually(
        lambda: shop.daemon.get(path, limit=1)["items"][0]["status"] == "deployed",
        within=60,
        what="it is deployed",
    )
    took = time.monotonic() - began - WINDOW_SECONDS
    return Cost(took, cpu_seconds_of(shop.daemon.pid) - before), pushed


def compose_by_hand(name: str, folder: Path, *command: str) -> None:
    """Run one command of compose as a person would."""
    subprocess.run(
        ["docker", "compose", "-p", name, *command],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=60,
    )


def _stages(shop: Shop, names: tuple[str, ...]) -> Iterator[Row]:
    for name in names:
        took = [
            one["seconds"]
            for deployment in shop.all()[1:]
            for one in deployment["stages"]
            if one["stage"] == name
        ]
        yield Row(f"  of ours, {name}, s", median(took))
