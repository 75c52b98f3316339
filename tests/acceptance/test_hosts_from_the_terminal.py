"""What docs/hosts.md tells, with nothing but commands, on real hosts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon, Said
from tests.parts.systemd_host import SystemdHost
from tests.parts.unit_shop import UnitShop, server, unit_shop

pytestmark = [
    pytest.mark.needs_systemd,
    pytest.mark.needs_docker,
    pytest.mark.needs_sshd,
    pytest.mark.needs_git,
]
HEALTH = {"kind": "http", "path": "/", "text": "version", "interval_seconds": 0.2}


def ok(said: Said) -> Said:
    assert said.status == 0, said.err
    return said


@pytest.fixture
def shop(daemon: Daemon, tmp_path: Path) -> Iterator[UnitShop]:
    """A unit project with a repository, and nowhere to run."""
    with unit_shop(daemon, tmp_path, {}) as made:
        daemon.patch(f"projects/{made.name}", {"auto_deploy": False})
        yield made


def give_host(shop: UnitShop, name: str, host: SystemdHost) -> None:
    """Add a host and a target there, as a reader of the page does."""
    cli, shop.hosts[name] = shop.daemon.cli, host
    given = ("--address", host.address, "--user", host.user, "--key-file", str(host.key_path))
    ok(cli("host", "add", name, *given, "--yes"))
    ok(cli("host", "check", name))
    unit = ("--build", "sh build.sh", "--binary", "app", "--port", str(shop.port))
    more = ("--health", json.dumps(HEALTH), "--env", "LOG_LEVEL=info")
    ok(cli("target", "add", shop.name, name, *unit, *more))


def test_e3_a_fresh_machine_to_a_running_program(
    shop: UnitShop, systemd_host: SystemdHost, second_systemd_host: SystemdHost
) -> None:
    """E3, E7: add, set up, deploy to one or to all, see what runs and what somebody changed."""
    cli, name = shop.daemon.cli, shop.name
    shop.push(server("one"))
    refused = cli("deploy", name)
    assert (refused.status, f"reconciler target add {name}" in refused.err) == (10, True)

    give_host(shop, "east", systemd_host)
    first = ok(cli("setup", name)).out
    assert f"made /opt/apps/{name}\n" in first
    assert first.endswith("east is ready\n")
    assert f"/opt/apps/{name} is there already" in ok(cli("setup", name, "--host", "east")).out
    ok(cli("deploy", name, "--wait"))
    shop.runs("one")
    commit = shop.daemon.project(name)["live"]["commit"]
    shown = ok(cli("status", name)).out
    assert f"active (running)  {commit[:8]}" in shown

    give_host(shop, "west", second_systemd_host)
    ok(cli("project", "set", name, "--one-by-one"))
    ok(cli("deploy", name, "--host", "west", "--wait"))
    shop.runs("one")
    rows = [line.split()[1:3] for line in ok(cli("deployments", name)).out.splitlines()]
    assert rows == [["HOST", "STATUS"], ["west", "deployed"], ["east", "deployed"]]
    systemd_host.run("systemctl", "stop", f"{name}.service")
    east, west = ok(cli("status", name, "--json")).json["items"]
    assert (east["differs"], west["differs"]) == (True, False)
    assert east["differences"][0] in ok(cli("status")).out
