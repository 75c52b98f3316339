"""The doubles that we ship, for tests here and of whoever builds on this. Nothing imports them."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from reconciler.domain.deployment import Pin, PlannedService, PreparedTarget
from reconciler.domain.errors import Interrupted, ReconcilerError
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.references import CommitSha, Digest, ImageReference, ProjectName, ServiceName
from reconciler.domain.revision import Revision
from reconciler.domain.target import Target
from reconciler.domain.verification import RunState, Sample
from reconciler.ports import Command, CommandResult, LineSink, TargetReport, Work

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
    starts: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def prepare(self, work: Work) -> PreparedTarget:
        """Pin the one image to what the revision says, or to what the registry says."""
        self._enter("prepare", work.target)
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

    def forget(self, target: Target, prepared: PreparedTarget) -> None:
        """Nothing is kept, so nothing is dropped."""
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
class RehearsedProber:
    """``Prober`` that answers as it was told to."""

    #: What is seen instead of what is expected, one an answer; without one it is well.
    problems: list[str] = field(default_factory=list)
    #: What every answer is made of: the target, and the commit that should run.
    asked: list[tuple[Target, CommitSha | None]] = field(default_factory=list)

    def probe(self, target: Target, commit: CommitSha | None) -> str:
        """Give the next answer."""
        self.asked.append((target, commit))
        return self.problems.pop(0) if self.problems else ""


def digest_of(seed: str) -> Digest:
    """Return a digest that is the same for the same ``seed``."""
    return Digest.parse("sha256:" + hashlib.sha256(seed.encode()).hexdigest())
