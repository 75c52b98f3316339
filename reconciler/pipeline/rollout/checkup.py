"""What a target is asked while it is watched: its health check, and each container's version."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reconciler.domain.deployment import PreparedTarget
from reconciler.domain.errors import InvalidComposeFile
from reconciler.domain.evidence import Asked
from reconciler.domain.probing import ProbeAnswer, ProbeHistory, Reading, with_health
from reconciler.domain.project import Project
from reconciler.domain.references import ServiceName
from reconciler.domain.target import Target
from reconciler.domain.verification import Life, RunState, Sample, Window
from reconciler.domain.version_check import VersionHistory
from reconciler.ports import Prober

#: Containers of one service that are asked at once.
_MOST_AT_ONCE = 8


def require_version_service(project: Project, prepared: PreparedTarget) -> None:
    """See that there will be somebody to ask for the version, if one is to be asked for.

    Raises:
        InvalidComposeFile: the service is not there, or not one that keeps running.
    """
    wanted = _version_service(project)
    services = [one.name for one in prepared.services if one.replicas and not one.may_finish]
    if wanted is not None and wanted not in services:
        raise InvalidComposeFile(
            f"version.service: {wanted!r} is none of the services that keep running: "
            f"{', '.join(services)}"
        )


def _version_service(project: Project) -> ServiceName | None:
    check = project.version
    return (check.service or project.expose_service) if check else None


@dataclass(slots=True)
class Checkup:
    """Asks when it is time to, and tells what the answers amount to."""

    prober: Prober
    project: Project
    target: Target
    prepared: PreparedTarget
    brief: bool = False  #: whether one good answer of the health check is enough
    #: What was answered, oldest first.
    health_answers: list[Asked] = field(default_factory=list, init=False)
    version_answers: list[Asked] = field(default_factory=list, init=False)
    _history: ProbeHistory | None = field(default=None, init=False)
    _versions: dict[Life, VersionHistory] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Begin without an answer.

        Raises:
            InvalidComposeFile: nobody is there that would tell the version.
        """
        if check := self.target.health:
            self._history = ProbeHistory(replace(check, successes=1) if self.brief else check)
        require_version_service(self.project, self.prepared)

    def window(self, usual: Window) -> Window:
        """Return how long to watch: the start period comes on top."""
        check = self.target.health
        if check is None:
            return usual
        timeout = usual.timeout + check.start_period
        return Window(usual.healthy, usual.unchecked, timeout, usual.restarts)

    def ask(self, now: Callable[[], timedelta], samples: Sequence[Sample]) -> None:
        """Ask if it is time to, within the checks' own limits.

        Args:
            now: the offset from the first look.
            samples: what runs.

        Raises:
            TargetUnreachable: the host that should have asked could not be reached.
        """
        asked_at = now()
        if self._history is not None and asked_at >= self._history.due_at:
            reading = self.prober.probe(self.target, self.prepared.revision.commit)
            self.health_answers.append(Asked(asked_at, reading))
            self._history = self._history.after(ProbeAnswer(asked_at, now(), reading.problem))
        self._ask_versions(asked_at, [one for one in samples if self._tells_version(one)])

    def judge(self, samples: Sequence[Sample]) -> tuple[Sample, ...]:
        """Return ``samples`` with what the checks say of them."""
        return tuple(
            replace(one, version_doubt=self._versions[one.life].doubt)
            if self._tells_version(one)
            else one
            for one in with_health(samples, self.project, self._history)
        )

    # ── The version ───────────────────────────────────────────────────────────────────────────

    def _ask_versions(self, at: timedelta, samples: Sequence[Sample]) -> None:
        """Ask each container; one that was restarted has to prove itself anew."""
        with ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="version") as pool:
            readings = list(pool.map(self._ask_version, samples))
        answered = list(zip(samples, readings, strict=True))
        self.version_answers += [Asked(at, reading, one.id) for one, reading in answered]
        self._versions = {
            one.life: self._versions.get(one.life, VersionHistory()).after(reading.problem)
            for one, reading in answered
        }

    def _ask_version(self, sample: Sample) -> Reading:
        check, commit = self.project.version, self.prepared.revision.commit
        if check is None or commit is None:
            return Reading("", "there is no commit that it could tell")
        if not sample.address:
            return Reading("", "it has no address of its own on which it could be asked")
        return self.prober.probe_version(self.target.host, sample.address, check, commit)

    def _tells_version(self, sample: Sample) -> bool:
        asked = _version_service(self.project)
        return sample.service == asked and sample.state is RunState.RUNNING
