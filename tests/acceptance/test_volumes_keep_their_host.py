"""A compose project stays on the host of its volumes, until a person moves it (A15)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon, Said
from tests.parts.shop import Images, Shop, hosted_shop
from tests.parts.sshd import Sshd
from tests.parts.waiting import eventually

pytestmark = [
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
    pytest.mark.needs_sshd,
]


@pytest.fixture
def server() -> Iterator[Sshd]:
    """Another machine, as far as anybody can tell: with an sshd and a Docker engine."""
    with Sshd() as running:
        yield running


@pytest.fixture
def away_shop(daemon: Daemon, images: Images, server: Sshd, tmp_path: Path) -> Iterator[Shop]:
    """A project that is deployed to the other machine."""
    given = ("--address", "127.0.0.1", "--port", str(server.port), "--user", server.user)
    ok(daemon.cli("host", "add", "away", *given, "--key-file", str(server.key_path), "--yes"))
    with hosted_shop(daemon, images, tmp_path) as shop:
        folder = str(tmp_path / "apps" / shop.name)
        ok(daemon.cli("target", "add", shop.name, "away", "--folder", folder))
        yield shop


def ok(said: Said) -> Said:
    assert said.status == 0, said.err
    return said


def test_a15_a_project_with_volumes_is_not_moved_by_accident(away_shop: Shop, server: Sshd) -> None:
    """Refused when it would leave its host, and while that is away; moved by a person's wish."""
    shop, cli, name = away_shop, away_shop.daemon.cli, away_shop.name
    assert "is ready" in ok(cli("setup", name)).out
    first = shop.deploy_first()
    assert [one["host"] for one in first["targets"]] == ["away"]
    shown = ok(cli("status", name)).out
    for part in ("away", "1 running", first["revision"]["commit"][:8]):
        assert part in shown
    (target,) = ok(cli("status", name, "--json")).json["items"]
    assert (target["differs"], target["deployment"]) == (False, first["id"])

    said = cli("target", "remove", name, "away", "--yes")
    assert said.status == 1
    assert said.err.startswith("error: refusing to migrate: ")
    assert f"reconciler project move {name} --to" in said.err

    server.stop()
    ok(cli("host", "key", "away", "--file", str(server.key_path)))  # connects anew
    commit = shop.push(shop.version("second")).commit

    def refused() -> bool:
        newest = shop.all()[-1]
        return bool(newest["error"]) and newest["error"]["code"] == "refusing-to-migrate"

    eventually(refused, within=60, what="the deployment is refused")
    assert "refusing to migrate" in ok(cli("why", name)).out
    assert shop.running_version() == "first"
    server.start()
    ok(cli("deploy", name, "--host", "away"))
    shop.deployed(2, commit=commit)

    assert cli("project", "move", name, "--to", "local").status == 2  # nobody to ask
    moved = ok(cli("project", "move", name, "--to", "local", "--yes"))
    assert "its volumes stay on away" in moved.err
    assert f"docker compose --project-name {name} down" in moved.err
    assert ok(cli("project", "show", name, "--json")).json["hosts"] == ["local"]
    assert shop.running_version() == "second"
