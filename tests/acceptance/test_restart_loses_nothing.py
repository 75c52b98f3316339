"""Whenever the daemon ends, by force or politely, the next one goes on from what is recorded."""

import signal
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon, Json
from tests.parts.faulty import FaultyProxy, Mode
from tests.parts.shop import Images, Shop, hosted_shop
from tests.parts.waiting import eventually

pytestmark = [
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
    pytest.mark.timeout(120),
]

#: Well only once the test says so.
WAITS_FOR_GO = 'healthcheck: {test: ["CMD", "test", "-e", "/go"], interval: 1s, retries: 1000}'
#: Replacing it takes this long: it does not hear what compose says.
DEAF = 'command: ["sh", "-c", "trap : TERM; while :; do sleep 1; done"]\nstop_grace_period: 6s'


def _go(shop: Shop) -> None:
    shop.engine.docker("exec", shop.running()["Id"], "touch", "/go")


def _changing(shop: Shop) -> list[str]:
    return [line for line in shop.daemon.compose_at_work() if " up " in line or " pull " in line]


def _ends_deployed(shop: Shop, number: int, commit: str) -> Json:
    """The very deployment that was under way is brought to its end by the next life."""

    def ended() -> Json | None:
        at_work = _changing(shop)
        assert len(at_work) <= 1, at_work
        found = shop.daemon.deployment(number)
        return found if found["status"] not in {"queued", "running"} else None

    deployment = eventually(ended, within=60, what=f"deployment {number} has ended")
    assert deployment
    log = shop.daemon.log_of(number)
    assert deployment["status"] == "deployed", f"{deployment['error']}\n{log}"
    assert deployment["revision"]["commit"] == commit
    assert shop.running_version() == "second"
    assert shop.shown()["live"]["commit"] == commit
    return deployment


class TestKilled:
    """kill -9 in the middle of each stage: no false success, no second child, nothing lost."""

    @pytest.mark.slow
    def test_while_it_waits_in_the_queue(self, own_shop: Shop) -> None:
        """A queued deployment is still queued, and runs."""
        shop, daemon = own_shop, own_shop.daemon
        shop.push(shop.version("first", f"{shop.images.plain()}\n{WAITS_FOR_GO}"))
        first = daemon.in_stage(shop.name, "verify")
        pushed = shop.push(shop.version("second"))
        queued = eventually(lambda: shop.all()[1:], what="the second one is queued")[0]
        assert queued["status"] == "queued"
        daemon.kill()
        daemon.start()
        _go(shop)
        _ends_deployed(shop, queued["id"], pushed.commit)
        assert daemon.deployment(first["id"])["status"] == "deployed"

    @pytest.mark.slow
    def test_while_it_is_prepared(self, daemon: Daemon, images: Images, tmp_path: Path) -> None:
        """Nothing was changed yet: it is prepared again."""
        with (
            hosted_shop(daemon, images, tmp_path) as shop,
            FaultyProxy(images.registry.port) as slow,
        ):
            shop.deploy_first()
            images.push("slow-prepare:1")
            slow.fault.mode, slow.fault.latency_seconds = Mode.LATENCY, 1.5
            image = f"localhost:{slow.port}/slow-prepare:1"
            pushed = shop.push(shop.version("second", image))
            running = daemon.in_stage(shop.name, "prepare")
            daemon.kill()
            slow.fault.mode = Mode.FORWARD
            assert shop.running_version() == "first"
            daemon.start()
            ended = _ends_deployed(shop, running["id"], pushed.commit)
            assert [one["stage"] for one in ended["stages"]].count("apply") == 1

    @pytest.mark.slow
    def test_while_images_are_pulled(self, daemon: Daemon, images: Images, tmp_path: Path) -> None:
        """The killed daemon's `docker compose pull` is ended by the next, which pulls again."""
        with (
            hosted_shop(daemon, images, tmp_path) as shop,
            FaultyProxy(images.registry.port) as slow,
        ):
            shop.deploy_first()
            images.push("slow-pull:1", version="only through the proxy")
            _forget(shop, "slow-pull:1")
            slow.fault.mode, slow.fault.latency_seconds = Mode.LATENCY, 0.7
            image = f"localhost:{slow.port}/slow-pull:1"
            pushed = shop.push(shop.version("second", image))
            eventually(
                lambda: any(" pull " in line for line in daemon.compose_at_work()),
                within=30,
                what="compose pulls",
            )
            running = shop.all()[-1]
            daemon.kill()
            assert daemon.compose_at_work(), "the child outlived its parent"
            slow.fault.mode = Mode.FORWARD
            daemon.start()
            _ends_deployed(shop, running["id"], pushed.commit)

    def test_while_it_is_applied(self, own_shop: Shop) -> None:
        """Half applied is applied again, with the orphaned `docker compose up` out of the way."""
        shop, daemon = own_shop, own_shop.daemon
        shop.deploy_first(shop.version("first", f"{shop.images.plain()}\n{DEAF}"))
        pushed = shop.push(shop.version("second"))
        running = daemon.in_stage(shop.name, "apply")
        eventually(lambda: _changing(shop), what="compose is at work")
        daemon.kill()
        assert _changing(shop), "the child outlived its parent"
        daemon.start()
        ended = _ends_deployed(shop, running["id"], pushed.commit)
        assert [one["stage"] for one in ended["stages"]].count("apply") == 2

    @pytest.mark.slow
    def test_while_it_is_verified(self, own_shop: Shop) -> None:
        """What runs decides, not what was remembered: it is verified from the beginning."""
        shop, daemon = own_shop, own_shop.daemon
        shop.deploy_first()
        pushed = shop.push(shop.version("second", f"{shop.images.plain()}\n{WAITS_FOR_GO}"))
        running = daemon.in_stage(shop.name, "verify")
        before = shop.running()["Id"]
        daemon.kill()
        daemon.start()
        assert daemon.deployment(running["id"])["status"] == "running", "no false success"
        _go(shop)
        ended = _ends_deployed(shop, running["id"], pushed.commit)
        assert shop.running()["Id"] == before, "it was not started anew for that"
        assert [one["stage"] for one in ended["stages"]].count("apply") == 1

    @pytest.mark.slow
    def test_while_it_is_rolled_back(self, own_shop: Shop) -> None:
        """The rollback goes on, and the failed version stays quarantined."""
        shop, daemon = own_shop, own_shop.daemon
        good = shop.deploy_first()
        # What fails is deaf, so that taking it away again takes a while.
        unhealthy = 'healthcheck: {test: ["CMD", "false"], interval: 1s, retries: 1}'
        bad = f"{shop.images.plain()}\n{DEAF}\n{unhealthy}"
        pushed = shop.push(shop.version("second", bad))
        running = daemon.in_stage(shop.name, "roll-back")
        eventually(lambda: _changing(shop), what="compose is at work")
        daemon.kill()
        daemon.start()
        ended = shop.settled(2)
        assert ended["id"] == running["id"]
        assert ended["status"] == "rolled-back", daemon.log_of(ended["id"])
        assert ended["rolled_back_to"] == good["id"]
        assert ended["error"]["code"] == "verification-failed"
        assert shop.running_version() == "first"
        assert [one["commit"] for one in shop.shown()["quarantined"]] == [pushed.commit]
        assert shop.shown()["live"]["deployment"] == good["id"]

    @pytest.mark.slow
    def test_again_and_again(self, own_shop: Shop) -> None:
        """A daemon that dies of one deployment each time asks a person in the end."""
        shop, daemon = own_shop, own_shop.daemon
        shop.push(shop.version("second", f"{shop.images.plain()}\n{WAITS_FOR_GO}"))
        running = daemon.in_stage(shop.name, "verify")
        for _ in range(4):
            daemon.kill()
            daemon.start()
            eventually(lambda: "taking up 1 deployments" in daemon.log, what="it is taken up again")
            eventually(
                lambda: daemon.deployment(running["id"])["status"] != "queued", what="claimed"
            )
        ended = shop.settled(1)
        assert ended["status"] == "needs-operator"
        assert ended["error"]["code"] == "interrupted-too-often"
        assert shop.shown()["live"] is None


def _forget(shop: Shop, tag: str) -> None:
    """Take an image off the engine, so that it has to be pulled."""
    for name in (f"{shop.engine.run_id}/{tag}", shop.images.at(tag)):
        shop.engine.docker("rmi", "--force", name)


class TestToldToStop:
    """SIGTERM lets what runs end, or leaves it for the next life; meanwhile it says so."""

    @pytest.mark.slow
    def test_a_short_rest_is_waited_for_and_nothing_new_begins(
        self, images: Images, tmp_path: Path
    ) -> None:
        """D2: 503 from the first moment on, the running deployment ends, the queued one waits."""
        with (
            Daemon({"shutdown_grace_seconds": 30}) as daemon,
            hosted_shop(daemon, images, tmp_path) as shop,
        ):
            shop.push(shop.version("first", f"{images.plain()}\n{WAITS_FOR_GO}"))
            running = daemon.in_stage(shop.name, "verify")
            pushed = shop.push(shop.version("second"))
            daemon.signal(signal.SIGTERM)
            eventually(lambda: daemon.probe("ready")[0] == 503, what="it is not ready any more")
            assert daemon.probe("ready")[1]["status"] == "draining"
            status, body = daemon.probe("healthz")
            assert (status, body["status"]) == (503, "draining")
            assert daemon.deployment(running["id"])["status"] == "running"
            _go(shop)
            eventually(lambda: not daemon.socket.exists(), within=20, what="it has ended")
            daemon.stop()
            daemon.start()
            assert daemon.deployment(running["id"])["status"] == "deployed"
            shop.deployed(2, commit=pushed.commit)

    def test_what_takes_longer_is_taken_up_by_the_next_life(
        self, images: Images, tmp_path: Path
    ) -> None:
        """The grace is over: the deployment is left as recorded, and is no failure."""
        with (
            Daemon({"shutdown_grace_seconds": 0}) as daemon,
            hosted_shop(daemon, images, tmp_path) as shop,
        ):
            shop.deploy_first()
            pushed = shop.push(shop.version("second", f"{images.plain()}\n{WAITS_FOR_GO}"))
            running = daemon.in_stage(shop.name, "verify")
            daemon.stop()
            assert daemon.compose_at_work() == []
            daemon.start()
            _go(shop)
            _ends_deployed(shop, running["id"], pushed.commit)

    @pytest.mark.slow
    def test_a_second_signal_ends_it_at_once(self, images: Images, tmp_path: Path) -> None:
        """Whoever insists gets it, and nothing is lost by it."""
        with (
            Daemon({"shutdown_grace_seconds": 600}) as daemon,
            hosted_shop(daemon, images, tmp_path) as shop,
        ):
            shop.deploy_first()
            pushed = shop.push(shop.version("second", f"{images.plain()}\n{WAITS_FOR_GO}"))
            running = daemon.in_stage(shop.name, "verify")
            pid = daemon.pid
            daemon.signal(signal.SIGTERM)
            eventually(lambda: daemon.probe("ready")[0] == 503, what="it drains")
            daemon.signal(signal.SIGTERM)
            eventually(lambda: _is_gone(pid), within=5, what="it has ended")
            daemon.stop()
            daemon.start()
            _go(shop)
            _ends_deployed(shop, running["id"], pushed.commit)


def _is_gone(pid: int) -> bool:
    """Tell whether a child of ours has ended; it stays a zombie until we collect it."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
