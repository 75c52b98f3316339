"""Whole deployments to hosts, against the same steps typed by hand over one kept SSH connection.

By hand is what a careful person's script does: checkout, build, rsync, switch and restart, ask the
health path. The stability window, set to its minimum, is subtracted from ours: it is no work.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import pytest

from tests.benchmarks.table import Row, median, print_table
from tests.parts.daemon import SHORT_WINDOWS, Daemon
from tests.parts.docker_engine import DockerEngine
from tests.parts.registry import Registry
from tests.parts.shop import Images, Shop, hosted_shop
from tests.parts.sshd import Sshd
from tests.parts.systemd_host import SystemdHost
from tests.parts.unit_shop import UnitShop, join, server, unit_shop

pytestmark = [
    pytest.mark.bench,
    pytest.mark.needs_docker,
    pytest.mark.needs_systemd,
    pytest.mark.needs_sshd,
    pytest.mark.needs_git,
    pytest.mark.needs_registry,
    pytest.mark.timeout(600),
]

ROUNDS = 7
HOSTS = 10
WINDOW_SECONDS = SHORT_WINDOWS["stability_healthy_seconds"]
#: As `target` declares it, with nothing to wait for.
QUICK = {"kind": "http", "path": "/", "interval_seconds": 0.1, "successes": 1}


@pytest.fixture(scope="module")
def daemon(engine: DockerEngine) -> Iterator[Daemon]:
    with Daemon({"log_level": "warning"}) as running:
        yield running


@pytest.mark.parametrize("strategy", ["systemd", "systemd-remote"])
def test_what_orchestration_adds(
    daemon: Daemon, systemd_host: SystemdHost, tmp_path: Path, strategy: str
) -> None:
    """Print the wall time of both, in turns, and where ours goes."""
    name = f"bench-{strategy}"
    join(daemon, systemd_host, name)
    changes = {"strategy": strategy, "health": QUICK}
    with (
        unit_shop(daemon, tmp_path, {name: systemd_host}, [changes]) as shop,
        _ByHand(systemd_host, shop, built_there=strategy == "systemd-remote") as by_hand,
    ):
        _deploy(shop, 0)
        by_hand.deploy(shop.repository.tip())
        ours, theirs = [], []
        for number in range(1, ROUNDS + 1):
            ours.append(_deploy(shop, number))
            theirs.append(_seconds(partial(by_hand.deploy, shop.repository.tip())))
        own, typed = median(ours), median(theirs)
        print_table(
            f"one deployment, {strategy}, warm connection",
            [
                Row("wall, s (stability window apart)", own, typed),
                Row("what orchestration adds, ms", (own - typed) * 1000, note="aim 300"),
                *_stages(shop),
            ],
            theirs="by hand",
        )


def test_what_orchestration_adds_to_compose(
    daemon: Daemon, engine: DockerEngine, tmp_path: Path
) -> None:
    """Print the wall time of both, in turns: the same new commit, on a host beside the engine."""
    with ExitStack() as stack:
        registry, host = stack.enter_context(Registry()), stack.enter_context(Sshd())
        images, name = Images(engine, registry), join(daemon, host, "bench-compose")
        shop = stack.enter_context(hosted_shop(daemon, images, tmp_path, auto_deploy=False))
        there = {"host": name, "folder": str(tmp_path / "there")}
        daemon.post(f"projects/{shop.name}/targets", there)
        shop.enable()
        by_hand = stack.enter_context(_ComposeByHand(host, shop, tmp_path / "hand"))
        ours, theirs = [], []
        for number in range(ROUNDS + 1):
            images.push("app:1", version=f"{number}")
            shop.push(shop.version(f"{number}", images.at("app:1")))
            done = shop.deployed(number + 1)
            ours.append(sum(stage["seconds"] for stage in done["stages"]) - WINDOW_SECONDS)
            theirs.append(_seconds(by_hand.deploy))
        own, typed = median(ours[1:]), median(theirs[1:])
        print_table(
            "one deployment, compose on a host, warm connection",
            [
                Row("wall, s (stability window apart)", own, typed),
                Row("what orchestration adds, ms", (own - typed) * 1000, note="aim 300"),
            ],
            theirs="by hand",
        )


def test_ten_hosts_at_once(daemon: Daemon, engine: DockerEngine, tmp_path: Path) -> None:
    """Print a deployment to ten hosts beside one to a single host."""
    with ExitStack() as stack:
        hosts = {}
        for number in range(HOSTS):
            host = stack.enter_context(SystemdHost(engine))
            hosts[join(daemon, host, f"ten{number}")] = host
        changes = [{"health": QUICK}] * HOSTS
        one = dict(list(hosts.items())[:1])
        first = stack.enter_context(unit_shop(daemon, tmp_path / "one", one, changes))
        every = stack.enter_context(unit_shop(daemon, tmp_path / "ten", hosts, changes))
        for shop in (first, every):
            _deploy(shop, 0)
        single = median([_deploy(first, number) for number in range(1, ROUNDS + 1)])
        together = median([_deploy(every, number) for number in range(1, ROUNDS + 1)])
        print_table(
            f"one deployment to {HOSTS} hosts at once, systemd",
            [Row("wall, s (stability window apart)", together, single)],
            theirs="to one host",
        )


def _deploy(shop: UnitShop, number: int) -> float:
    """Push a version; return the seconds from its first stage to its end."""
    commit = shop.push(server(f"ours {number}"))
    done = shop.deployed(number + 1, commit=commit, within=120)
    stages = [stage["seconds"] for stage in done["stages"]]
    return float(sum(stages)) - WINDOW_SECONDS


def _stages(shop: UnitShop) -> Iterator[Row]:
    """Yield where our time goes."""
    for stage in ("prepare", "gate", "apply", "verify"):
        took = [
            one["seconds"]
            for deployment in shop.daemon.deployments(shop.name)[1:]
            for one in deployment["stages"]
            if one["stage"] == stage
        ]
        yield Row(f"  of ours, {stage}, s", median(took))


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


class _ByHand:
    """What a person would run for one commit, with folders and a unit of their own on the host."""

    def __init__(self, host: SystemdHost, shop: UnitShop, *, built_there: bool) -> None:
        """Say what is deployed; nothing is made before the block is entered."""
        self._host = host
        self._repository = shop.repository.path
        self._built_there = built_there
        self._port = shop.port + 500
        self._unit = f"hand-{shop.name}.service"
        self._there = f"/opt/hand/{shop.name}"
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(TemporaryDirectory(prefix="hand-", dir="/tmp")))
            kept = ("ControlMaster=auto", f"ControlPath={self._folder}/c", "ControlPersist=60")
            options = [part for option in kept for part in ("-o", option)]
            self._ssh = ["ssh", *self._host.client_options(), *options]
            stack.callback(self._run, *self._ssh, "-O", "exit", self._host.address)
            self._set_up()
            stack.callback(self._host.run, "systemctl", "stop", self._unit)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def deploy(self, commit: str) -> None:
        """Type it."""
        if self._built_there:
            self._build_there(commit)
        else:
            self._build_here(commit)

    def _set_up(self) -> None:
        current = f"{self._there}/current"
        unit = (
            f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nEnvironment=PORT={self._port}\n"
            f"ExecStart={current}/app\nWorkingDirectory={current}\n"
        )
        self._host.write(f"/etc/systemd/system/{self._unit}", unit)
        self._host.run("mkdir", "-p", f"{self._there}/releases")
        self._host.run("git", "init", "-q", "--bare", f"{self._there}/source.git")
        self._host.run("git", "init", "-q", f"{self._there}/source")

    def _build_here(self, commit: str) -> None:
        tree = self._folder / commit
        self._run("git", "clone", "-q", "--no-checkout", self._repository, tree)
        self._run("git", "-C", tree, "checkout", "-q", commit)
        self._run("sh", "build.sh", cwd=tree)
        self._run("chmod", "755", tree / "app")
        release = f"{self._host.address}:{self._there}/releases/{commit}/"
        self._run("rsync", "-a", "-e", " ".join(self._ssh), tree / "app", release)
        self._on_host(self._switch(commit))

    def _build_there(self, commit: str) -> None:
        remote = f"ssh://{self._host.address}{self._there}/source.git"
        self._run(
            *(
                "git",
                "-C",
                self._repository,
                "push",
                "-q",
                "-f",
                remote,
                f"{commit}:refs/heads/main",
            ),
            GIT_SSH_COMMAND=" ".join(self._ssh),
        )
        release = f"{self._there}/releases/{commit}"
        self._on_host(
            f"cd {self._there}/source && git fetch -q ../source.git {commit} && "
            f"git checkout -q {commit} && sh build.sh >/dev/null && chmod 755 app && "
            f"mkdir -p {release} && cp app {release}/ && {self._switch(commit)}"
        )

    def _switch(self, commit: str) -> str:
        new, current = f"{self._there}/new", f"{self._there}/current"
        return (
            f"ln -s releases/{commit} {new} && mv -T {new} {current} && "
            f"systemctl restart {self._unit} && "
            f"until curl -s http://127.0.0.1:{self._port}/; do sleep 0.05; done"
        )

    def _on_host(self, script: str) -> None:
        self._run(*self._ssh, self._host.address, script)

    def _run(self, *argv: str | Path, cwd: Path | None = None, **env: str) -> None:
        whole = {**os.environ, "HOME": str(self._folder), **env}
        subprocess.run(argv, check=True, capture_output=True, timeout=60, cwd=cwd, env=whole)


class _ComposeByHand:
    """`git pull`, `docker compose pull` and `up -d` in a clone on the host, over one connection."""

    def __init__(self, host: Sshd, shop: Shop, folder: Path) -> None:
        """Say what is deployed; nothing is made before the block is entered."""
        self._shop, self._folder = shop, folder
        kept = ("ControlMaster=auto", f"ControlPath={folder}/c", "ControlPersist=60")
        options = [part for option in kept for part in ("-o", option)]
        self._ssh = ["ssh", *host.client_options(), *options, "127.0.0.1"]
        self._project = shop.engine.unique("hand")

    def __enter__(self) -> Self:
        self._folder.mkdir()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        subprocess.run([*self._ssh, "-O", "exit"], capture_output=True, timeout=20, check=False)
        self._shop.engine.remove_project(self._project)

    def deploy(self) -> None:
        """Type it."""
        source, clone = self._shop.repository.path, self._folder / "clone"
        compose = f"docker compose -p {self._project}"
        script = (
            f"test -d {clone} || git clone -q {source} {clone}; cd {clone} && git pull -q && "
            f"{compose} pull -q && {compose} up -d --quiet-pull"
        )
        subprocess.run([*self._ssh, script], check=True, capture_output=True, timeout=60)
