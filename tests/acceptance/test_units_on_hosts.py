"""A program runs as a unit on several real hosts, from a push to what is seen to run there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.daemon import Daemon
from tests.parts.shop import Images, hosted_shop
from tests.parts.sshd import Sshd
from tests.parts.systemd_host import SystemdHost
from tests.parts.unit_shop import (
    BUILD,
    LARGE_BUILD,
    PATIENT_BUILD,
    UnitShop,
    crashing,
    join,
    server,
    unit_shop,
)
from tests.parts.waiting import eventually

pytestmark = [
    pytest.mark.needs_systemd,
    pytest.mark.needs_docker,
    pytest.mark.needs_sshd,
    pytest.mark.needs_git,
    pytest.mark.timeout(180),
]
#: Asked of the unit itself, where its target listens.
VERSION = {"path": "/", "start_period_seconds": 1, "retries": 2, "successes": 2}


@pytest.fixture
def own(
    daemon: Daemon, systemd_host: SystemdHost, second_systemd_host: SystemdHost
) -> dict[str, SystemdHost]:
    """Two hosts, known to a daemon of the test's own."""
    join(daemon, systemd_host, "east")
    join(daemon, second_systemd_host, "west")
    return {"east": systemd_host, "west": second_systemd_host}


@pytest.fixture
def shop(daemon: Daemon, own: dict[str, SystemdHost], tmp_path: Path) -> Iterator[UnitShop]:
    """Built here for one host, on the other one itself."""
    with unit_shop(daemon, tmp_path, own, [{}, {"strategy": "systemd-remote"}]) as made:
        yield made


def versions(target: dict[str, Any]) -> set[str]:
    """Return what the unit told there when it was asked for its version."""
    return {one["told"] for one in target["evidence"]["verify"]["versions"]}


def reached(deployment: dict[str, object]) -> dict[str, str]:
    return {one["host"]: one["status"] for one in deployment["targets"]}  # type: ignore[attr-defined]


def test_e1_a_push_runs_on_every_host_and_a_bad_one_on_none(shop: UnitShop) -> None:
    """E1, F2: both strategies at once; what crashes is taken back from both, and quarantined."""
    shop.daemon.patch(f"projects/{shop.name}", {"version": VERSION})
    first = shop.push(server("one"))
    done = shop.deployed(1, commit=first)
    shop.runs("one")
    asked = shop.daemon.deployment(done["id"])["targets"]
    assert [versions(one) for one in asked] == [{first}, {first}]
    assert reached(done) == {"east": "verified", "west": "verified"}
    shown = shop.daemon.get("targets/status")["items"]
    assert [one["now"]["commit"] for one in shown] == [first, first]
    assert {one["now"]["state"] for one in shown} == {"active (running)"}
    assert [one["differs"] for one in shown] == [False, False]

    shop.push(crashing("two"))
    failed = shop.settled(2)
    assert failed["status"] == "rolled-back", shop.daemon.log_of(failed["id"])
    assert reached(failed) == {"east": "rolled-back", "west": "rolled-back"}
    shop.runs("one")

    third = shop.push(server("three"))
    shop.deployed(3, commit=third)
    shop.runs("three")
    back = shop.daemon.post(f"projects/{shop.name}/rollback")
    assert shop.settled(4)["id"] == back["id"]
    shop.runs("one")


def test_a_build_here_reaches_nothing_of_the_daemon(shop: UnitShop) -> None:
    """Whoever may push is not yet an operator, nor a user of Docker."""
    data = shop.daemon.data
    ours = [data / name for name in ("master_key", "state.db", "run/reconciler.sock", "run/hosts")]
    assert all(path.exists() for path in ours), ours
    looks = "".join(f"[ ! -e {path} ] || exit 8\n" for path in ours)
    docker = "[ ! -S /run/docker.sock ] || exit 9\n"
    # On the host, which is somebody else's, it finds none of it either.
    shop.push(server("one"), build_sh=f"#!/bin/sh\n{looks}{docker}cp server.pl app\n")
    shop.deployed()


@pytest.mark.slow
def test_one_build_serves_all_hosts_that_need_the_same(
    daemon: Daemon, own: dict[str, SystemdHost], tmp_path: Path
) -> None:
    """Built here once, it is the same release on each."""
    with unit_shop(daemon, tmp_path, own) as shop:
        shop.push(server("one"))
        done = shop.deployed(1)
        assert len({one["release"] for one in done["services"]}) == 1
        notes = daemon.data / "builds" / shop.name / "home/builds"
        assert notes.read_text() == "built\n"
        shop.runs("one")


@pytest.mark.slow
def test_what_answers_badly_comes_back(shop: UnitShop) -> None:
    """The process runs and its health check says 503: that is no success."""
    shop.push(server("one"))
    shop.deployed(1)
    shop.push(server("two", "503 Service Unavailable"))
    failed = shop.settled(2)
    assert failed["status"] == "rolled-back"
    assert "answered 503" in failed["error"]["message"]
    shop.runs("one")

    shop.daemon.patch(f"projects/{shop.name}", {"version": VERSION})
    shop.push(server("three").replace("$ENV{RECONCILER_BUILD_COMMIT}", "0" * 40))
    failed = shop.settled(3)
    assert failed["status"] == "rolled-back"
    assert f"commit {'0' * 40}" in failed["error"]["message"]
    assert "expected is commit" in failed["error"]["message"]
    shop.runs("one")


@pytest.mark.slow
def test_the_old_version_s_answer_is_no_success(
    daemon: Daemon, own: dict[str, SystemdHost], tmp_path: Path
) -> None:
    """A 200 that names another commit than the deployed one is the old one's, or a proxy's."""
    east = {"east": own["east"]}
    health = {
        "kind": "http",
        "path": "/",
        "text": "version {commit}",
        "start_period_seconds": 1,
        "interval_seconds": 0.2,
        "retries": 2,
        "successes": 2,
    }
    with unit_shop(daemon, tmp_path, east, [{"health": health}]) as shop:
        shop.push(server("of long ago"))
        failed = shop.settled(1)
        assert failed["status"] == "failed"
        assert "is not in the answer" in failed["error"]["message"]


@pytest.mark.slow
def test_a_host_that_is_away_delays_only_itself(shop: UnitShop) -> None:
    """The others get the new version at once, it is said who waits for what, and it catches up."""
    shop.push(server("one"))
    shop.deployed(1)
    shop.hosts["west"].power_off()
    try:
        commit = shop.push(server("two"))
        eventually(lambda: shop.answers("east") == "version two", within=60, what="east has it")
        waiting = eventually(
            lambda: [one for one in shop.daemon.deployments(shop.name) if one["attempt"] > 1],
            within=60,
            what="it waits for the other one",
        )[0]
        assert reached(waiting) == {"east": "verified", "west": "unreachable"}
        live = shop.daemon.project(shop.name)["live"]
        assert live["commit"] != commit, "not every host has it"
    finally:
        shop.hosts["west"].power_on()
    shop.daemon.post(f"projects/{shop.name}/deployments")
    done = shop.deployed(2, commit=commit)
    assert done["id"] == waiting["id"]
    shop.runs("two")


@pytest.mark.slow
def test_one_after_another_and_one_alone(shop: UnitShop) -> None:
    """A strict order stops at the first failure; a host can be named."""
    shop.daemon.patch(f"projects/{shop.name}", {"one_by_one": True})
    shop.push(server("one"))
    shop.deployed(1)
    shop.push(crashing("two"))
    failed = shop.settled(2)
    assert failed["status"] == "rolled-back"
    assert reached(failed) == {"east": "rolled-back", "west": "waiting"}

    shop.daemon.patch(f"projects/{shop.name}", {"auto_deploy": False})
    commit = shop.push(server("three"))
    asked = {"hosts": ["west"], "commit": commit}
    shop.daemon.post(f"projects/{shop.name}/deployments", asked)
    shop.deployed(3, commit=commit)
    shop.runs("one", "east")
    shop.runs("three", "west")


@pytest.mark.slow
def test_another_machine_in_its_place_is_sent_nothing(
    shop: UnitShop, systemd_host: SystemdHost
) -> None:
    """A key that nobody confirmed stops the deployment, both fingerprints are named; no mending."""
    shop.push(server("one"))
    shop.deployed(1)
    with systemd_host.other_host_key() as other:
        shop.push(server("two"))
        refused = shop.settled(2)
        assert refused["status"] == "failed"
        assert refused["error"]["code"] == "host-key-changed"
        (pinned,) = shop.daemon.get("hosts/east")["host_keys"]
        assert pinned in refused["error"]["message"]
        assert other in refused["error"]["message"]
    shop.runs("one")


@pytest.mark.slow
def test_f9_a_host_that_hears_nothing_more_goes_back_by_itself(
    daemon: Daemon, own: dict[str, SystemdHost], tmp_path: Path
) -> None:
    """F9: the daemon dies between the switch and the confirmation; nobody has to come."""
    east = {"east": own["east"]}
    with unit_shop(daemon, tmp_path, east, [{"confirm_within_seconds": 10}]) as shop:
        shop.push(server("one"))
        shop.deployed(1)
        daemon.write_config(stability_healthy_seconds=60)
        daemon.restart()
        shop.push(server("two"))
        daemon.in_stage(shop.name, "verify")
        eventually(lambda: shop.answers("east") == "version two", within=20, what="switched")
        daemon.kill()
        eventually(
            lambda: "version one" in shop.answers("east"), within=30, what="it went back by itself"
        )
        daemon.write_config(stability_healthy_seconds=1)
        daemon.start()
        ended = shop.settled(2)
        assert ended["status"] == "rolled-back", daemon.log_of(ended["id"])
        shop.runs("one")


@pytest.mark.slow
def test_e1_a_build_on_a_host_outlives_the_daemon(
    daemon: Daemon, own: dict[str, SystemdHost], tmp_path: Path
) -> None:
    """Kill -9 in the middle of a remote build: it is found again, and never started twice."""
    east = {"east": own["east"]}
    remote = {"strategy": "systemd-remote"}
    with unit_shop(daemon, tmp_path, east, [remote]) as shop:
        commit = shop.push(server("one"), build_sh=PATIENT_BUILD)
        running = daemon.in_stage(shop.name, "prepare")
        eventually(
            lambda: "waiting" in daemon.log_of(running["id"]), within=30, what="it is being built"
        )
        daemon.kill()
        daemon.start()
        own["east"].write(f"/opt/apps/{shop.name}/home/go", "")
        done = shop.deployed(1, commit=commit)
        assert done["id"] == running["id"]
        assert shop.builds("east") == 1
        shop.runs("one")


@pytest.fixture
def large(
    daemon: Daemon, own: dict[str, SystemdHost], tmp_path: Path
) -> Iterator[tuple[UnitShop, str]]:
    """The second version of a project is being sent to its host; it takes a while."""
    east = {"east": own["east"]}
    with unit_shop(daemon, tmp_path, east, [{"files": ["large"]}]) as shop:
        shop.push(server("one"), build_sh=f"{BUILD}: >large\n")
        shop.deployed(1)
        commit = shop.push(server("two"), build_sh=LARGE_BUILD)
        releases = f"/opt/apps/{shop.name}/releases"
        eventually(
            lambda: "partial" in own["east"].run("ls", releases), within=60, what="it is sent"
        )
        yield shop, commit


@pytest.mark.slow
def test_e1_a_daemon_killed_while_it_sends_begins_again(large: tuple[UnitShop, str]) -> None:
    """Half a release is never switched to; the next life sends the rest of it."""
    shop, commit = large
    shop.daemon.kill()
    shop.runs("one")
    shop.daemon.start()
    done = shop.deployed(2, commit=commit)
    assert [one["stage"] for one in done["stages"]].count("apply") == 1
    shop.runs("two")
    releases = shop.hosts["east"].run("ls", f"/opt/apps/{shop.name}/releases")
    assert "partial" not in releases


@pytest.mark.slow
def test_e1_a_host_that_loses_power_while_it_is_sent_to(large: tuple[UnitShop, str]) -> None:
    """It comes up with the old version, and is given the new one at the next attempt."""
    shop, commit = large
    shop.hosts["east"].kill_power()
    eventually(lambda: shop.answers("east") == "version one", within=20, what="the old one is up")
    done = shop.deployed(2, commit=commit)
    assert done["attempt"] > 1
    shop.runs("two")


@pytest.mark.slow
def test_a_daemon_killed_between_switch_and_health_check(shop: UnitShop) -> None:
    """The next life verifies what runs, restarts nothing, and calls it deployed only then."""
    shop.push(server("one"))
    shop.deployed(1)
    shop.daemon.write_config(stability_healthy_seconds=4)
    shop.daemon.restart()
    commit = shop.push(server("two"))
    running = shop.daemon.in_stage(shop.name, "verify")
    shop.daemon.kill()
    units = {name: host.unit(f"{shop.name}.service") for name, host in shop.hosts.items()}
    shop.daemon.start()
    assert shop.daemon.deployment(running["id"])["status"] == "running", "no false success"
    done = shop.deployed(2, commit=commit)
    assert [one["stage"] for one in done["stages"]].count("apply") == 1
    for name, host in shop.hosts.items():
        assert host.unit(f"{shop.name}.service")["MainPID"] == units[name]["MainPID"]


@pytest.mark.slow
def test_units_and_containers_on_three_hosts_at_once(
    shop: UnitShop, images: Images, tmp_path: Path
) -> None:
    """Two systemd hosts and a compose host are deployed to side by side, in one record."""
    with Sshd() as third:
        join(shop.daemon, third, "south")
        with hosted_shop(shop.daemon, images, tmp_path, auto_deploy=False) as compose:
            folder = tmp_path / "there"
            shop.daemon.post(
                f"projects/{compose.name}/targets", {"host": "south", "folder": str(folder)}
            )
            compose.enable()
            pushed = compose.push(compose.version("first"))
            commit = shop.push(server("one"))
            shop.deployed(1, commit=commit)
            compose.deployed(1, commit=pushed.commit)
            shop.runs("one")
            assert compose.running_version() == "first"
            shown = {one["host"]: one for one in shop.daemon.get("targets/status")["items"]}
            assert set(shown) == {"east", "west", "south"}
            assert shown["south"]["now"]["state"] == "1 running"
            assert not any(one["differs"] for one in shown.values())
            assert {
                one["name"]: one["health"]["reachable"] for one in shop.daemon.get("hosts")["items"]
            } == dict.fromkeys(shown, True)
            bad = f"{images.plain()}\ncommand: ['false']"
            compose.push(compose.version("second", bad))
            assert compose.settled(2)["status"] == "rolled-back"
            assert compose.running_version() == "first"
