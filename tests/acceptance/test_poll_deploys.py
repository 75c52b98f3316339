"""A commit on a branch elsewhere is found by polling, over https and over ssh, and deployed."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.domain.webhook import Provider
from tests.parts.daemon import Daemon, Json
from tests.parts.faulty import FaultyProxy, Mode, redirect
from tests.parts.forge import REPOSITORY, Forge
from tests.parts.forge import TOKEN as FORGE_TOKEN
from tests.parts.git_server import GitServer, Login
from tests.parts.shop import Images, Shop, declare, external_shop
from tests.parts.sshd import Sshd
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

TOKEN = "glpat-very-secret-token"
LOGIN = Login("deploy", TOKEN)
HANGS_FOR = 8
EVERY_TEN_SECONDS = {"settings": {"auto_deploy_poll_interval_seconds": 10}}


@contextmanager
def _daemon_for(server: GitServer, **config: object) -> Iterator[Daemon]:
    """Give a daemon that trusts the server's certificate, and polls every ten seconds."""
    with Daemon({**EVERY_TEN_SECONDS, "git_ca_file": str(server.ca_path), **config}) as daemon:
        yield daemon


def _source_error(daemon: Daemon, name: str) -> Json | None:
    found: Json | None = daemon.project(name)["source_error"]
    return found


def _shown_at(forge: Forge, shop: Shop, commit: str) -> bool:
    """Tell whether the forge shows that a commit runs, with a link to us."""
    found = forge.newest_status(commit, f"reconciler/{shop.name}")
    ours = "https://deploy.example/deployments/"
    return found is not None and found.state == "success" and (found.url or "").startswith(ours)


def test_https_with_a_token(images: Images, tmp_path: Path) -> None:
    """A6, A8, F11: the first look aligns, each new tip deploys, and the forge shows how it went.

    The token for either shows up nowhere.
    """
    with (
        GitServer(login=LOGIN, tls=True) as server,
        Forge(Provider.FORGEJO) as forge,
        _daemon_for(server, log_level="debug", public_url="https://deploy.example") as daemon,
    ):
        repository = server.repository(f"{REPOSITORY}.git")
        url = server.url(f"{REPOSITORY}.git")
        told = {"commit_statuses": True, "forge": "forgejo", "forge_url": forge.url}
        secret = {
            "git-token": {"value": TOKEN, "username": LOGIN.username},
            "forge-token": {"value": FORGE_TOKEN},
        }
        with external_shop(daemon, images, repository, url, secret=secret, **told) as shop:
            first = shop.commit(shop.version("one"))
            shop.look()
            shop.deployed(1, commit=first)
            # Nobody asks for this look: the interval brings it.
            second = shop.commit(shop.version("two"))
            newest = shop.deployed(2, commit=second)
            assert newest["causes"][0]["trigger"] == "git-poll"
            assert shop.running_version() == "two"
            eventually(
                lambda: all(_shown_at(forge, shop, commit) for commit in (first, second)),
                what="the forge knows of both",
            )

            shown = json.dumps([shop.shown(), daemon.why(shop.name), daemon.get("status")])
            kept = daemon.get(f"projects/{shop.name}/secrets")["items"]
            assert [one["name"] for one in kept] == ["forge-token", "git-token"]
            assert kept[0]["bound_to"] == forge.url
            on_disk = [path.read_bytes() for path in daemon.data.rglob("*") if path.is_file()]
            logs = [daemon.log_of(one["id"]) for one in shop.all()]
            for text in (shown, json.dumps(kept), daemon.log, *logs):
                assert TOKEN not in text
                assert FORGE_TOKEN not in text
            for token in (TOKEN, FORGE_TOKEN):
                assert not any(token.encode() in content for content in on_disk)


@pytest.mark.slow
def test_a_wrong_token_is_said_and_a_right_one_mends_it(images: Images) -> None:
    """A8: a refusal is this project's state, with its remedy; nothing else is touched."""
    with GitServer(login=LOGIN, tls=True) as server, _daemon_for(server) as daemon:
        repository = server.repository("shop.git")
        secret = {"git-token": {"value": "wrong", "username": LOGIN.username}}
        with external_shop(
            daemon, images, repository, server.url("shop.git"), secret=secret
        ) as shop:
            shop.commit(shop.version("one"))
            eventually(lambda: _source_error(daemon, shop.name), what="the refusal is shown")
            error = _source_error(daemon, shop.name)
            assert error
            assert error["code"] == "source-denied"
            assert "source-denied" in {one["code"] for one in daemon.why(shop.name)["reasons"]}
            assert shop.all() == []
            daemon.put(
                f"projects/{shop.name}/secrets/git-token",
                {"value": TOKEN, "username": LOGIN.username},
            )
            shop.look()
            shop.deployed(1)
            eventually(lambda: _source_error(daemon, shop.name) is None, what="the error is gone")


@pytest.mark.needs_sshd
def test_ssh_with_a_key_and_a_host_that_changes_its_own(
    images: Images, sshd: Sshd, tmp_path: Path
) -> None:
    """A8: pinned at the first use: another host key blocks. Our key is in no file that stays."""
    key = sshd.key_path.read_text()
    with Daemon(EVERY_TEN_SECONDS) as daemon, FaultyProxy(sshd.port) as proxy:
        repository = sshd.repository("shop.git")
        secret = {"git-ssh-key": {"value": key}}
        url = sshd.url("shop.git").replace(f":{sshd.port}/", f":{proxy.port}/")
        with external_shop(daemon, images, repository, url, secret=secret) as shop:
            first = shop.commit(shop.version("one"))
            shop.look()
            shop.deployed(1, commit=first)

            sshd.change_host_key()
            proxy.break_connections()  # what was trusted at its beginning stays trusted
            shop.commit(shop.version("two"))
            eventually(
                lambda: (_source_error(daemon, shop.name) or {}).get("code") == "host-key-changed",
                within=30,
                what="the changed host key is shown",
            )
            assert len(shop.all()) == 1
            assert shop.running_version() == "one"
            by_hand = daemon.api.post(f"projects/{shop.name}/deployments", json={})
            assert (by_hand.status_code, by_hand.json()["code"]) == (502, "host-key-changed")
            body = key.splitlines()[2].encode()
            stays = [path for path in daemon.data.rglob("*") if path.is_file()]
            assert not any(body in path.read_bytes() for path in stays)
            assert body.decode() not in daemon.log


@pytest.mark.slow
def test_a_url_on_another_host_drops_the_credential(images: Images) -> None:
    """A credential goes to the host that it was given for, and to no other."""
    with (
        GitServer(login=LOGIN, tls=True) as server,
        GitServer(tls=True) as other,
        _daemon_for(server) as daemon,
    ):
        repository = server.repository("shop.git")
        secret = {"git-token": {"value": TOKEN, "username": LOGIN.username}}
        with external_shop(
            daemon, images, repository, server.url("shop.git"), secret=secret, auto_deploy=False
        ) as shop:
            changed = daemon.patch(f"projects/{shop.name}", {"url": other.url("shop.git")})
            assert any("dropped" in note and server.host in note for note in changed["notes"]), (
                changed["notes"]
            )
            assert daemon.get(f"projects/{shop.name}/secrets")["items"] == []
            shop.enable()
            eventually(lambda: _source_error(daemon, shop.name), what="the other host was asked")
            assert all(request.authorization is None for request in other.requests)
            # Back again, it is not there any more.
            daemon.patch(f"projects/{shop.name}", {"url": server.url("shop.git")})
            before = len(server.requests)
            daemon.post(f"projects/{shop.name}/look")
            eventually(lambda: len(server.requests) > before, what="the first host is asked again")
            assert all(one.authorization is None for one in server.requests[before:])


def test_a_redirect_to_another_host_is_not_followed(images: Images) -> None:
    """A8: neither the request nor the credential goes where an answer sends us."""
    with (
        GitServer(login=LOGIN, tls=True) as server,
        GitServer(tls=True) as elsewhere,
        _daemon_for(server) as daemon,
    ):
        server.instead = redirect(elsewhere.url("shop.git/info/refs?service=git-upload-pack"))
        repository = elsewhere.repository("shop.git")
        secret = {"git-token": {"value": TOKEN, "username": LOGIN.username}}
        with external_shop(
            daemon, images, repository, server.url("shop.git"), secret=secret
        ) as shop:
            eventually(lambda: _source_error(daemon, shop.name), what="it is refused")
            error = _source_error(daemon, shop.name)
            assert error
            assert error["code"] == "source-redirected"
            assert elsewhere.requests == []


def test_a_hung_remote_delays_no_other_project(images: Images, tmp_path: Path) -> None:
    """A7: twenty remotes that accept and then say nothing; the one that works deploys in time."""
    with (
        GitServer(tls=True) as server,
        _daemon_for(server, polls_at_once=16, poll_timeout_seconds=HANGS_FOR) as daemon,
        FaultyProxy() as hung,
    ):
        names = [
            declare(daemon, images.engine, url=f"https://{hung.host}/{number}.git")
            for number in range(20)
        ]
        eventually(lambda: hung.connections > 0, what="the hung remotes are asked")
        repository = server.repository("shop.git")
        with external_shop(daemon, images, repository, server.url("shop.git")) as shop:
            commit = shop.commit(shop.version("one"))
            started = time.monotonic()
            daemon.post(f"projects/{shop.name}/look")
            eventually(shop.all, what="it is seen")
            # Before even one of the others has run out of its time.
            assert time.monotonic() - started < HANGS_FOR
            shop.deployed(1, commit=commit)
            # The others each get their own answer in time, and nothing is stuck.
            for name in names[:3]:
                eventually(lambda name=name: _source_error(daemon, name), within=40)  # type: ignore[misc]
                error = _source_error(daemon, name)
                assert error
                assert error["code"] == "source-unreachable"
            assert daemon.probe("healthz")[0] == 200
        for name in names:
            daemon.delete(f"projects/{name}")


@pytest.mark.slow
def test_a_server_that_comes_back_is_found_again(images: Images) -> None:
    """What failed is tried again with patience, and a look asked for comes at once."""
    with (
        GitServer(tls=True) as server,
        _daemon_for(server) as daemon,
        FaultyProxy(int(server.host.rpartition(":")[2])) as proxy,
    ):
        repository = server.repository("shop.git")
        with external_shop(daemon, images, repository, f"https://{proxy.host}/shop.git") as shop:
            shop.commit(shop.version("one"))
            shop.look()
            shop.deployed(1)
            proxy.fault.mode = Mode.RESET
            proxy.break_connections()
            shop.commit(shop.version("two"))
            shop.look()
            assert _source_error(daemon, shop.name)
            assert shop.running_version() == "one"
            proxy.fault.mode = Mode.FORWARD
            shop.look()
            shop.deployed(2)
            assert shop.shown()["source_error"] is None


@pytest.mark.slow
def test_a_branch_that_does_not_exist_is_a_state(images: Images) -> None:
    """Nothing is deployed for it, and `why` says so."""
    with GitServer(tls=True) as server, _daemon_for(server) as daemon:
        repository = server.repository("shop.git")
        with external_shop(
            daemon, images, repository, server.url("shop.git"), branch="release"
        ) as shop:
            shop.commit(shop.version("one"))
            shop.look()
            assert shop.all() == []
            assert shop.shown()["state"] in {"branch-gone", "never-deployed"}
            assert "branch-gone" in {one["code"] for one in daemon.why(shop.name)["reasons"]}
            refused = daemon.api.post(f"projects/{shop.name}/deployments", json={})
            assert refused.json()["code"] == "revision-not-found"
            repository.git("branch", "release", "main")
            shop.look()
            shop.deployed(1)


@pytest.mark.slow
def test_the_file_is_read_once_a_commit_and_a_poll_is_one_request(images: Images) -> None:
    """A9: once the server is known, a poll that finds nothing new is a single request."""
    with GitServer(tls=True) as server, _daemon_for(server) as daemon:
        repository = server.repository("shop.git")
        with external_shop(daemon, images, repository, server.url("shop.git")) as shop:
            shop.commit(shop.version("one"))
            shop.look()
            shop.deployed(1)
            shop.look()
            _quiet_look(shop)
            before = len(server.requests)
            _quiet_look(shop)
            made = server.requests[before:]
            assert [one.method for one in made] == ["POST"], [one.target for one in made]
            assert b"refs/heads/main" in made[0].body


def _quiet_look(shop: Shop) -> None:
    """Wait for a look that nobody asked for."""
    before = shop.shown()["looked_at"]
    eventually(lambda: shop.shown()["looked_at"] != before, within=20, what="the next poll")
