"""A push to a hosted repository brings up what was pushed, with nobody watching."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon
from tests.parts.git_repository import Repository, environment
from tests.parts.shop import Images, Shop, hosted_shop
from tests.parts.sshd import Sshd
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


def test_a_push_is_deployed_verified_and_said_on_the_pushers_terminal(shop: Shop) -> None:
    """A2, A5: the first push aligns, the next one deploys, and the pusher reads which one."""
    assert shop.shown()["state"] == "never-deployed"
    first = shop.push(shop.version("one"))
    assert first.ok
    deployment = shop.deployed(1, commit=first.commit)
    assert f"reconciler: {shop.name}: admitted: deployment {deployment['id']}" in first.said
    assert shop.running_version() == "one"

    second = shop.push(shop.version("two"))
    newest = shop.deployed(2, commit=second.commit)
    assert shop.running_version() == "two"
    assert newest["causes"][0]["trigger"] == "push"
    shown = shop.shown()
    assert (shown["state"], shown["live"]["commit"]) == ("in-sync", second.commit)
    assert shown["tracked_commit"] == second.commit
    assert [stage["stage"] for stage in newest["stages"]] == ["prepare", "gate", "apply", "verify"]
    assert {stage["outcome"] for stage in newest["stages"]} == {"ok"}
    _has_one_id_all_the_way(shop, newest["id"], newest["correlation"])


@pytest.mark.slow
def test_the_same_push_again_deploys_nothing(shop: Shop) -> None:
    """A18: a push that moves nothing, and a look that sees nothing new, ask for nothing."""
    shop.deploy_first()
    again = shop.push()
    assert "Everything up-to-date" in again.said
    shop.look()
    assert len(shop.all()) == 1


@pytest.mark.slow
def test_only_the_followed_branch_deploys(shop: Shop) -> None:
    """A push of another branch is accepted, and the pusher is told that nobody follows it."""
    shop.deploy_first()
    shop.repository.commit({"compose.yaml": shop.version("elsewhere")}, branch="other")
    said = shop.push(None, "other").said
    assert f"reconciler: no project follows other of {shop.name}" in said
    # A name that begins like the branch is another branch.
    shop.push(None, "other:refs/heads/main-2")
    shop.look()
    assert len(shop.all()) == 1
    assert shop.running_version() == "first"


def test_the_main_branch_can_not_be_deleted_by_a_push(shop: Shop) -> None:
    """Git refuses it and says so; what runs stays, and nothing is asked for."""
    shop.deploy_first()
    refused = shop.push(None, ":main")
    assert not refused.ok
    assert "deletion of the current branch prohibited" in refused.said
    shop.look()
    assert shop.shown()["state"] == "in-sync"
    assert len(shop.all()) == 1


@pytest.mark.slow
def test_a_branch_that_is_deleted_is_a_state_and_no_deployment(
    shared_daemon: Daemon, images: Images, tmp_path: Path
) -> None:
    """What runs stays as it is; the branch coming back deploys what it holds then."""
    with hosted_shop(shared_daemon, images, tmp_path, branch="live") as shop:
        shop.push(shop.version("first"), "main", "main:live")
        shop.deployed(1)
        before = shop.running()["Id"]
        gone = shop.push(None, ":live")
        assert f"{shop.name}: branch live is gone; what runs stays as it is" in gone.said
        assert shop.shown()["state"] == "branch-gone"
        assert any(one["code"] == "branch-gone" for one in shop.daemon.why(shop.name)["reasons"])
        assert shop.running()["Id"] == before
        assert len(shop.all()) == 1

        back = shop.push(shop.version("back"), "main:live")
        shop.deployed(2, commit=back.commit)
        assert shop.shown()["state"] == "in-sync"


@pytest.mark.slow
def test_a_branch_that_is_forced_back_deploys_the_old_commit_again(shop: Shop) -> None:
    """What the branch says counts, forwards and backwards."""
    one = shop.push(shop.version("one"))
    shop.deployed(1)
    shop.push(shop.version("two"))
    shop.deployed(2)
    forced = shop.push(None, f"+{one.commit}:refs/heads/main", force=True)
    assert forced.ok
    shop.deployed(3, commit=one.commit)
    assert shop.running_version() == "one"


@pytest.mark.slow
def test_pushes_made_while_the_daemon_was_down_are_found_at_its_start(own_shop: Shop) -> None:
    """A5, F5: a push straight into the bare repository, with nobody there to be told."""
    shop, daemon = own_shop, own_shop.daemon
    shop.deploy_first()
    daemon.stop()
    bare = daemon.data / "repositories" / f"{shop.name}.git"
    missed = shop.commit(shop.version("missed"))
    said = _push_to(shop.repository, str(bare), {})
    assert "reconciler: the daemon is not running; it will see this push when it starts" in said
    daemon.start()
    shop.deployed(2, commit=missed)
    assert shop.running_version() == "missed"


@pytest.mark.needs_sshd
def test_a_push_through_sshd_triggers_by_the_hook(shop: Shop, sshd: Sshd) -> None:
    """A5: the same repository, served by sshd: `post-receive` tells, and the pusher reads it."""
    shop.deploy_first()
    bare = shop.daemon.data / "repositories" / f"{shop.name}.git"
    commit = shop.commit(shop.version("over ssh"))
    ssh = " ".join(["ssh", *sshd.client_options()])
    url = f"ssh://{sshd.user}@127.0.0.1:{sshd.port}{bare}"
    started = time.monotonic()
    said = _push_to(shop.repository, url, {"GIT_SSH_COMMAND": ssh})
    assert time.monotonic() - started < 10
    assert f"reconciler: {shop.name}: admitted: deployment" in said
    shop.deployed(2, commit=commit)
    assert shop.running_version() == "over ssh"


def test_who_has_no_token_can_not_push(shop: Shop) -> None:
    """Neither without a password, nor with another repository's token, nor for reading."""
    shop.deploy_first()
    reading = shop.daemon.post("tokens", {"name": f"read-{shop.name}", "scope": "read"})["token"]
    other = f"{shop.name}-other"
    shop.daemon.post("repositories", {"name": other})
    others = shop.daemon.post(f"repositories/{other}/tokens", {"name": f"push-{other}"})["token"]
    shop.commit(shop.version("stolen"))
    for password in ("", "wrong" * 8, reading, others):
        shop.remote = f"http://git:{password}@127.0.0.1:{shop.daemon.port}/git/{shop.name}.git"
        assert not shop.push().ok, f"pushed with {password!r}"
    assert len(shop.all()) == 1


@pytest.mark.slow
def test_two_projects_of_one_repository_each_follow_their_branch(
    shared_daemon: Daemon, images: Images, tmp_path: Path
) -> None:
    """One push of one branch deploys the project that follows it, and no other."""
    with hosted_shop(shared_daemon, images, tmp_path) as main:
        main.deploy_first()
        with hosted_shop(
            shared_daemon, images, tmp_path, repository=main.name, branch="live"
        ) as live:
            live.repository = main.repository
            pushed = live.push(None, "main:refs/heads/live")
            assert f"reconciler: {live.name}: admitted" in pushed.said
            live.deployed(1)
            eventually(lambda: live.running_version() == "first", what="live runs it")
            assert len(main.all()) == 1


def _push_to(repository: Repository, url: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        ["git", "--git-dir", repository.path, "push", url, "main"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**environment(), **env},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def _has_one_id_all_the_way(shop: Shop, deployment: int, correlation: str) -> None:
    """F11: from the push to the end, no line of the log is without the deployment's id."""
    lines = [
        line for line in shop.daemon.log.splitlines() if f" deployment={deployment} " in f"{line} "
    ]
    told = " ".join(lines)
    assert all(f"correlation={correlation}" in line for line in lines), told
    assert all(step in told for step in ("push (", "prepare: ok", "verify: ok", "deployed")), told
    assert correlation
    assert shop.daemon.triggers(shop.name)[0]["correlation"] == correlation
