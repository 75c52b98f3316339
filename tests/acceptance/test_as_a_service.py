"""The daemon runs as a service of systemd, within a unit that lets it do no more than its work."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters import confine
from tests.parts.docker_engine import DockerEngine, DockerFailed
from tests.parts.installed_service import UNIT, InstalledService, read_unit, service_options
from tests.parts.registry import Registry
from tests.parts.shop import Images, hosted_shop
from tests.parts.systemd_host import SystemdHost
from tests.parts.waiting import eventually

pytestmark = [
    pytest.mark.needs_systemd,
    pytest.mark.needs_git,
    pytest.mark.needs_registry,
]

#: What deployments are made of, run in the service's place. ``$1`` is this host's own address,
#: and ``$2`` what confines builds.
_PROBE = """\
#!/bin/sh
set -eu
cd "$(mktemp -d)"
ssh="ssh -F none -i $CREDENTIALS_DIRECTORY/key -o UserKnownHostsFile=/opt/probe/known_hosts
     -o ControlMaster=auto -o ControlPath=$HOME/probe -o ControlPersist=10 -l deploy"
mkdir tree
echo sent >tree/file
$ssh "$1" true
rsync --archive --rsh="$ssh" tree/ "$1:probe/"
$ssh "$1" cat probe/file
$ssh -O exit "$1" 2>/dev/null
git init --quiet origin
git -C origin -c user.name=x -c user.email=x commit --quiet --allow-empty --message=cloned
git clone --quiet origin clone
git -C clone log --format=%s
tar -c tree | tar -x --one-top-level=copies
cp --archive tree copies/again
mkdir -p "$HOME/build/tmp"
cd "$HOME/build"
confine="/opt/reconciler/bin/python -I -S $2 refuse"
$confine "$HOME" /run/docker.sock -- "$PWD/tmp" "$PWD" -- sh -c '
    touch made /tmp/made; ! ls ../master* ../run 2>/dev/null; ! docker ps 2>/dev/null' &&
    test -e made -a -e tmp/made && echo confined
docker compose version --short >/dev/null && docker ps --quiet >/dev/null && echo engine
for forbidden in /etc /usr /home /root; do ! touch "$forbidden/x" 2>/dev/null; done
! sudo --non-interactive true 2>/dev/null
echo end
"""


@pytest.fixture(scope="module")
def service(engine: DockerEngine) -> Iterator[InstalledService]:
    """The service on a host of its own, which has this machine's Docker engine."""
    with (
        SystemdHost(engine, options=service_options(engine)) as host,
        InstalledService(
            host, {"shutdown_grace_seconds": 20, "stability_unchecked_seconds": 5}
        ) as installed,
    ):
        yield installed


def test_the_documented_commands_set_it_up(service: InstalledService) -> None:
    """Word by word, up to the status that the last one prints; the master key stays root's."""
    assert "master switch" in service.said
    assert service.show("UnitFileState") == "enabled"
    assert service.show("StatusText") == f"working; listening on {service.url}"
    listed = service.host.run("ls", "-A", "/var/lib/reconciler").split()
    assert "state.db" in listed
    assert "master_key" not in listed
    modes = service.host.run(
        *("stat", "--format=%U %a", "/var/lib/reconciler", "/var/lib/reconciler/state.db"),
        *("/run/reconciler", "/etc/reconciler/master_key"),
    )
    assert modes.split("\n") == ["reconciler 700", "reconciler 600", "reconciler 700", "root 600"]


@pytest.mark.slow
def test_one_that_is_killed_is_started_again(service: InstalledService) -> None:
    """By systemd; it is active only once it takes requests, for what is ordered after it."""
    before = int(service.show("NRestarts"))
    service.kill()
    eventually(lambda: int(service.show("NRestarts")) == before + 1, what="it is started again")
    seen = set()

    def active() -> bool:
        state = service.show("ActiveState")
        seen.add(state)
        assert state != "active" or service.is_ready()
        return state == "active"

    eventually(active, within=20, what="the service is active")
    assert seen == {"activating", "active"}


@pytest.mark.slow
def test_one_that_hangs_is_ended_and_started_again(service: InstalledService) -> None:
    """One that works is heard of again and again."""
    service.configure("WatchdogSec=3")
    service.restart()
    heard = int(service.show("WatchdogTimestampMonotonic"))
    eventually(lambda: int(service.show("WatchdogTimestampMonotonic")) - heard > 1_500_000)
    assert service.show("NRestarts") == "0"
    service.signal(signal.SIGSTOP)
    eventually(lambda: service.show("NRestarts") == "1", what="it is started again")
    eventually(service.is_ready, within=20, what="it is ready again")
    assert "Watchdog timeout" in service.log
    assert "Fatal Python error: Aborted" in service.log, "the stacks of the one that hung"


@pytest.mark.slow
def test_a_wrong_setting_is_not_tried_again(service: InstalledService) -> None:
    """It ends with 78, says what is wrong, and waits for somebody."""
    service.stop()
    service.configure(deployments_at_once=0)
    with pytest.raises(DockerFailed, match="reconciler"):
        service.start()
    assert (service.show("ActiveState"), service.show("ExecMainStatus")) == ("failed", "78")
    assert service.show("NRestarts") == "0"
    assert "below the minimum" in service.log
    service.configure(deployments_at_once=4)
    service.start()


def test_the_sandbox_is_tight_and_without_mistakes(service: InstalledService) -> None:
    """Source: systemd-analyze(1), security: 0 is nothing left to take away, 10 all rights."""
    path = f"/etc/systemd/system/{UNIT}.service"
    assert not service.host.run("sh", "-c", f"systemd-analyze verify {path} 2>&1")
    report = service.host.run("systemd-analyze", "security", "--no-pager", UNIT)
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
    assert exposure
    print(exposure[0])  # noqa: T201  a figure to watch
    assert float(exposure[1]) < 2.5, report


def test_what_deployments_are_made_of_works_in_the_sandbox(service: InstalledService) -> None:
    """One ssh connection for several commands, rsync, git, tar, Docker; and nothing beyond."""
    host = service.host
    host.write("/opt/probe/run", _PROBE, mode=0o755)
    host.write("/opt/probe/confine.py", Path(confine.__file__).read_text(), mode=0o644)
    host.write("/opt/probe/key", host.key_path.read_text(), mode=0o600)
    host.write("/opt/probe/known_hosts", host.known_hosts_path.read_text())
    unit = read_unit()
    for before, after in (
        (r"^ExecStart=.*", f"ExecStart=/opt/probe/run {host.address} /opt/probe/confine.py"),
        (r"^Type=.*", "Type=oneshot"),
        (r"^Restart=.*", "Restart=no"),
        (r"^LoadCredential=.*", "LoadCredential=key:/opt/probe/key"),
        (r"^RuntimeDirectory=.*", "RuntimeDirectory=probe"),
    ):
        unit, count = re.subn(before, after, unit, flags=re.MULTILINE)
        assert count == 1, before
    host.write("/run/systemd/system/probe.service", unit)
    host.run("sh", "-c", "systemctl daemon-reload; systemctl start probe || true")
    said = [line for line in host.journal("probe").splitlines() if "probe" not in line]
    assert host.unit("probe")["Result"] == "success", host.journal("probe")
    assert [line for line in said if " " not in line] == [
        *("sent", "cloned", "confined", "engine", "end")
    ]


@pytest.mark.needs_docker
def test_it_deploys_with_compose_and_ends_what_it_began(
    service: InstalledService, engine: DockerEngine, tmp_path: Path
) -> None:
    """Stopped amid a deployment it says 503, lets that come to its end, and ends in order.

    It asks systemd for the time that its own grace takes.
    """
    service.configure("TimeoutStopSec=1")
    with (
        Registry() as registry,
        service.host.reaching(registry.port),
        hosted_shop(service, Images(engine, registry), tmp_path) as shop,
    ):
        pushed = shop.push(shop.version("first"))
        assert pushed.ok, pushed.said
        service.in_stage(shop.name, "verify")
        service.host.run("systemctl", "stop", "--no-block", UNIT)
        eventually(lambda: service.probe("ready")[0] == 503, within=3)
        assert service.probe("healthz")[0] == 503
        assert service.show("StatusText").startswith("draining")
        eventually(lambda: service.show("ActiveState") == "inactive", within=30)
        assert service.show("Result") == "success"
        service.start()
        newest = shop.deployed(1, commit=pushed.commit)
        assert newest["attempt"] == 1, "it was not taken up again"
        assert shop.running_version() == "first"
        # Containers of any user may read what is mounted of it; the folders around it are closed.
        tree = f"/var/lib/reconciler/projects/{shop.name}/tree"
        assert service.host.run("stat", "--format=%a", f"{tree}/compose.yaml") == "644"


@pytest.mark.slow
@pytest.mark.needs_docker
@pytest.mark.timeout(900)
def test_the_tests_of_compose_pass_in_the_sandbox() -> None:
    """Pushes, rollbacks, bursts and pinned digests, with the service for a daemon.

    Left out are those that look into its folder on this machine, or need a daemon of their own.
    """
    files = ("push_deploys", "back_and_forth", "bursts_coalesce", "digest_pinning")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-k", "not hook and not was_down"),
            *(Path(__file__).with_name(f"test_{name}.py") for name in files),
        ],
        env={**os.environ, "RECONCILER_TEST_AS_A_SERVICE": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
