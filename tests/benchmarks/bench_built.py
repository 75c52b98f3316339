"""An app that is built from its commit, against the same commands typed by hand.

By hand is `git fetch` and `checkout`, `docker compose build` and `up -d`. Each time the sources are
new, so that the last steps of the Dockerfile run. Ours runs from the push's acceptance to the
record as deployed; the stability window, set to its minimum, is subtracted: it is no work.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.cost import Cost, cost_of
from tests.benchmarks.whole_deployments import compare, compose_by_hand, cost_of_push, quiet_shop
from tests.parts.compose_rig import POLITE
from tests.parts.docker_engine import DockerEngine
from tests.parts.git_repository import Repository, environment
from tests.parts.shop import Shop

pytestmark = [
    pytest.mark.bench,
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
    pytest.mark.timeout(300),
]

COMPOSE = json.dumps({"services": {"web": {"build": ".", "stop_signal": "KILL"}}})


@pytest.fixture
def shop(engine: DockerEngine, tmp_path: Path) -> Iterator[Shop]:
    with quiet_shop(engine, tmp_path) as ready:
        yield ready


def test_a_built_deployment(shop: Shop, tmp_path: Path) -> None:
    """Print wall and CPU time of both, in turns, and where our time goes."""
    stages = ("prepare", "build", "gate", "apply", "verify")
    by_hand = _ByHand(shop.engine, tmp_path / "by-hand")
    compare("one deployment, built", "aim 1.2×", stages, _deploy, shop=shop, by_hand=by_hand)


def _files(engine: DockerEngine, version: str) -> dict[str, str]:
    """Return an app whose first step is cached, and whose others are not."""
    steps = ["RUN mkdir /app", "COPY version /app/", "RUN cp /app/version /app/built"]
    lines = [f"FROM {engine.busybox_image()}", *steps, f"CMD {json.dumps(POLITE)}"]
    return {"Dockerfile": "\n".join(lines), "version": version}


def _deploy(shop: Shop, number: int) -> Cost:
    """Push a version; return what it took from the push's acceptance to the record."""
    shop.commit(COMPOSE, **_files(shop.engine, f"ours {number}"))
    cost, pushed = cost_of_push(shop, shop.push)
    commit = pushed.commit
    assert shop.running()["Config"]["Labels"]["org.opencontainers.image.revision"] == commit
    return cost


class _ByHand:
    """What a person would do in a clone of their own."""

    def __init__(self, engine: DockerEngine, folder: Path) -> None:
        self.name = engine.unique("hand")
        self._engine = engine
        self._origin = Repository(folder / "origin.git")
        self._clone = folder / "clone"
        self._git("init", "--quiet", self._clone, cwd=folder)

    def deploy(self, number: int) -> Cost:
        """Commit a version, then time the commands."""
        files = _files(self._engine, f"hand {number}")
        self._origin.commit({"compose.yaml": COMPOSE, **files})
        cost = cost_of(self._fetch_build_and_up)
        (container,) = self._engine.containers(self.name)
        said = self._engine.docker("exec", container["Id"], "cat", "/app/built")
        assert said == f"hand {number}"
        return cost

    def _fetch_build_and_up(self) -> None:
        self._git("fetch", "--quiet", self._origin.path, "main", cwd=self._clone)
        self._git("checkout", "--quiet", "--force", "FETCH_HEAD", cwd=self._clone)
        for command in (("build",), ("up", "-d")):
            compose_by_hand(self.name, self._clone, *command)

    def _git(self, *arguments: str | Path, cwd: Path) -> None:
        subprocess.run(
            ["git", *arguments], cwd=cwd, check=True, capture_output=True, env=environment()
        )
