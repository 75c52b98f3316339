"""C1: a fleet file that the daemon is given is what is declared, from its start on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon, Json
from tests.parts.git_repository import Repository, run_git
from tests.parts.waiting import eventually

pytestmark = pytest.mark.needs_git

SHOP = '[projects.shop]\nkind = "image"\nimage = "registry.example/shop:{}"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.toml"
    path.write_text(SHOP.format(1))
    return path


@pytest.fixture
def following(file: Path) -> Iterator[Daemon]:
    with Daemon({"fleet_file": str(file)}) as running:
        yield running


def image_of(daemon: Daemon) -> str:
    found = daemon.get("projects")["items"]
    return str(found[0]["image"]) if found else ""


def standing(daemon: Daemon) -> Json:
    found: Json = daemon.get("status")["fleet"]
    return found


def test_a_file_is_applied_at_the_start_and_when_it_changes(following: Daemon, file: Path) -> None:
    """A broken one changes nothing, and is shown; mended, it is applied. A person may go on."""
    eventually(lambda: image_of(following) == "registry.example/shop:1")
    assert standing(following)["source"] == str(file)
    file.write_text(SHOP.format(2) + 'colour = "red"\n')
    (problem,) = eventually(lambda: standing(following)["problems"])
    assert problem.startswith("projects.shop.colour: is not known here")
    assert image_of(following) == "registry.example/shop:1"
    status, health = following.probe("healthz")
    assert (status, health["warnings"]) == (
        *(200, ["the fleet file is not applied; status says why"]),
    )
    assert "projects.shop.colour" in following.cli("status").out
    assert following.log.count("projects.shop.colour") == 1
    new = file.with_suffix(".new")
    new.write_text(SHOP.format(3))
    new.replace(file)
    eventually(lambda: image_of(following) == "registry.example/shop:3")
    assert standing(following)["problems"] == []
    assert "fleet file: changed project shop (image)" in following.log


def test_a_file_in_a_repository_is_applied_with_each_push(tmp_path: Path) -> None:
    """In one that is kept here at once; what it declares is in its history."""
    config = {"fleet_repository": "ops", "fleet_path": "prod/fleet.toml"}
    with Daemon(config) as daemon:
        eventually(lambda: "there is no repository" in str(standing(daemon)["problems"]))
        daemon.post("repositories", {"name": "ops"})
        token = daemon.post("repositories/ops/tokens", {"name": "ann"})["token"]
        clone = Repository(tmp_path / "clone.git")
        for number in (1, 2):
            commit = clone.commit({"prod/fleet.toml": SHOP.format(number)})
            run_git(
                *("--git-dir", clone.path, "push", "--quiet"),
                *(f"http://x:{token}@127.0.0.1:{daemon.port}/git/ops.git", "main"),
            )
            image = f"registry.example/shop:{number}"
            eventually(lambda image=image: image_of(daemon) == image, within=8)  # type: ignore[misc]
            assert standing(daemon)["version"] == commit


@pytest.mark.slow
@pytest.mark.fault
def test_killed_while_it_applies_the_next_start_goes_on(tmp_path: Path) -> None:
    """Every project is there in the end, and at no time half of one."""
    file = tmp_path / "fleet.toml"
    target = 'targets.local.environment.LEVEL = "info"\n'
    count = 400
    file.write_text("".join(SHOP.replace("shop", f"p{n}").format(n) + target for n in range(count)))
    with Daemon({"fleet_file": str(file)}) as daemon:
        for least in (1, 100):
            eventually(lambda least=least: len(daemon.get("projects")["items"]) > least)  # type: ignore[misc]
            daemon.kill()
            daemon.start()
            assert all(item["declared"] for item in daemon.get("targets")["items"])
        eventually(lambda: standing(daemon)["applied_at"], within=60)
        assert len(daemon.get("targets")["items"]) == count
        assert "nothing to change" in daemon.cli("fleet", "plan", str(file)).out
        assert daemon.log.count("added project") <= count
