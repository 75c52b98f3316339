"""D3: test first, then the same digest to production, whoever is killed in between."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon, Json
from tests.parts.shop import Images
from tests.parts.shop_chain import ShopChain, shop_chain
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


@pytest.fixture
def chain(daemon: Daemon, images: Images, tmp_path: Path) -> Iterator[ShopChain]:
    with shop_chain(daemon, images, tmp_path) as made:
        yield made


def probed(deployment: Json) -> dict[str, Json]:
    """Return the last answer to each check, by its name."""
    (target,) = deployment["targets"]
    found = target["evidence"]["verify"]
    return {one["check"]: one for one in [*found["probes"], *found["versions"]]}


def test_d3_what_is_pushed_is_verified_on_test_and_then_goes_to_production(
    chain: ShopChain,
) -> None:
    """Once, and at the very digest, though the daemon is killed in between."""
    daemon, test, production = chain.daemon, chain.test, chain.production
    pushed = chain.release("first")
    verified = eventually(
        lambda: next((one for one in test.all() if one["status"] == "deployed"), None),
        within=90,
        what="test has verified it",
    )
    assert verified
    daemon.kill()
    daemon.start()
    promoted = production.deployed(1, commit=pushed.commit)
    assert promoted["promotes"] == verified["id"]
    for deployment in (daemon.deployment(verified["id"]), daemon.deployment(promoted["id"])):
        answers = probed(deployment)
        assert {name: one["status"] for name, one in answers.items()} == {
            "health": 200,
            "ready": 200,
            "version": 200,
        }
        assert answers["version"]["told"] == pushed.commit
    runs = [one.running() for one in (test, production)]
    assert runs[0]["Image"] == runs[1]["Image"]
    assert [one["status"] for one in production.all()] == ["deployed"]
    promotions = daemon.get(f"projects/{production.name}/promotions")["items"]
    assert [one["status"] for one in promotions] == ["promoted"]
