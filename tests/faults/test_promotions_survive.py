"""A daemon that is killed at any time on a revision's way to production: nothing lost or twice."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.daemon import FINAL, Daemon
from tests.parts.docker_engine import DockerEngine
from tests.parts.git_server import GitServer
from tests.parts.registry import Registry
from tests.parts.shop import Images
from tests.parts.shop_chain import ShopChain, external_chain, shop_chain
from tests.parts.waiting import eventually

pytestmark = [
    pytest.mark.fault,
    pytest.mark.slow,  # tests/acceptance/test_promotion.py is the short version
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
    pytest.mark.timeout(900),
]

_RELEASES = 4
#: Of one release: a deployment that more workers died of is a person's matter.
_KILLS = 2
#: Within which all of it would be over.
_LONGEST_SECONDS = 9.0


@pytest.fixture
def chain(engine: DockerEngine, tmp_path: Path) -> Iterator[ShopChain]:
    with (
        Daemon() as daemon,
        Registry() as registry,
        shop_chain(daemon, Images(engine, registry), tmp_path) as made,
    ):
        yield made


@pytest.mark.parametrize("seed", range(2))
def test_d3_killed_at_random(chain: ShopChain, seed: int) -> None:
    """Figures: 4 releases and 8 kills a run; each release deployed once in each environment."""
    chance, daemon = random.Random(seed), chain.daemon  # noqa: S311
    commits = []
    for number in range(_RELEASES):
        commits.append(chain.release(f"release {number}").commit)
        for _ in range(_KILLS):
            time.sleep(chance.uniform(0, _LONGEST_SECONDS))  # the kill's moment is what is tried
            daemon.kill()
            daemon.start()
        eventually(
            lambda: _is_in_production(chain, commits[-1]),
            within=180,
            what=f"release {number} is in production",
        )
    assert {one["status"] for one in chain.test.all()} == {"deployed"}
    each_was_promoted_once(chain, commits)


@pytest.mark.needs_postgres
def test_d3_either_of_two_killed_at_random(
    engine: DockerEngine, database_url: str, tmp_path: Path
) -> None:
    """F5: whichever of two replicas that share a database is left goes on with it."""
    chance, key = random.Random(0), tmp_path / "master_key"  # noqa: S311
    key.write_bytes(os.urandom(32))
    key.chmod(0o400)
    shared = {
        "database_url": database_url,
        "settings": {"auto_deploy_poll_interval_seconds": 10},
    }
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    with (
        Daemon(shared, env=env) as one,
        Daemon(shared, env=env) as other,
        Registry() as registry,
        GitServer() as server,
        external_chain(one, Images(engine, registry), server) as chain,
    ):
        commits = []
        for number in range(_RELEASES):
            commits.append(chain.commit(f"release {number}"))
            for _ in range(_KILLS):
                time.sleep(chance.uniform(0, _LONGEST_SECONDS))
                killed = chance.choice((one, other))
                killed.kill()
                killed.start()
            eventually(
                lambda: _is_in_production(chain, commits[-1]),
                within=240,  # what the killed one had begun is taken up when its lease is over
                what=f"release {number} is in production",
            )
        each_was_promoted_once(chain, commits)


def each_was_promoted_once(chain: ShopChain, commits: list[str]) -> None:
    """See that production got ``commits``, each once and just as it was verified."""
    daemon, promoted = chain.daemon, chain.production.all()
    verified = {one["id"]: one for one in chain.test.all()}
    assert [one["revision"]["commit"] for one in promoted] == commits
    assert {one["status"] for one in promoted} == {"deployed"}
    for one in promoted:
        origin = verified[one["promotes"]]
        assert one["revision"]["commit"] == origin["revision"]["commit"]
        assert set(one["revision"]["images"].values()) == set(origin["revision"]["images"].values())
    promotions = daemon.get(f"projects/{chain.production.name}/promotions")["items"]
    assert [one["became"] for one in promotions[::-1]] == [one["id"] for one in promoted]
    assert {one["status"] for one in promotions} == {"promoted"}
    runs = [one.running()["Image"] for one in (chain.test, chain.production)]
    assert runs[0] == runs[1]
    receipts = daemon.get("receipts", limit=100)["items"]
    told = sorted(one["deployment"] for one in receipts)
    assert told == sorted([*verified, *(one["id"] for one in promoted)])
    assert daemon.cli("receipt", "verify", "--all").status == 0


def _is_in_production(chain: ShopChain, commit: str) -> bool:
    ended = [one for one in chain.production.all() if one["status"] in FINAL]
    return bool(ended) and ended[-1]["revision"]["commit"] == commit
