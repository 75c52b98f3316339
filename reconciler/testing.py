"""The doubles that we ship, for tests here and of whoever builds on this. Nothing imports them."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from reconciler.domain.deployment import DeploymentId, Pin, PlannedService, PreparedRevision
from reconciler.domain.errors import Interrupted, ReconcilerError
from reconciler.domain.references import Digest, ImageReference, ProjectName, ServiceName
from reconciler.domain.revision import Revision
from reconciler.domain.verification import ContainerSample, ContainerState
from reconciler.ports import Command, CommandResult, LineSink, Work

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
    #: What runs: project → samples.
    running: dict[ProjectName, list[ContainerSample]] = field(default_factory=dict)
    #: Errors to raise, by method name; each is raised once.
    failures: dict[str, list[ReconcilerError]] = field(default_factory=dict)
    #: How a container that is started looks, by digest; running well where nothing is said.
    looks: dict[Digest, Callable[[ContainerSample], ContainerSample]] = field(default_factory=dict)
    #: Called at the beginning of each method with its name.
    on_call: Callable[[str], object] = field(default=lambda _: None)
    calls: list[str] = field(default_factory=list)
    image: ImageReference = field(
        default_factory=lambda: ImageReference.parse("registry.example/team/app:main")
    )
    starts: int = 0

    def prepare(self, work: Work) -> PreparedRevision:
        """Pin the one image to what the revision says, or to what the registry says."""
        self._enter("prepare")
        name = str(self.image)
        digest = work.revision.images.get(name) or self.digests[name]
        revision = Revision(work.revision.commit, {name: digest}, work.revision.generation)
        service = PlannedService(ServiceName("web"), Pin(self.image, digest))
        override = f".deploy/override-{work.deployment}.yaml"
        return PreparedRevision(revision, (service,), "compose.yaml", override, "0" * 64)

    def apply(self, work: Work, prepared: PreparedRevision) -> None:
        """Replace what runs."""
        self._enter("apply")
        self.starts += 1
        self.running[work.project.name] = [
            self._container(service, service.pin.digest)
            for service in prepared.services
            if service.pin is not None
        ]
        work.log(f"started {prepared.revision}")

    def observe(self, project: ProjectName) -> Sequence[ContainerSample]:
        """Return what runs."""
        self._enter("observe")
        return list(self.running.get(project, []))

    def diagnose(self, project: ProjectName, log: LineSink) -> None:
        """Say that there is nothing to say."""
        self._enter("diagnose")
        log(f"no output of {project}")

    def forget(self, project: ProjectName, deployment: DeploymentId) -> None:
        """Nothing is kept, so nothing is dropped."""
        self._enter(f"forget {project} {deployment}")

    def _container(self, service: PlannedService, digest: Digest) -> ContainerSample:
        sample = ContainerSample(
            id=f"{self.starts:012d}",
            service=service.name,
            state=ContainerState.RUNNING,
            digests=frozenset({digest}),
            started_at=str(self.starts),
        )
        look = self.looks.get(digest)
        return look(sample) if look is not None else sample

    def _enter(self, name: str) -> None:
        self.calls.append(name)
        self.on_call(name)
        waiting = self.failures.get(name)
        if waiting:
            raise waiting.pop(0)


def digest_of(seed: str) -> Digest:
    """Return a digest that is the same for the same ``seed``."""
    return Digest.parse("sha256:" + hashlib.sha256(seed.encode()).hexdigest())
