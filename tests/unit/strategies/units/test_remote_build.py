"""Builds on hosts that don't answer as ours do: broken into, or with programs of another kind."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.hosts.local import LocalMachine
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import DeploymentId
from reconciler.domain.errors import CommandFailed
from reconciler.domain.project import HostedSource, Project, ProjectKind, Source
from reconciler.domain.references import BranchName, CommitSha, ProjectName, RepositoryPath
from reconciler.domain.revision import Revision
from reconciler.domain.target import Target, TargetStrategy
from reconciler.ports import GitCredentials, Work
from reconciler.strategies.units.release_maker import Bench
from reconciler.strategies.units.remote_build import RemoteBuild
from reconciler.strategies.units.site import Site
from reconciler.strategies.units.sources import Sources
from reconciler.strategies.units.steps import Steps
from reconciler.testing import RecordingRunner

NAME = ProjectName("api")
COMMIT = CommitSha("a" * 40)
_STEP = ("sh", "-s", "--", "/opt/apps/api", "1")
FOLLOW = (*_STEP, "reconciler-build-api")
#: The fence comes next.
OTHERS = (*_STEP, "7")


class _Checkouts:
    """Every commit is there."""

    def fetch(
        self,
        project: ProjectName,
        source: Source,
        commit: CommitSha,
        credentials: GitCredentials | None,
    ) -> None:
        """Bring nothing."""

    def repository(self, project: ProjectName) -> Path:
        """Return where nothing is."""
        return Path("/nonexistent", project)


def make(answers: dict[tuple[str, ...], str], timeout: timedelta) -> list[str]:
    """Build on a host that gives ``answers``, and return what is told of it."""
    log: list[str] = []
    runner = RecordingRunner({start: (0, said, "") for start, said in answers.items()})
    now = datetime(2030, 1, 1, tzinfo=UTC)
    source = HostedSource(NAME, BranchName("main"))
    target = Target(
        NAME,
        strategy=TargetStrategy.SYSTEMD_REMOTE,
        build=("make",),
        binary=RepositoryPath("app"),
    )
    work = Work(
        deployment=DeploymentId(1),
        project=Project(NAME, ProjectKind.UNIT, now, now, source=source),
        target=target,
        revision=Revision(COMMIT),
        variables={},
        credentials=None,
        log=log.append,
        cancel=threading.Event(),
        may_take_over=False,
        fence=7,
    )
    engine = DockerEngine()
    machine = LocalMachine(runner, engine, SystemClock())
    bench = Bench(
        work, Site.of(target), COMMIT, machine, Steps(machine), 1 << 30, frozenset(), "unit"
    )
    try:
        RemoteBuild(Sources(_Checkouts()), timeout).make(bench)  # type: ignore[arg-type]
    finally:
        engine.close()
    return log


@pytest.mark.parametrize("said", ["", "running", "running\nmany 0\n", "done 0\n\n"])
def test_nonsense_is_a_failure_of_that_host(said: str) -> None:
    """Not one of the daemon, which would try it again and again."""
    with pytest.raises(CommandFailed, match="host local answers in a way that we don't know"):
        make({OTHERS: "started", FOLLOW: said}, timedelta(minutes=1))


def test_a_build_that_never_ends_is_given_up() -> None:
    """However often the host says that it runs, or that there is more to read."""
    begun_long_ago = -timedelta(minutes=4, seconds=59.5)
    with pytest.raises(CommandFailed, match="does not say how the build ended"):
        make({OTHERS: "started", FOLLOW: f"running\n0 1\n{'x' * 100}"}, begun_long_ago)
