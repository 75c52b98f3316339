"""What a target is asked while it is watched: its health checks, and each container's version."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reconciler.domain.deployment import PreparedTarget
from reconciler.domain.errors import InvalidComposeFile, InvalidInput
from reconciler.domain.evidence import Asked
from reconciler.domain.health_check import HealthCheck
from reconciler.domain.probing import (
    CheckName,
    ProbeAnswer,
    ProbeHistory,
    Reading,
    with_health,
    with_version,
)
from reconciler.domain.project import Project
from reconciler.domain.references import ServiceName
from reconciler.domain.target import Target
from reconciler.domain.verification import Life, RunState, Sample, Window
from reconciler.domain.version_check import VersionCheck
from reconciler.ports import Prober

#: Containers of one service that are asked at once.
_MOST_AT_ONCE = 8


def require_version_to_ask(project: Project, target: Target, prepared: PreparedTarget) -> None:
    """See that there will be somebody to ask for the version, if one is to be asked for.

    Raises:
        InvalidComposeFile: the service is not there, or not one that keeps running.
        InvalidInput: there is no commit that it could tell, or no port to ask at.
    """
    if project.version is None:
        return
    wanted = _version_service(project.version, project)
    services = [one.name for one in prepared.services if one.replicas and not one.may_finish]
    if wanted is not None and wanted not in services:
        raise InvalidComposeFile(
            f"version.service: {wanted!r} is none of the services that keep running: "
            f"{', '.join(services)}"
        )
    if prepared.revision.commit is None:
        problem = "asks for the commit, and none is deployed: clear it"
        raise InvalidInput("version", None, problem)
    if project.version.port is None and target.port is None:
        problem = f"is missing, and so is the port of the target on {target.host}: give one of them"
        raise InvalidInput("version.port", None, problem)


def _version_service(check: VersionCheck, project: Project) -> ServiceName | None:
    """Return the service that is asked; None: every one that runs."""
    return check.service or project.expose_service


def _checks_of(target: Target) -> Mapping[CheckName, HealthCheck]:
    declared = {CheckName.HEALTH: target.health, CheckName.READY: target.ready}
    return {name: check for name, check in declared.items() if check is not None}


@dataclass(slots=True)
class Checkup:
    """Asks when it is time to, and tells what the answers amount to."""

    prober: Prober
    project: Project
    target: Target
    prepared: PreparedTarget
    brief: bool = False  #: whether one good answer of each health check is enough
    answers: list[Asked] = field(default_factory=list, init=False)  #: oldest first
    _histories: dict[CheckName, ProbeHistory] = field(default_factory=dict, init=False)
    _versions: dict[Life, ProbeHistory] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Begin without an answer.

        Raises:
            InvalidComposeFile, InvalidInput: nobody is there that would tell the version.
        """
        for name, check in _checks_of(self.target).items():
            asked = replace(check, successes=1) if self.brief else check
            self._histories[name] = ProbeHistory(asked)
        require_version_to_ask(self.project, self.target, self.prepared)

    def window(self, usual: Window) -> Window:
        """Return how long to watch: the start period comes on top."""
        timeout = usual.timeout + self._start_period
        return Window(usual.healthy, usual.unchecked, timeout, usual.restarts)

    @property
    def _start_period(self) -> timedelta:
        """How long what was started may take: the longest that one of its checks gives it."""
        periods = (check.start_period for check in _checks_of(self.target).values())
        return max(periods, default=timedelta(0))

    def ask(self, now: Callable[[], timedelta], samples: Sequence[Sample]) -> None:
        """Ask if it is time to, within the checks' own limits.

        Args:
            now: the offset from the first look.
            samples: what runs.

        Raises:
            TargetUnreachable: the host that should have asked could not be reached.
        """
        for name, history in self._histories.items():
            asked_at = now()
            if asked_at >= history.due_at:
                reading = self._ask_target(name)
                self.answers.append(Asked(name, asked_at, reading))
                answer = ProbeAnswer(asked_at, now(), reading.problem)
                self._histories[name] = history.after(answer)
        self._ask_versions(now, [one for one in samples if self._tells_version(one)])

    def judge(self, samples: Sequence[Sample]) -> tuple[Sample, ...]:
        """Return ``samples`` with what the checks say of them."""
        return tuple(
            with_version(one, self._versions[one.life]) if self._tells_version(one) else one
            for one in with_health(samples, self.project, self._histories)
        )

    def _ask_target(self, name: CheckName) -> Reading:
        commit = self.prepared.revision.commit
        return self.prober.probe(self.target, commit, ready=name is CheckName.READY)

    # ── The version ───────────────────────────────────────────────────────────────────────────

    def _ask_versions(self, now: Callable[[], timedelta], samples: Sequence[Sample]) -> None:
        """Ask each container; one that was restarted has to prove itself anew."""
        check, at = self.project.version, now()
        if check is None:
            return
        patient = replace(check, start_period=max(check.start_period, self._start_period))
        known = {
            one.life: self._versions.get(one.life, ProbeHistory(patient, began=at))
            for one in samples
        }
        due = [one for one in samples if at >= known[one.life].due_at]
        with ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="version") as pool:
            readings = list(pool.map(lambda one: self._ask_version(one, check), due))
        for one, reading in zip(due, readings, strict=True):
            self.answers.append(Asked(CheckName.VERSION, at, reading, one.id))
            known[one.life] = known[one.life].after(ProbeAnswer(at, at, reading.problem))
        self._versions = known

    def _ask_version(self, sample: Sample, check: VersionCheck) -> Reading:
        commit = self.prepared.revision.commit
        if commit is None:
            return Reading("", "there is no commit that it could tell")
        if not sample.address:
            return Reading("", "it has no address of its own on which it could be asked")
        asked = replace(check, port=check.port or self.target.port)
        return self.prober.probe_version(self.target, sample.address, asked, commit)

    def _tells_version(self, sample: Sample) -> bool:
        check = self.project.version
        if check is None or sample.state is not RunState.RUNNING:
            return False
        return _version_service(check, self.project) in {None, sample.service}
