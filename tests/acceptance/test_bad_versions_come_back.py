"""A version that does not run well is never a success: the last good one comes back, proven."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon, Json
from tests.parts.docker_engine import DockerEngine
from tests.parts.shop import Images, Shop, hosted_shop

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

#: Long enough to see a crash after three seconds, and a health check that turns.
WINDOWS = {"stability_healthy_seconds": 4, "stability_unchecked_seconds": 5}


@pytest.fixture(scope="module")
def watchful(engine: DockerEngine) -> Iterator[Daemon]:
    """A daemon whose windows see what the table below does."""
    windows = {**WINDOWS, "verify_timeout_seconds": 12}
    with Daemon({**windows, "deployments_at_once": len(VERSIONS)}) as running:
        yield running


@dataclass(frozen=True)
class Version:
    """What is pushed, beside the image, and what must come of it."""

    text: str
    becomes: str
    said: str = ""  #: in the error


def _health(test: str) -> str:
    return f'healthcheck: {{test: ["CMD-SHELL", "{test}"], interval: 1s, retries: 1}}'


VERSIONS = {
    "exits at once": Version('command: ["sh", "-c", "exit 3"]', "rolled-back", "exit status 3"),
    "exits at once with 0": Version('command: ["true"]\nrestart: always', "rolled-back", "restart"),
    "exits after 3 s": Version(
        'command: ["sh", "-c", "sleep 3; exit 1"]', "rolled-back", "exit status 1"
    ),
    "ends well after 3 s, and should not": Version(
        'command: ["sleep", "3"]\nrestart: unless-stopped', "rolled-back", "well for"
    ),
    "is unhealthy": Version(_health("false"), "rolled-back", "unhealthy"),
    "is healthy once, then not": Version(
        _health("test ! -e /seen || exit 1; touch /seen"), "rolled-back", "unhealthy"
    ),
    "never says whether it is healthy": Version(
        'healthcheck: {test: ["CMD", "false"], interval: 1s, retries: 1000}',
        "rolled-back",
        "health check has not passed",
    ),
    "loops": Version(
        'command: ["sh", "-c", "sleep 0.3; exit 1"]\nrestart: always', "rolled-back", "restart"
    ),
    "can not be started": Version('command: ["/no/such/program"]', "rolled-back", ""),
    "is healthy": Version(_health("true"), "deployed"),
    "has no health check": Version('command: ["sleep", "600"]', "deployed"),
}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_what_comes_of_a_version(watchful: Daemon, images: Images, tmp_path: Path) -> None:
    """C5, F2, F3: deployed only if it runs well; else back, verified, and quarantined."""
    with ExitStack() as stack:
        shops = {
            which: stack.enter_context(hosted_shop(watchful, images, tmp_path))
            for which in VERSIONS
        }
        for shop in shops.values():
            shop.push(shop.version("first"))
        firsts = {which: shop.deployed(1) for which, shop in shops.items()}
        pushed = {
            which: shop.push(shop.version("second", f"{images.plain()}\n{VERSIONS[which].text}"))
            for which, shop in shops.items()
        }
        for which, shop in shops.items():
            _came_to_what_it_should(shop, VERSIONS[which], firsts[which], pushed[which].commit)


def _came_to_what_it_should(shop: Shop, version: Version, good: Json, commit: str) -> None:
    ended = shop.settled(2)
    assert ended["status"] == version.becomes, (version, shop.daemon.log_of(ended["id"]))
    if version.becomes == "deployed":
        assert shop.running_version() == "second"
        return
    assert version.said in ended["error"]["message"], (version, ended["error"])
    assert ended["rolled_back_to"] == good["id"]
    _shows_the_good_one(shop, good, commit)


def _shows_the_good_one(shop: Shop, good: Json, bad_commit: str) -> None:
    """The first version runs again, and everything that tells of the project says so."""
    assert shop.running_version() == "first"
    shown = shop.shown()
    assert shown["state"] == "quarantined"
    assert shown["live"]["commit"] == good["revision"]["commit"]
    assert [one["commit"] for one in shown["quarantined"]] == [bad_commit]
    assert "quarantined" in {one["code"] for one in shop.daemon.why(shop.name)["reasons"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "becomes"), [(0, "deployed"), (1, "rolled-back")], ids=["ends-well", "fails"]
)
def test_a_one_shot_service_is_judged_by_its_exit_status(
    watchful: Daemon, images: Images, tmp_path: Path, status: int, becomes: str
) -> None:
    """A migration that ends with 0 is fine; one that does not takes the whole version back."""
    job = f'{images.plain()}\ncommand: ["sh", "-c", "sleep 1; exit {status}"]\nrestart: "no"'
    with hosted_shop(watchful, images, tmp_path) as shop:
        shop.deploy_first()
        shop.push(shop.version("second", migrate=job))
        ended = shop.settled(2)
        assert ended["status"] == becomes, shop.daemon.log_of(ended["id"])
        assert shop.running_version() == ("second" if status == 0 else "first")


@pytest.mark.slow
def test_an_app_that_tells_another_version_comes_back(
    watchful: Daemon, images: Images, tmp_path: Path
) -> None:
    """C5: what the app says of itself has to be the commit, in the new one and in the old one."""
    tag = "tells:1"

    def push(note: str, tells: str = "") -> str:
        """Push a version whose app tells its commit, or ``tells``; return the commit."""
        commit = shop.commit(shop.compose(images.at(tag)), README=note)
        serve = ("httpd", "-f", "-p", "8080", "-h", "/")
        images.push(tag, version=f'{{"build": {{"commit": "{tells or commit[:12]}"}}}}', cmd=serve)
        return shop.push().commit

    with hosted_shop(watchful, images, tmp_path) as shop:
        where = ("--version-path", "/version", "--version-json", "build.commit")
        changed = watchful.cli("project", "set", shop.name, "--version-port", "8080", *where)
        assert changed.status == 0, changed
        shown = watchful.cli("project", "show", shop.name).out
        assert "/version on port 8080, build.commit" in shown
        first = push("first")
        shop.deployed(1, commit=first)
        second = push("second", tells=first)
        ended = shop.settled(2)
        assert ended["status"] == "rolled-back", watchful.log_of(ended["id"])
        assert f"/version tells '{first}', expected is commit {second}" in ended["error"]["message"]
        assert shop.shown()["live"]["commit"] == first

        absent = watchful.cli("project", "set", shop.name, "--version-service", "api")
        assert absent.status == 0, absent
        push("third")
        ended = shop.settled(3)
        assert ended["status"] == "failed"
        assert "version.service: 'api' is none of the services" in ended["error"]["message"]


@pytest.mark.slow
def test_a_service_beside_it_that_fails_counts_too(
    watchful: Daemon, images: Images, tmp_path: Path
) -> None:
    """Every service of the project has to be well, not only the one that faces users."""
    with hosted_shop(watchful, images, tmp_path) as shop:
        shop.deploy_first()
        worker = f'{images.plain()}\ncommand: ["sh", "-c", "exit 9"]\nrestart: on-failure'
        shop.push(shop.version("second", worker=worker))
        ended = shop.settled(2)
        assert ended["status"] == "rolled-back", shop.daemon.log_of(ended["id"])
        assert "worker" in ended["error"]["message"]
        assert shop.running_version() == "first"
        assert shop.containers("worker") == [], "what the bad version added is gone"


@pytest.mark.slow
def test_a_first_version_that_fails_has_nothing_to_go_back_to(
    watchful: Daemon, images: Images, tmp_path: Path
) -> None:
    """It is failed, said so, and not tried again by itself."""
    with hosted_shop(watchful, images, tmp_path) as shop:
        shop.push(shop.version("first", f'{images.plain()}\ncommand: ["false"]'))
        ended = shop.settled(1)
        assert ended["status"] == "failed"
        assert shop.shown()["state"] == "failed"
        assert shop.shown()["live"] is None
        shop.look()
        assert len(shop.all()) == 1
        good = shop.push(shop.version("second"))
        shop.deployed(2, commit=good.commit)


def test_a_quarantine_survives_restarts_and_ends_by_a_newer_commit_or_a_person(
    images: Images, tmp_path: Path
) -> None:
    """F3: not tried again by itself; the same commit by a person's word; a newer one at once."""
    with Daemon() as daemon, hosted_shop(daemon, images, tmp_path) as shop:
        good = shop.deploy_first()
        bad = shop.push(shop.version("bad", f'{images.plain()}\ncommand: ["false"]'))
        assert shop.settled(2)["status"] == "rolled-back"

        daemon.restart()
        shop.look()
        shop.push(None, "main")
        assert len(shop.all()) == 2, "not tried again by itself"
        _shows_the_good_one(shop, good, bad.commit)
        refused = daemon.cli("deploy", shop.name)
        assert refused.status == 10
        assert "quarantine" in refused.err or "rolled back" in refused.err

        forced = daemon.cli("deploy", shop.name, "--force", "--wait")
        assert forced.status == 12, forced
        shop.settled(3)
        assert shop.running_version() == "first"

        lifted = daemon.cli("quarantine", "lift", shop.name)
        assert lifted.status == 0, lifted
        again = shop.settled(4)
        assert again["status"] == "rolled-back", "a lifted revision is tried again, and judged"
        assert again["revision"]["commit"] == bad.commit

        newer = shop.push(shop.version("good"))
        shop.deployed(5, commit=newer.commit)
        assert shop.shown()["state"] == "in-sync"


@pytest.mark.slow
def test_a_bad_digest_comes_back_and_a_newer_one_lifts_that(
    watchful: Daemon, images: Images, tmp_path: Path
) -> None:
    """F3: the same for an image that moved: the bad digest is quarantined, the next one is new."""
    with hosted_shop(watchful, images, tmp_path) as shop:
        tag = f"{shop.name}:1"
        first = images.push(tag, version="one")
        shop.deploy_first(shop.compose(images.at(tag)))
        shop.look()
        images.push(tag, version="bad", cmd=("false",))
        shop.look()
        assert shop.settled(2)["status"] == "rolled-back"
        assert shop.running()["Config"]["Image"] == f"{images.at(tag)}@{first}"
        shop.look()
        assert len(shop.all()) == 2
        mended = images.push(tag, version="mended")
        shop.look()
        shop.deployed(3)
        assert shop.running()["Config"]["Image"] == f"{images.at(tag)}@{mended}"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_crash_after_twenty_seconds_is_seen_with_the_real_windows(
    engine: DockerEngine, images: Images, tmp_path: Path
) -> None:
    """The default window without a health check is longer than a slow crash takes."""
    windows = {"stability_healthy_seconds": 5, "stability_unchecked_seconds": 25}
    with Daemon(windows) as daemon, hosted_shop(daemon, images, tmp_path) as shop:
        shop.deploy_first()
        crash = f'{images.plain()}\ncommand: ["sh", "-c", "sleep 20; exit 1"]'
        shop.push(shop.version("second", crash))
        ended = shop.settled(2, within=150)
        assert ended["status"] == "rolled-back"
        assert shop.running_version() == "first"
