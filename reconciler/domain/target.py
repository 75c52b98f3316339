"""A project on a host: where and how it runs there."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from reconciler.domain.health_check import HealthCheck
from reconciler.domain.host import LOCAL, HostName, HostPath
from reconciler.domain.references import ProjectName, RepositoryPath
from reconciler.domain.workload import Workload

_UNSAID = HostPath("")


class TargetStrategy(StrEnum):
    """How a target changes."""

    COMPOSE = "compose"  #: docker compose, pinned by digest
    SYSTEMD = "systemd"  #: built here, sent over, run as a systemd unit
    SYSTEMD_REMOTE = "systemd-remote"  #: built on the host, run as a systemd unit
    KUBERNETES = "kubernetes"  #: images of workloads in a cluster, set by digest


#: How a target changes → programs that its host must have.
NEEDED_TOOLS: Mapping[TargetStrategy, frozenset[str]] = {
    TargetStrategy.COMPOSE: frozenset({"docker", "compose", "flock", "git"}),
    TargetStrategy.SYSTEMD: frozenset({"rsync", "flock"}),
    TargetStrategy.SYSTEMD_REMOTE: frozenset({"git", "flock"}),
    TargetStrategy.KUBERNETES: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Target:
    """One project on one host, as declared.

    ``systemd`` and ``systemd-remote`` keep their releases below ``folder``::

        folder/releases/<name of the release>/   what runs, or ran
        folder/current                           symbolic link to the one that runs
        folder/source/                           systemd-remote: the work tree it is built in

    ``compose`` runs in the work tree ``folder/source/``, but on the daemon's own machine, where
    the work tree is among the daemon's data.
    """

    project: ProjectName
    host: HostName = LOCAL  #: kubernetes: the cluster
    strategy: TargetStrategy = TargetStrategy.SYSTEMD
    folder: HostPath = _UNSAID  #: on the host; ``default_folder`` unless the operator said
    source_folder: RepositoryPath | None = None  #: in the repository; None: its top
    build: tuple[str, ...] = ()  #: run in the source folder; empty: nothing has to be built
    binary: RepositoryPath | None = None  #: what the unit runs, below the source folder
    files: tuple[RepositoryPath, ...] = ()  #: more that goes with it, files or folders
    user: str = ""  #: whom the unit runs as; empty: root
    port: int | None = None  #: where it listens; goes to the unit as ``PORT``
    environment: Mapping[str, str] = field(default_factory=dict)  #: not secret
    compose_files: tuple[RepositoryPath, ...] = ()  #: compose: more files, later ones win
    health: HealthCheck | None = None
    ready: HealthCheck | None = None  #: a second one, which has to pass as well
    #: The host goes back by itself unless confirmed by then.
    confirm_within: timedelta | None = None
    namespace: str = ""  #: kubernetes
    workloads: tuple[Workload, ...] = ()  #: kubernetes
    #: systemd, of what another environment verified as an image: which one, as its revision calls
    #: it; the release is the folder ``image_folder`` in it. Empty: a release that was built there.
    image: str = ""
    image_folder: HostPath = _UNSAID
    #: compose: the folder on the host that relative paths of the files start from, and that
    #: untracked environment files are in; empty: the work tree.
    base: HostPath = _UNSAID

    @property
    def keeps_volumes(self) -> bool:
        """Whether what runs there has its data there, and nowhere else."""
        return self.strategy is TargetStrategy.COMPOSE

    @property
    def unit(self) -> str:
        """The systemd unit that runs it."""
        return f"{self.project}.service"


def default_folder(project: ProjectName) -> HostPath:
    """Return where a target lives on its host unless the operator says otherwise."""
    return HostPath(f"/opt/apps/{project}")


def find_clashes(targets: Iterable[Target]) -> Iterator[tuple[Target, Target]]:
    """Yield two targets each that would change the same thing on one host, or in one cluster."""
    every = tuple(targets)
    yield from _in_one_folder(every)
    yield from _of_one_workload(every)


def _of_one_workload(targets: Iterable[Target]) -> Iterator[tuple[Target, Target]]:
    named: dict[tuple[str, str, str], Target] = {}
    for target in targets:
        for workload in target.workloads:
            other = named.setdefault((target.host, target.namespace, str(workload)), target)
            if other is not target:
                yield other, target


def _in_one_folder(targets: Iterable[Target]) -> Iterator[tuple[Target, Target]]:
    """Yield two each whose folder is in the other's, or the same.

    Where none is named, the daemon has its own.
    """
    named = (one for one in targets if one.folder)
    around: Target | None = None
    # With a slash at its end, what is below a folder comes right behind it.
    for target in sorted(named, key=lambda one: (one.host, f"{one.folder}/")):
        inside = around is not None and f"{target.folder}/".startswith(f"{around.folder}/")
        if around is not None and inside and around.host == target.host:
            yield around, target
        else:
            around = target


def implied_target(project: ProjectName) -> Target:
    """Return the target of a compose or image project that declares none: the daemon's machine."""
    return Target(project, LOCAL, TargetStrategy.COMPOSE)
