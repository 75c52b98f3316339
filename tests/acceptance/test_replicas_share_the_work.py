"""Two daemons on one PostgreSQL database: each commit is deployed, by one of them, once."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon
from tests.parts.git_server import GitServer
from tests.parts.shop import Images, Shop, external_shop
from tests.parts.waiting import eventually

pytestmark = [
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
    pytest.mark.needs_postgres,
]


@contextmanager
def two_daemons(
    database_url: str, folder: Path, **config: object
) -> Iterator[tuple[Daemon, Daemon]]:
    """Give two that share a database and the key to its secrets, as an operator sets them up."""
    key = folder / "master_key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o400)
    shared = {
        "database_url": database_url,
        "settings": {"auto_deploy_poll_interval_seconds": 10},
        **config,
    }
    env = {"CREDENTIALS_DIRECTORY": str(folder)}
    with Daemon(shared, env=env) as one, Daemon(shared, env=env) as other:
        yield one, other


@contextmanager
def followed(one: Daemon, images: Images) -> Iterator[Shop]:
    """Give a project that both daemons see, whose source is elsewhere."""
    with GitServer() as server:
        repository = server.repository("shop.git")
        with external_shop(one, images, repository, server.url("shop.git")) as shop:
            yield shop


def test_no_commit_is_deployed_twice_and_none_is_lost(
    images: Images, database_url: str, tmp_path: Path
) -> None:
    """F5, A18: both poll, both are asked; the database lets one deployment through."""
    with two_daemons(database_url, tmp_path) as (one, other), followed(one, images) as shop:
        commits = []
        for number in range(3):
            commits.append(shop.commit(shop.version(f"v{number}")))
            for daemon in (one, other):
                daemon.post(f"projects/{shop.name}/look")
            shop.deployed(number + 1, commit=commits[-1])
        deployed = Counter(item["revision"]["commit"] for item in shop.all())
        assert deployed == Counter(commits)
        assert other.project(shop.name)["live"]["commit"] == commits[-1]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_a_dead_replica_left_is_taken_up(
    images: Images, database_url: str, tmp_path: Path
) -> None:
    """Killed in the middle, its deployment is carried on when its lease is over."""
    with (
        two_daemons(database_url, tmp_path, stability_unchecked_seconds=20) as (one, other),
        followed(other, images) as shop,
    ):
        shop.commit(shop.version("v0"))
        shop.look()
        number = shop.daemon.in_stage(shop.name, "verify")["id"]
        holder, survivor = (one, other) if "gate: ok" in one.log else (other, one)
        holder.kill()
        eventually(
            lambda: survivor.deployment(number)["status"] == "deployed",
            within=200,
            what="the survivor finished it",
        )
        assert len(survivor.deployments(shop.name)) == 1
        holder.start()
