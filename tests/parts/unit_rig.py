"""One project that runs as a unit on a real host, with its repository and both its strategies."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from reconciler.adapters.git.checkouts import GitCheckouts
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import DeploymentId, PreparedTarget, Release
from reconciler.domain.host import Host, HostName, HostPath
from reconciler.domain.project import HostedSource, Project, ProjectKind
from reconciler.domain.references import BranchName, CommitSha, ProjectName, RepositoryPath
from reconciler.domain.revision import Revision
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.verification import (
    Judgement,
    Observation,
    Sample,
    Verdict,
    Window,
    judge,
)
from reconciler.ports import Machine, RegistryCredentials, Work
from reconciler.strategies.compose import ComposeOptions, EngineImageFiles
from reconciler.strategies.units import Myself, UnitOptions, UnitStrategy, unit_strategies
from tests.parts.git_repository import Repository
from tests.parts.hosts import Hosts
from tests.parts.systemd_host import SystemdHost
from tests.parts.waiting import eventually

CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
_NOBODY = Myself()
#: Short, because the tests' programs are up at once; longer windows are the unit tests' business.
WINDOW = Window(healthy=timedelta(seconds=0.2), unchecked=timedelta(seconds=0.4))


def app(version: str, then: str = "while :; do sleep 0.5; done") -> str:
    """Return a program, as its interpreter reads it, that says its version and runs on."""
    return f"#!/bin/sh\necho version {version}, variable $VARIABLE\n{then}\n"


@dataclass
class UnitRig:
    """A project with an empty repository, and deployments of it, numbered from 1."""

    host: SystemdHost
    hosts: Hosts
    repository: Repository
    project: Project
    target: Target
    strategies: Mapping[TargetStrategy, UnitStrategy]
    start: Callable[[Myself], Mapping[TargetStrategy, UnitStrategy]]
    log: list[str] = field(default_factory=list)
    deployments: int = 0
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def strategy(self) -> UnitStrategy:
        """The one that the target names."""
        return self.strategies[self.target.strategy]

    @property
    def machine(self) -> Machine:
        """The host, as the daemon has it."""
        return self.hosts.machines.get(self.target.host)

    def reborn(self, myself: Myself = _NOBODY) -> Self:
        """Let a new daemon take the place of the old one, which left all as it was."""
        self.strategies = self.start(myself)
        return self

    def path(self, below: str) -> str:
        """Return a path in the target's folder on the host."""
        return f"{self.target.folder}/{below}"

    def change(self, **changes: object) -> None:
        """Declare the target anew."""
        self.target = replace(self.target, **changes)  # type: ignore[arg-type]

    def commit(self, files: Mapping[str, str | bytes | None]) -> str:
        """Commit ``files`` and return the commit's id."""
        return self.repository.commit(files)

    def work(self, commit: str | None = None, *, new: bool = True) -> Work:
        """Return the next deployment's work, or the last one's once more, by a later worker."""
        self.deployments += new
        return Work(
            deployment=DeploymentId(self.deployments),
            project=self.project,
            target=self.target,
            revision=Revision(CommitSha(commit or self.repository.tip())),
            variables={name: Secret.of(value) for name, value in self.variables.items()},
            credentials=None,
            log=self.log.append,
            cancel=threading.Event(),
            may_take_over=self.deployments > 1,
            fence=1 if new else 2,
        )

    def prepare(self, commit: str | None = None) -> PreparedTarget:
        """Prepare the next deployment."""
        return self.strategy.prepare(self.work(commit))

    def deploy(self, commit: str | None = None) -> PreparedTarget:
        """Prepare and apply the next deployment; whether it runs well is `judged`'s to say."""
        work = self.work(commit)
        prepared = self.strategy.prepare(work)
        self.strategy.apply(work, prepared)
        return prepared

    def go_back(self, prepared: PreparedTarget) -> None:
        """Apply what an older deployment prepared, as a later one of the pipeline does."""
        self.strategy.apply(self.work(), prepared)

    def sample(self) -> Sample:
        """Return what runs now."""
        (sample,) = self.strategy.observe(self.target)
        return sample

    def judged(self, prepared: PreparedTarget, window: Window = WINDOW) -> Judgement:
        """Watch what runs until there is a verdict, as the pipeline does."""
        clock = SystemClock()
        began = clock.monotonic()
        seen: list[Observation] = []

        def decided() -> Judgement | None:
            at = timedelta(seconds=clock.monotonic() - began)
            seen.append(Observation(at, tuple(self.strategy.observe(self.target))))
            judgement = judge(prepared, seen, window)
            return judgement if judgement.verdict is not Verdict.UNDECIDED else None

        judgement = eventually(decided, within=30, what=f"a verdict on {self.project.name}")
        assert judgement is not None
        return judgement

    def main_process(self) -> str:
        """Return the id of the unit's main process, as systemd says it."""
        return self.host.unit(self.target.unit)["MainPID"]

    def current(self) -> str:
        """Return the name of the release that the link on the host leads to."""
        return self.host.run("readlink", self.path("current")).rpartition("/")[2]


@contextmanager
def open_unit_rig(
    host: SystemdHost,
    hosts: Hosts,
    folder: Path,
    name: str,
    *,
    build_timeout: timedelta = timedelta(seconds=30),
    credentials: RegistryCredentials | None = None,
    **declared: object,
) -> Iterator[UnitRig]:
    """Give a project on ``host`` until the block ends; ``declared`` are fields of ``Target``."""
    project = ProjectName(name)
    repositories = BareRepositories(
        folder / "repositories", hosts.runner, hook=find_hook(), socket=folder / "daemon.sock"
    )
    repository = Repository(repositories.create(project))
    remote = DulwichRemote(folder / "remote", hosts.runner, HostKeys(lambda _: "", lambda *_: None))
    checkouts = GitCheckouts(folder / "data", hosts.runner, remote, repositories)

    def start(myself: Myself = _NOBODY) -> Mapping[TargetStrategy, UnitStrategy]:
        options = UnitOptions(folder / "builds", build_timeout, myself)
        files = EngineImageFiles(
            hosts.machines, ComposeOptions(folder / "data"), lambda *_: credentials
        )
        return unit_strategies(hosts.machines, checkouts, hosts.runner, options, files)

    fields: dict[str, object] = {
        "strategy": TargetStrategy.SYSTEMD,
        "folder": HostPath(f"/opt/apps/{name}"),
        "build": ("sh", "build.sh"),
        "binary": RepositoryPath("app"),
        **declared,
    }
    rig = UnitRig(
        host=host,
        hosts=hosts,
        repository=repository,
        project=Project(
            project,
            ProjectKind.UNIT,
            CREATED_AT,
            CREATED_AT,
            source=HostedSource(project, BranchName("main")),
        ),
        target=Target(project, HostName("vps"), **fields),  # type: ignore[arg-type]
        strategies=start(),
        start=start,
    )
    try:
        yield rig
    finally:
        units = [rig.target.unit, f"reconciler-revert-{name}.timer", f"reconciler-build-{name}-*"]
        host.run("sh", "-c", 'systemctl stop -- "$@" || true', "sh", *units)


def declare(hosts: Hosts, host: SystemdHost, *, user: str = "root") -> None:
    """Declare ``host`` as ``vps``, with the key that it lets in."""
    name = HostName("vps")
    hosts.keys[name] = Secret.of(host.key_path.read_text())
    hosts.put(
        Host(
            name,
            CREATED_AT,
            address=host.address,
            user=user,
            port=host.port,
            host_keys=(host.host_key,),
        )
    )


def release_of(prepared: PreparedTarget) -> Release:
    """Return the release that was prepared."""
    (service,) = prepared.services
    assert isinstance(service.pin, Release)
    return service.pin
