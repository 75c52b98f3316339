"""The doubles that we ship, for tests here and of whoever builds on this. Nothing imports them."""

import hashlib
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from reconciler.domain.channel import Address
from reconciler.domain.deployment import DeploymentId, Pin, PlannedService, PreparedTarget, Stage
from reconciler.domain.errors import (
    Interrupted,
    InvalidInput,
    MigrationUnfinished,
    NotifyUnreachable,
    ReconcilerError,
)
from reconciler.domain.history import CommitInfo
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.probing import Reading
from reconciler.domain.project import Source
from reconciler.domain.references import (
    CommitSha,
    Digest,
    ImageReference,
    ProjectName,
    RepositoryPath,
    ServiceName,
)
from reconciler.domain.revision import Revision
from reconciler.domain.target import Target
from reconciler.domain.verification import RunState, Sample
from reconciler.domain.version_check import VersionCheck
from reconciler.ports import (
    Command,
    CommandResult,
    GitCredentials,
    Letter,
    LineSink,
    MigrationEnd,
    MigrationRun,
    TargetReport,
    Work,
)

_START = datetime(2030, 1, 1, tzinfo=UTC)


class ManualClock:
    """``Clock`` that moves only when it is told to, or by the waits that are asked of it."""

    def __init__(self, start: datetime = _START) -> None:
        self._start = start
        self._passed = timedelta(0)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the instant."""
        with self._lock:
            return self._start + self._passed

    def monotonic(self) -> float:
        """Return seconds since the start."""
        with self._lock:
            return self._passed.total_seconds()

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        with self._lock:
            self._passed += by

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let ``seconds`` pass at once, unless ``event`` is set already."""
        if event.is_set():
            return True
        self.advance(timedelta(seconds=max(seconds, 0.0)))
        return event.is_set()


@dataclass
class RecordingRunner:
    """``CommandRunner`` that runs nothing, and answers as it was told to."""

    #: Beginning of an argument list → (exit status, stdout, stderr); the longest match answers.
    answers: dict[tuple[str, ...], tuple[int, str, str]] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)

    def run(
        self,
        command: Command,
        *,
        on_line: LineSink | None = None,
        cancel: threading.Event | None = None,
    ) -> CommandResult:
        """Record ``command`` and give the answer for it; without one it succeeds in silence."""
        if cancel is not None and cancel.is_set():
            raise Interrupted(f"`{command.argv[0]}` was stopped")
        self.commands.append(command)
        matching = [start for start in self.answers if command.argv[: len(start)] == start]
        status, stdout, stderr = self.answers[max(matching, key=len)] if matching else (0, "", "")
        if on_line is not None:
            for line in [*stdout.splitlines(), *stderr.splitlines()]:
                on_line(line)
        return CommandResult(command.argv, status, stdout, stderr[-4096:], timedelta(0))


@dataclass
class RehearsedStrategy:
    """``Strategy`` whose target is a dictionary, and which fails where it is told to."""

    #: What the registry says: image → digest.
    digests: dict[str, Digest] = field(default_factory=dict)
    #: What runs: project and host → samples.
    running: dict[tuple[ProjectName, HostName], list[Sample]] = field(default_factory=dict)
    #: Errors to raise, by method name (and host, unless it is ``local``); each is raised once.
    failures: dict[str, list[ReconcilerError]] = field(default_factory=dict)
    #: How a container that is started looks, by digest; running well where nothing is said.
    looks: dict[Digest, Callable[[Sample], Sample]] = field(default_factory=dict)
    #: Called at the beginning of each method with its name.
    on_call: Callable[[str], object] = field(default=lambda _: None)
    calls: list[str] = field(default_factory=list)
    image: ImageReference = field(
        default_factory=lambda: ImageReference.parse("registry.example/team/app:main")
    )
    builds: bool = False  #: whether preparing says that it builds
    starts: int = 0
    #: What was still to be gone back to when something was forgotten last.
    kept: tuple[PreparedTarget, ...] = ()
    leaves_alone: bool = False  #: whether applying finds what runs as it should be
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def prepare(self, work: Work) -> PreparedTarget:
        """Pin the one image to what the revision says, or to what the registry says."""
        self._enter("prepare", work.target)
        if self.builds:
            work.enter(Stage.BUILD)
            self._enter("build", work.target)
        name = str(self.image)
        digest = work.revision.images.get(name) or self.digests[name]
        revision = Revision(work.revision.commit, {name: digest}, work.revision.generation)
        service = PlannedService(ServiceName("web"), Pin(self.image, digest))
        override = f".deploy/override-{work.deployment}.yaml"
        return PreparedTarget(
            revision, (service,), "compose.yaml", override, "0" * 64, work.target.host
        )

    def apply(self, work: Work, prepared: PreparedTarget) -> None:
        """Replace what runs."""
        self._enter("apply", work.target)
        if self.leaves_alone:
            return
        self.starts += 1
        self.running[work.project.name, work.target.host] = [
            self._container(service, service.pin.digest)
            for service in prepared.services
            if service.pin is not None
        ]
        work.log(f"started {prepared.revision}")

    def confirm(self, work: Work, prepared: PreparedTarget) -> None:  # noqa: ARG002
        """Remember that it was asked for."""
        self._enter("confirm", work.target)

    def observe(self, target: Target) -> Sequence[Sample]:
        """Return what runs."""
        self._enter("observe", target)
        return list(self.running.get((target.project, target.host), []))

    def diagnose(self, target: Target, log: LineSink) -> None:
        """Say that there is nothing to say."""
        self._enter("diagnose", target)
        log(f"no output of {target.project}")

    def forget(
        self,
        target: Target,
        prepared: PreparedTarget,
        kept: Collection[PreparedTarget],
    ) -> None:
        """Nothing is kept, so nothing is dropped; remember what was to stay."""
        self.kept = tuple(kept)
        self._enter(f"forget {prepared.override_file}", target)

    def set_up(self, work: Work) -> None:
        """Nothing is missing."""
        self._enter("set_up", work.target)

    def report(self, target: Target) -> TargetReport:
        """Count what runs."""
        self._enter("report", target)
        running = self.running.get((target.project, target.host), [])
        return TargetReport(f"{len(running)} running", None, "", "")

    def _container(self, service: PlannedService, digest: Digest) -> Sample:
        sample = Sample(
            id=f"{self.starts:012d}",
            service=service.name,
            state=RunState.RUNNING,
            digests=frozenset({digest}),
            started_at=str(self.starts),
        )
        look = self.looks.get(digest)
        return look(sample) if look is not None else sample

    def _enter(self, name: str, target: Target) -> None:
        where = name if target.host == LOCAL else f"{name} {target.host}"
        with self._lock:
            self.calls.append(where)
        self.on_call(where)
        with self._lock:
            waiting = self.failures.get(where)
            failure = waiting.pop(0) if waiting else None
        if failure is not None:
            raise failure


@dataclass
class RehearsedMigrator:
    """``Migrator`` whose migrations end as they are told to, and which counts them.

    What begins is kept under its host and deployment until it is forgotten, whatever becomes of
    who began it; one that is taken up ends as it would have ended then.
    """

    #: Exit statuses, one a run; without one it is 0.
    statuses: list[int] = field(default_factory=list)
    #: Called with what comes next: ``begin``, ``run``, ``follow`` or ``forget``.
    on_step: Callable[[str], object] = field(default=lambda _: None)
    #: Host and deployment → exit status.
    there: dict[tuple[HostName, DeploymentId], int] = field(default_factory=dict)
    runs: list[MigrationRun] = field(default_factory=list)  #: those that began

    def migrate(
        self,
        work: Work,
        prepared: PreparedTarget,  # noqa: ARG002
        run: MigrationRun,
    ) -> MigrationEnd:
        """Begin, or take up what is there."""
        key = (work.target.host, work.deployment)
        if not run.begun:
            self.there.pop(key, None)
            self.on_step("begin")
            run.on_begin()
            self.on_step("run")
            self.there[key] = self.statuses.pop(0) if self.statuses else 0
            self.runs.append(run)
        elif key not in self.there:
            raise MigrationUnfinished("no container of it is there", work.project.name)
        self.on_step("follow")
        return MigrationEnd(self.there[key], ("its last line",))

    def forget(self, work: Work) -> None:
        """Drop it."""
        self.on_step("forget")
        self.there.pop((work.target.host, work.deployment), None)


@dataclass
class RehearsedCommits:
    """``Commits`` whose files are a dictionary, and which has every commit."""

    files: dict[CommitSha, dict[RepositoryPath, bytes]] = field(default_factory=dict)
    #: Errors to raise of ``read_files``; each is raised once.
    failures: list[ReconcilerError] = field(default_factory=list)

    def fetch(
        self,
        project: ProjectName,
        source: Source,
        commit: CommitSha,
        credentials: GitCredentials | None,
    ) -> None:
        """Do nothing: it is here."""

    def read_files(
        self,
        project: ProjectName,  # noqa: ARG002
        commit: CommitSha,
        paths: Sequence[RepositoryPath],
    ) -> Mapping[RepositoryPath, bytes]:
        """Return those that there are."""
        if self.failures:
            raise self.failures.pop(0)
        there = self.files.get(commit, {})
        return {path: there[path] for path in paths if path in there}

    def describe(self, project: ProjectName, commit: CommitSha) -> CommitInfo:
        """Return one that tells itself by its id."""
        return CommitInfo(commit, f"Change {commit.short}", f"author of {project}", _START)


@dataclass
class RehearsedProber:
    """``Prober`` that answers as it was told to."""

    #: What is seen instead of what is expected, one an answer; without one it is well.
    problems: list[str] = field(default_factory=list)
    #: The same of the check for readiness.
    unready: list[str] = field(default_factory=list)
    #: What each container tells of its version, by address: what is wrong with it. Right if none.
    versions: dict[str, str] = field(default_factory=dict)
    #: Whose version was asked for, and which commit it should be.
    asked_versions: list[tuple[str, CommitSha]] = field(default_factory=list)
    #: What every answer is made of: the target, and the commit that should run.
    asked: list[tuple[Target, CommitSha | None]] = field(default_factory=list)

    def probe(self, target: Target, commit: CommitSha | None, *, ready: bool = False) -> Reading:
        """Give the next answer."""
        self.asked.append((target, commit))
        problems = self.unready if ready else self.problems
        return Reading("ready" if ready else "health", problems.pop(0) if problems else "")

    def probe_version(
        self,
        target: Target,  # noqa: ARG002
        address: str,
        check: VersionCheck,  # noqa: ARG002
        commit: CommitSha,
    ) -> Reading:
        """Tell what is wrong with the container's version."""
        self.asked_versions.append((address, commit))
        return Reading("version", self.versions.get(address, ""))


@dataclass
class RecordingNotifier:
    """``Notifier`` that sends nothing, and answers as it was told to."""

    #: Errors to raise of ``send``, by service; each is raised once.
    failures: dict[str, list[Exception]] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)  #: services that answer only to ``cancel``
    sent: list[tuple[Address, Letter]] = field(default_factory=list)
    unusable: set[str] = field(default_factory=set)  #: services whose addresses are none
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def check(self, address: Address) -> None:
        """Refuse what was said to be unusable."""
        if address.service in self.unusable:
            raise InvalidInput("url", f"{address.service}://…", "can't be used")

    def send(self, address: Address, letter: Letter, cancel: threading.Event | None = None) -> None:
        """Keep it, unless an error waits."""
        if address.service in self.hanging:
            if cancel is not None and cancel.wait(20):
                raise Interrupted("sending was stopped")
            raise NotifyUnreachable(f"{address.service} did not answer within 20 s")
        with self._lock:
            if waiting := self.failures.get(address.service):
                raise waiting.pop(0)
            self.sent.append((address, letter))


def digest_of(seed: str) -> Digest:
    """Return a digest that is the same for the same ``seed``."""
    return Digest.parse("sha256:" + hashlib.sha256(seed.encode()).hexdigest())
