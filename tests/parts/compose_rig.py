"""One compose project on the real engine, with its repository, its registry and its strategy."""

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.adapters.git.checkouts import GitCheckouts
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.scratch import Scratches
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import DeploymentId, PreparedTarget
from reconciler.domain.host import LOCAL, HostName, HostPath
from reconciler.domain.project import HostedSource, Project, ProjectKind
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    Digest,
    ProjectName,
    RepositoryPath,
    ServiceName,
)
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
from reconciler.ports import Checkouts, RegistryCredentials, Work
from reconciler.strategies.compose import ComposeOptions, ComposeStrategy, SelfUpdates
from tests.parts.docker_engine import RUN_LABEL, DockerEngine
from tests.parts.git_repository import Repository
from tests.parts.hosts import Hosts
from tests.parts.registry import Registry
from tests.parts.waiting import eventually

CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
#: Ends at once when it is told to; PID 1 of a container ignores TERM unless it says otherwise.
POLITE = ("sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait")
#: Short, because the tests' services are up at once; longer windows are the unit tests' business.
WINDOW = Window(healthy=timedelta(seconds=0.5), unchecked=timedelta(seconds=1.5))


@dataclass
class ComposeRig:
    """A project with an empty repository, and deployments of it, numbered from 1."""

    engine: DockerEngine
    registry: Registry
    folder: Path
    strategy: ComposeStrategy
    checkouts: Checkouts
    repository: Repository
    project: Project
    target: Target
    log: list[str] = field(default_factory=list)
    deployments: int = 0

    @property
    def name(self) -> ProjectName:
        """The project's name, which is its compose project's too."""
        return self.project.name

    @property
    def tree(self) -> Path:
        """The work tree that compose runs in."""
        if self.target.host == LOCAL:
            return self.checkouts.tree(self.name)
        return Path(self.target.folder) / "source"

    def image(
        self, tag: str = "app:1", *, version: str = "one", cmd: Sequence[str] = POLITE
    ) -> str:
        """Push an image that holds ``version`` as ``tag``; return its reference."""
        local = f"{self.engine.run_id}/{tag}"
        self.engine.build_image(local, cmd=cmd, files={"version": version})
        self.engine.push(local, self.registry.host, repository=tag)
        return f"{self.registry.host}/{tag}"

    def digest(self, reference: str) -> Digest:
        """Return what the registry has behind ``reference`` now."""
        repository, _, tag = reference.partition("/")[2].partition(":")
        return Digest(self.registry.digest(repository, tag))

    def commit(self, compose: str, files: Mapping[str, str | bytes | None] | None = None) -> str:
        """Commit a compose file, its services labelled with the test run."""
        return self.repository.commit({"compose.yaml": compose, **(files or {})})

    def work(
        self,
        commit: str | None = None,
        *,
        variables: Mapping[str, str] | None = None,
        images: Mapping[str, Digest] | None = None,
    ) -> Work:
        """Return the next deployment's work: of ``commit``, by default the branch's tip."""
        self.deployments += 1
        is_image = self.project.kind is ProjectKind.IMAGE
        sha = None if is_image else CommitSha(commit or self.repository.tip())
        return Work(
            deployment=DeploymentId(self.deployments),
            project=self.project,
            target=self.target,
            revision=Revision(sha, images or {}),
            variables={name: Secret.of(value) for name, value in (variables or {}).items()},
            credentials=None,
            log=self.log.append,
            cancel=threading.Event(),
            may_take_over=True,
            fence=self.deployments,
        )

    def check_out(self) -> None:
        """Make the work tree hold the branch's tip, without deploying anything."""
        commit = CommitSha(self.repository.tip())
        assert self.project.source is not None
        self.checkouts.fetch(self.name, self.project.source, commit, None)
        self.checkouts.switch(self.name, commit)

    def deploy(self, work: Work | None = None) -> PreparedTarget:
        """Prepare and apply; whether it runs well is `judged`'s to say."""
        work = work or self.work()
        prepared = self.strategy.prepare(work)
        self.strategy.apply(work, prepared)
        return prepared

    def observe(self) -> Sequence[Sample]:
        """Return what runs now, as the strategy sees it."""
        return self.strategy.observe(self.target)

    def judged(self, prepared: PreparedTarget, window: Window = WINDOW) -> Judgement:
        """Watch what runs until there is a verdict, as the pipeline does."""
        clock = SystemClock()
        began = clock.monotonic()
        seen: list[Observation] = []

        def decided() -> Judgement | None:
            at = timedelta(seconds=clock.monotonic() - began)
            seen.append(Observation(at, tuple(self.observe())))
            judgement = judge(prepared, seen, window)
            return judgement if judgement.verdict is not Verdict.UNDECIDED else None

        judgement = eventually(decided, within=30, what=f"a verdict on {self.name}")
        assert judgement is not None
        return judgement

    def running(self, service: str) -> dict[str, str]:
        """Return the id, image id and image name of the service's one container."""
        (container,) = (
            one
            for one in self.engine.containers(self.name)
            if one["Config"]["Labels"]["com.docker.compose.service"] == service
        )
        return {
            "id": container["Id"],
            "image": container["Image"],
            "name": container["Config"]["Image"],
        }

    def compose(self, *arguments: str) -> str:
        """Run compose in the work tree as a person would, without our override."""
        return self.engine.docker(
            "compose", "--project-name", self.name, "--project-directory", self.tree, *arguments
        )


@contextmanager
def open_rig(
    engine: DockerEngine,
    registry: Registry,
    folder: Path,
    *,
    credentials: RegistryCredentials | None = None,
    hosts: Hosts | None = None,
    host: HostName = LOCAL,
    **declared: object,
) -> Iterator[ComposeRig]:
    """Give a project on the engine until the block ends; ``declared`` are fields of ``Project``."""
    with ExitStack() as stack:
        known = hosts or stack.enter_context(Hosts(folder))
        runner = known.runner
        name = ProjectName(engine.unique("app"))
        repositories = BareRepositories(
            folder / "repositories", runner, hook=find_hook(), socket=folder / "daemon.sock"
        )
        repository = Repository(repositories.create(name))
        fields: dict[str, object] = {
            "kind": ProjectKind.COMPOSE,
            "source": HostedSource(name, BranchName("main")),
            "compose_path": RepositoryPath("compose.yaml"),
            "expose_service": ServiceName("web"),
            "expose_port": 80,
            **declared,
        }
        project = Project(
            name=name,
            created_at=CREATED_AT,
            updated_at=CREATED_AT,
            **fields,  # type: ignore[arg-type]
        )
        remote = DulwichRemote(folder / "remote", runner, HostKeys(lambda _: "", lambda *_: None))
        made = GitCheckouts(folder / "data", runner, remote, repositories)
        strategy = ComposeStrategy(
            machines=known.machines,
            checkouts=made,
            registry=OrasRegistry(SystemClock(), lambda host, project: credentials),
            reader=RuamelComposeReader(),
            options=ComposeOptions(folder / "data", docker_host=f"unix://{engine.socket}"),
            credentials_for=lambda host, project: credentials,
            self_updates=SelfUpdates(
                folder / "self-update",
                runner,
                f"unix://{engine.socket}",
                sys.executable,
                timedelta(minutes=1),
            ),
        )
        target = Target(
            name, host, TargetStrategy.COMPOSE, HostPath(str(folder / "on-host" / name))
        )
        stack.callback(engine.remove_project, name)
        yield ComposeRig(engine, registry, folder, strategy, made, repository, project, target)


def compose_file(engine: DockerEngine, **services: str) -> str:
    """Return a compose file: service → the rest of its lines, indented by four, after its image."""
    lines = ["services:"]
    for name, text in services.items():
        image, _, rest = text.partition("\n")
        lines += [f"  {name}:", f"    image: {image}", "    stop_signal: KILL"]
        lines += [f"    labels: {{{RUN_LABEL}: {engine.run_id}}}"] if "labels:" not in rest else []
        lines += [f"    {line}" for line in rest.splitlines()]
    return "\n".join(lines) + "\n"


def scratches_of(rig: ComposeRig) -> tuple[DulwichRemote, BareRepositories, Scratches]:
    """Return what plans of the rig look at: git servers, hosted repositories, and commits."""
    runner = LocalRunner("tests")
    hosted = BareRepositories(
        rig.folder / "repositories", runner, hook=find_hook(), socket=rig.folder / "daemon.sock"
    )
    remote = DulwichRemote(rig.folder / "plan-git", runner, HostKeys(lambda _: "", lambda *_: None))
    return remote, hosted, Scratches(rig.folder / "scratch", runner, remote, hosted, rig.checkouts)
