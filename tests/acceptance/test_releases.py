"""`reconciler release` against the real daemon: each way to end, and what the repository says."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.parts.daemon import PROGRAM, Daemon
from tests.parts.shop import Images, Shop, hosted_shop
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

#: Its health check takes a while, so that the deployment can't have ended before.
SLOW = 'healthcheck: {test: ["CMD-SHELL", "sleep 4"], interval: 1s, retries: 20}'


@pytest.fixture
def shop(shared_daemon: Daemon, images: Images, tmp_path: Path) -> Iterator[Shop]:
    """A project that deploys only what a person asks for."""
    with hosted_shop(shared_daemon, images, tmp_path, auto_deploy=False) as ready:
        yield ready


def release(shop: Shop, *options: str) -> tuple[int, str]:
    """Return the exit status, and all that was said."""
    said = shop.daemon.cli("release", shop.name, *options)
    return said.status, said.out + said.err


def interrupted(shop: Shop, *options: str) -> tuple[int, str]:
    """Begin to release, press Ctrl-C once it is followed, and return the same."""
    with following(shop, *options) as child:
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=40)
    return child.returncode, said


@contextmanager
def following(shop: Shop, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Give a release that has begun to follow its deployment."""
    with subprocess.Popen(
        [PROGRAM, "release", shop.name, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**shop.daemon.environment, "RECONCILER_SOCKET": str(shop.daemon.socket)},
        # A test run in the background passes on that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline().startswith("deployment ")
            yield child
        finally:
            child.kill()


@pytest.mark.timeout(120)
def test_every_end_has_its_exit_status(shop: Shop) -> None:
    """0 only for what was verified; whoever stops waiting stops nothing, unless that is asked."""
    bad = f"{shop.images.plain()}\ncommand: ['sh', '-c', 'exit 3']"
    shop.push(shop.version("bad", bad))
    assert release(shop)[0] == 11
    commit = shop.push(shop.version("one")).commit
    status, said = release(shop, "--commit", commit)
    assert (status, "deployed: deployment" in said) == (0, True), said
    assert shop.running_version() == "one"

    status, said = release(shop)
    assert (status, "live already" in said) == (0, True), said
    shop.engine.docker("stop", "--time", "0", shop.running()["Id"])
    status, said = release(shop)
    assert (status, "--force" in said) == (10, True), said

    shop.push(shop.version("worse", bad))
    assert release(shop)[0] == 12
    assert release(shop)[0] == 10  # it is quarantined
    assert shop.running_version() == "one"

    shop.push(shop.version("slow", f"{shop.images.plain()}\n{SLOW}"))
    assert release(shop, "--timeout", "1")[0] == 15
    shop.push(shop.version("never"))
    status, said = interrupted(shop, "--cancel-on-interrupt")
    assert (status, "was taken back" in said) == (130, True), said
    eventually(lambda: shop.all()[-2]["status"] == "deployed", within=60)
    assert shop.all()[-1]["status"] == "withdrawn"
    assert shop.running_version() == "slow"
    shown = shop.daemon.cli("deployment", str(shop.all()[-2]["id"])).out
    assert [line.split()[0] for line in shown.splitlines() if " s " in line and " ok" in line] == [
        *("prepare", "gate", "apply", "verify")
    ]


@pytest.mark.timeout(120)
@pytest.mark.slow
def test_a_repository_completes_its_declaration_where_that_is_allowed(shop: Shop) -> None:
    """Ignored and said; then it counts; and what is not its to say stops the deployment."""
    cli = shop.daemon.cli
    files = {
        ".reconciler.toml": 'compose_path = "deploy/app.yaml"\n',
        "deploy/app.yaml": shop.version("by the manifest"),
    }
    shop.commit(shop.version("as declared"), **files)
    shop.push()
    assert release(shop)[0] == 0
    assert shop.running_version() == "as declared"
    assert shop.all()[-1]["manifest"] == "ignored"
    assert "--allow-manifest" in cli("why", shop.name).out

    assert cli("project", "set", shop.name, "--allow-manifest").status == 0
    status, said = release(shop)
    assert (status, ".reconciler.toml says: compose_path" in said) == (0, True), said
    assert shop.running_version() == "by the manifest"

    shop.commit(shop.version("x"), **{".reconciler.toml": '[environment]\nLD_PRELOAD = "x"\n'})
    shop.push()
    status, said = release(shop)
    assert (status, "environment: is the operator's to say" in said) == (11, True), said
    assert shop.all()[-1]["error"]["code"] == "manifest-refused"
    assert shop.running_version() == "by the manifest"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_daemon_that_restarts_changes_nothing_about_the_answer(own_shop: Shop) -> None:
    """It is followed on, from the next life of the daemon, to the same end."""
    own_shop.deploy_first()
    own_shop.daemon.patch(f"projects/{own_shop.name}", {"auto_deploy": False})
    own_shop.push(own_shop.version("slow", f"{own_shop.images.plain()}\n{SLOW}"))
    with following(own_shop) as child:
        eventually(lambda: own_shop.all()[-1]["stage"] == "verify", within=30)
        own_shop.daemon.stop()
        own_shop.daemon.start()
        said, _ = child.communicate(timeout=90)
    assert child.returncode == 0, said
    assert "deployed: deployment 2" in said
