"""A whole compose deployment, against `docker compose pull` and `up -d --wait` typed by hand.

The same two services, engine and registry, each time with new images. Ours runs from asking for the
deployment to its record as deployed; the stability windows, set to their minimum, are subtracted:
they are no work, but the time for which a service must stay well.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.cost import Cost, cost_of
from tests.benchmarks.whole_deployments import compare, compose_by_hand, cost_of_push, quiet_shop
from tests.parts.docker_engine import DockerEngine
from tests.parts.shop import Shop

pytestmark = [
    pytest.mark.bench,
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
    pytest.mark.timeout(300),
]


@pytest.fixture
def shop(engine: DockerEngine, tmp_path: Path) -> Iterator[Shop]:
    with quiet_shop(engine, tmp_path) as ready:
        yield ready


def test_a_whole_deployment(shop: Shop, tmp_path: Path) -> None:
    """Print wall and CPU time of both, in turns, and where our time goes."""
    stages = ("prepare", "gate", "apply", "verify")
    by_hand = _ByHand(shop, tmp_path / "by-hand")
    compare(
        "one deployment, two services", "aim 1.25×", stages, _deploy, shop=shop, by_hand=by_hand
    )


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
    cost, _ = cost_of_push(shop, lambda: shop.push(compose))
    assert len(shop.all()) == number + 1
    for service in ("web", "worker"):
        image = shop.images.at(f"ours-{service}:{number}")
        assert shop.running(service)["Config"]["Image"].startswith(image)
    return cost


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
            compose_by_hand(self.name, self._folder, *command)
