"""One switch stops every automatic start, at whatever stage, and forgets nothing."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon
from tests.parts.docker_engine import DockerEngine
from tests.parts.faulty import FaultyProxy, Mode
from tests.parts.git_server import GitServer
from tests.parts.shop import Images, Shop, external_shop, hosted_shop
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

#: Looked at every ten seconds by itself, so that nobody has to ask for a look.
EVERY_TEN_SECONDS = {"settings": {"auto_deploy_poll_interval_seconds": 10}}
#: Well only once the test says so.
WAITS_FOR_GO = """
healthcheck: {test: ["CMD", "test", "-e", "/go"], interval: 1s, retries: 1000}"""


@pytest.fixture
def daemon(engine: DockerEngine) -> Iterator[Daemon]:
    with Daemon(EVERY_TEN_SECONDS) as running:
        yield running


def _off(daemon: Daemon) -> None:
    said = daemon.cli("switch", "off", "--reason", "moving house")
    assert said.status == 0, said


def _touch(daemon: Daemon) -> None:
    (daemon.data / "STOP").touch()


def _on(daemon: Daemon) -> None:
    assert daemon.cli("switch", "on").status == 0


def _remove(daemon: Daemon) -> None:
    (daemon.data / "STOP").unlink()


BRAKES = [
    pytest.param(_off, _on, "master-switch-off", id="switch"),
    pytest.param(_touch, _remove, "emergency-file", id="emergency-file", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("brake", "release", "code"), BRAKES)
def test_what_is_pushed_while_it_is_off_waits_and_then_deploys_once(
    own_shop: Shop,
    brake: Callable[[Daemon], None],
    release: Callable[[Daemon], None],
    code: str,
) -> None:
    """A3: nothing starts, everybody can read why; on again, one deployment of the newest."""
    shop, daemon = own_shop, own_shop.daemon
    shop.deploy_first()
    brake(daemon)
    said = shop.push(shop.version("two")).said
    assert f"reconciler: {shop.name}: held: " in said
    newest = shop.push(shop.version("three"))
    shop.look()
    assert len(shop.all()) == 1
    assert shop.running_version() == "first"
    assert shop.shown()["state"] == "held"
    assert shop.shown()["auto_deploy"] is True, "every toggle is kept"
    why = daemon.why(shop.name)
    assert code in {one["code"] for one in why["reasons"]}
    assert daemon.triggers(shop.name)[0]["outcome"] == "held"
    if code == "master-switch-off":
        assert any("moving house" in one["text"] for one in why["reasons"])
        assert any("moving house" in line for line in said.splitlines())

    release(daemon)
    shop.deployed(2, commit=newest.commit)
    shop.look()
    assert len(shop.all()) == 2
    assert shop.running_version() == "three"


@pytest.mark.slow
def test_what_a_person_asks_for_still_runs(own_shop: Shop) -> None:
    """A3: the switch is about what starts by itself."""
    shop, daemon = own_shop, own_shop.daemon
    shop.deploy_first()
    _off(daemon)
    _touch(daemon)
    wanted = shop.push(shop.version("two"))
    said = daemon.cli("deploy", shop.name, "--wait", "--reason", "I know")
    assert said.status == 0, said
    by_hand = shop.deployed(2, commit=wanted.commit)
    assert by_hand["causes"][0]["trigger"] == "person"
    assert daemon.cli("rollback", shop.name, "--wait").status == 0
    assert shop.running_version() == "first"


@pytest.mark.slow
def test_one_that_waits_in_the_queue_is_withdrawn_when_its_turn_comes(own_shop: Shop) -> None:
    """A3: the switch is read once more at the moment a queued deployment would start."""
    shop, daemon = own_shop, own_shop.daemon
    shop.push(shop.version("first", f"{shop.images.plain()}{WAITS_FOR_GO}"))
    running = daemon.in_stage(shop.name, "verify")
    queued = shop.push(shop.version("second"))
    eventually(lambda: len(shop.all()) == 2, what="the second one waits")
    _off(daemon)
    _go(shop)
    withdrawn = shop.settled(2)
    assert daemon.deployment(running["id"])["status"] == "deployed", "what runs ends"
    assert (withdrawn["status"], withdrawn["error"]["code"]) == ("withdrawn", "master-switch-off")
    assert withdrawn["stages"] == [], "nothing of it was begun"
    assert shop.running_version() == "first"
    _on(daemon)
    shop.deployed(3, commit=queued.commit)


@pytest.mark.slow
def test_one_that_is_being_prepared_is_withdrawn_before_it_changes_anything(
    daemon: Daemon, images: Images, tmp_path: Path
) -> None:
    """A3: between preparing and applying the switch is read again."""
    with (
        hosted_shop(daemon, images, tmp_path) as shop,
        FaultyProxy(images.registry.port) as slow,
    ):
        shop.deploy_first()
        images.push("slow:1")
        slow.fault.mode, slow.fault.latency_seconds = Mode.LATENCY, 1.5
        pushed = shop.push(shop.version("second", f"localhost:{slow.port}/slow:1"))
        daemon.in_stage(shop.name, "prepare")
        _off(daemon)
        slow.fault.mode = Mode.FORWARD
        withdrawn = shop.settled(2)
        assert withdrawn["status"] == "withdrawn", withdrawn["error"]
        assert withdrawn["error"]["code"] == "master-switch-off"
        assert [one["stage"] for one in withdrawn["stages"]] == ["prepare", "gate"]
        assert shop.running_version() == "first"
        _on(daemon)
        shop.deployed(3, commit=pushed.commit)
        assert shop.running_version() == "second"


@pytest.mark.slow
def test_one_that_changes_things_already_is_brought_to_its_end(own_shop: Shop) -> None:
    """A3: a half-applied project is worse than a finished one."""
    shop, daemon = own_shop, own_shop.daemon
    pushed = shop.push(shop.version("first", f"{shop.images.plain()}{WAITS_FOR_GO}"))
    daemon.in_stage(shop.name, "verify")
    _off(daemon)
    _go(shop)
    shop.deployed(1, commit=pushed.commit)


def test_every_kind_of_trigger_is_stopped(images: Images, tmp_path: Path) -> None:
    """A3: push, poll and image watch alike, and each project deploys once afterwards."""
    with (
        GitServer(tls=True) as server,
        Daemon({**EVERY_TEN_SECONDS, "git_ca_file": str(server.ca_path)}) as daemon,
        hosted_shop(daemon, images, tmp_path) as hosted,
    ):
        repository = server.repository("ours.git")
        tag = f"{hosted.name}:1"
        images.push(tag, version="one")
        repository.commit({"compose.yaml": hosted.version("first")})
        with external_shop(daemon, images, repository, server.url("ours.git")) as external:
            hosted.deploy_first(hosted.compose(images.at(tag)))
            external.deployed(1)
            hosted.look()
            _off(daemon)
            images.push(tag, version="two")
            repository.commit({"compose.yaml": external.version("second")})
            for shop in (hosted, external):
                shop.look()
                held = partial(_last_outcome, daemon, shop.name, "held")
                eventually(held, what=f"{shop.name} is held")
                assert len(shop.all()) == 1
            _on(daemon)
            external.deployed(2)
            hosted.look()
            hosted.deployed(2)
            assert (len(hosted.all()), len(external.all())) == (2, 2)


def _last_outcome(daemon: Daemon, name: str, outcome: str) -> bool:
    return bool(daemon.triggers(name)[0]["outcome"] == outcome)


def test_settings_change_live_and_not_below_their_minimum(daemon: Daemon) -> None:
    """A4: no restart; what is refused says why and changes nothing, all or nothing."""
    poll, watch = "auto_deploy_poll_interval_seconds", "auto_deploy_image_watch_interval_seconds"
    for key, value in ((poll, "9"), (watch, "59"), (poll, "often"), ("nope", "1")):
        said = daemon.cli("settings", key, value)
        assert said.status != 0, (key, value)
        assert key in said.err
    refused = daemon.api.patch("settings", json={poll: 30, watch: 1})
    assert refused.status_code == 422
    assert refused.json()["field"] == watch
    assert "60" in refused.json()["detail"]
    shown = {item["key"]: item for item in daemon.get("settings")["items"]}
    assert (shown[poll]["value"], shown[watch]["value"]) == (10, 600)

    assert daemon.cli("settings", poll, "3600", "--reason", "calm").status == 0
    shown = {item["key"]: item for item in daemon.get("settings")["items"]}
    assert (shown[poll]["value"], shown[poll]["reason"]) == (3600, "calm")
    assert shown[poll]["changed_by"].startswith("local:")
    assert (shown[poll]["minimum"], shown[watch]["minimum"]) == (10, 60)


def test_it_stays_off_over_a_restart(own_shop: Shop) -> None:
    """A3: a daemon that comes back does not start what was stopped."""
    shop, daemon = own_shop, own_shop.daemon
    shop.deploy_first()
    _off(daemon)
    daemon.stop()
    daemon.start()
    shop.push(shop.version("second"))
    shop.look()
    assert len(shop.all()) == 1
    switch = daemon.get("status")["master_switch"]
    assert (switch["enabled"], switch["reason"]) == (False, "moving house")


def _go(shop: Shop) -> None:
    shop.engine.docker("exec", shop.running()["Id"], "touch", "/go")
