"""Whether what runs is what was pinned, and well: judged from samples of what really runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from reconciler.domain.deployment import Built, PlannedService, PreparedTarget, Release
from reconciler.domain.references import CommitSha, Digest


class RunState(StrEnum):
    """What the engine says of a container; systemd's words for a unit are taken to these.

    Source: Docker Engine API v1.41, ``ContainerState.Status``.
    """

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class Health(StrEnum):
    """What a health check says: the container's own, or the target's."""

    NONE = "none"  #: it has no health check
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


#: Of an image: the commit that it was made of.
#: Source: OCI image-spec, ``annotations.md``, "Pre-Defined Annotation Keys".
REVISION_LABEL = "org.opencontainers.image.revision"
#: A container's id, its restarts, and when it was started.
Life = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One container, or one systemd unit, at one instant."""

    id: str  #: of the container, or the unit's name
    service: str
    state: RunState
    #: Every digest by which the engine knows its image, or the one of the binary that runs.
    digests: frozenset[Digest]
    health: Health = Health.NONE
    restarts: int = 0
    exit_status: int | None = None  #: None while it runs
    started_at: str = ""  #: as the engine says it; a change between samples is a restart
    health_detail: str = ""  #: why the target's health check says so; empty where it is well
    revision: str = ""  #: the commit that its image is labelled with; empty where it is not
    address: str = ""  #: where its own ports are asked from its host; empty where it has none
    version: Health = Health.NONE  #: whether it tells the commit; NONE: it is not asked
    version_doubt: str = ""  #: why it is not proven to be the commit; empty: it is, or needn't be

    @property
    def life(self) -> Life:
        """What changes when it is replaced, restarted or started anew."""
        return self.id, self.restarts, self.started_at


_BRIEF = timedelta(seconds=0.4)


@dataclass(frozen=True, slots=True)
class Window:
    """How long good has to last."""

    healthy: timedelta = timedelta(seconds=5)  #: with a health check that passes
    unchecked: timedelta = timedelta(seconds=25)  #: without one: longer than a slow crash takes
    timeout: timedelta = timedelta(minutes=5)  #: for all of it, slow health checks included
    restarts: int = (
        3  #: that a container may need, e.g. until its database answers; more is a crash loop
    )

    @property
    def brief(self) -> "Window":
        """The one for what was verified before, and not touched since: a few looks."""
        healthy, unchecked = min(self.healthy, _BRIEF), min(self.unchecked, _BRIEF)
        return replace(self, healthy=healthy, unchecked=unchecked)


class Verdict(StrEnum):
    """What the samples so far amount to."""

    GOOD = "good"
    UNDECIDED = "undecided"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and for each service in trouble what is wrong with it."""

    verdict: Verdict
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """All that runs of a project on a host, ``at`` a monotonic offset from the first look."""

    at: timedelta
    samples: tuple[Sample, ...]


def judge(prepared: PreparedTarget, seen: Sequence[Observation], window: Window) -> Judgement:
    """Judge ``seen``, oldest first, against what was prepared.

    Bad at once: another digest than the pinned one, an image built for another commit, an exit
    status other than 0, a crash loop, an unhealthy container, a long-running service that finished.
    Good once every service was well for its whole window. Undecided until then, and bad when the
    timeout is over.
    """
    if not prepared.services:
        return Judgement(Verdict.BAD, ("there is no service to verify",))
    latest = seen[-1]
    commit = prepared.revision.commit
    problems = [
        problem
        for service in prepared.services
        for found in (_problems(service, seen, window), _foreign(service, latest, commit))
        for problem in found
    ]
    if problems:
        return Judgement(Verdict.BAD, tuple(problems))
    waiting = [
        text for service in prepared.services if (text := _still_waiting(service, seen, window))
    ]
    if not waiting:
        return Judgement(Verdict.GOOD)
    verdict = Verdict.BAD if latest.at >= window.timeout else Verdict.UNDECIDED
    return Judgement(verdict, tuple(waiting))


def _of(service: PlannedService, observation: Observation) -> list[Sample]:
    """Return the service's containers; one that is being removed is as good as gone."""
    return [
        sample
        for sample in observation.samples
        if sample.service == service.name and sample.state is not RunState.REMOVING
    ]


def _problems(
    service: PlannedService, seen: Sequence[Observation], window: Window
) -> Iterable[str]:
    first = _first_looks(service, seen)
    for sample in _of(service, seen[-1]):
        kind = _kind(service)
        name = f"{service.name}: {kind} {_shown(service, sample)}"
        status = "" if sample.exit_status is None else f" (exit status {sample.exit_status})"
        if service.pin and service.pin.digest not in sample.digests:
            known = ", ".join(sorted(digest.short for digest in sample.digests))
            observed = known or f"an unknown {'image' if kind == 'container' else 'program'}"
            yield f"{name} runs {observed}, pinned is {service.pin.digest.short}"
        if sample.state in {RunState.DEAD, RunState.PAUSED}:
            yield f"{name} is {sample.state}{status}"
        if sample.state is RunState.EXITED and not (sample.exit_status == 0 and service.may_finish):
            yield f"{name} ended{status}" + (
                ", but it should keep running" if sample.exit_status == 0 else ""
            )
        if sample.health is Health.UNHEALTHY:
            yield f"{name} is unhealthy{_detail(sample)}"
        if sample.version is Health.UNHEALTHY:
            yield f"{name} is not this version (version: {sample.version_doubt})"
        before = first.get(sample.id)
        if before and sample.restarts - before.restarts > window.restarts:
            yield f"{name} keeps restarting{status}"
    # Where there are more than there have to be, e.g. for an autoscaler, some may go.
    if len(_of(service, seen[-1])) < min(len(_of(service, seen[0])), service.replicas):
        yield f"{service.name}: a {_kind(service)} vanished while it was watched"


def _foreign(
    service: PlannedService, latest: Observation, commit: CommitSha | None
) -> Iterable[str]:
    """Tell of what was built here, and not for ``commit``. Pulled images come from elsewhere."""
    if not isinstance(service.pin, Built) or service.stateful or commit is None:
        return
    for sample in _of(service, latest):
        if sample.revision != commit.text:
            label = sample.revision[:40] or "no commit"
            name = f"{service.name}: container {_shown(service, sample)}"
            yield f"{name} is labelled with {label!r}, deployed is {commit}"


def _shown(service: PlannedService, sample: Sample) -> str:
    """Return a container's id as short as people say it; a unit's or a pod's name stays whole."""
    is_name = isinstance(service.pin, Release) or "/" in sample.id
    return sample.id if is_name else sample.id[:12]


def _detail(sample: Sample) -> str:
    return f" ({sample.health_detail})" if sample.health_detail else ""


def _kind(service: PlannedService) -> str:
    return "process" if isinstance(service.pin, Release) else "container"


def _first_looks(service: PlannedService, seen: Sequence[Observation]) -> dict[str, Sample]:
    """Return each container as it was when it was first seen: restarts before that don't count."""
    return {
        sample.id: sample for observation in reversed(seen) for sample in _of(service, observation)
    }


def _still_waiting(service: PlannedService, seen: Sequence[Observation], window: Window) -> str:
    """Return what ``service`` is waited for; empty once it has been well for its window."""
    latest, is_unit = seen[-1], isinstance(service.pin, Release)
    samples = _of(service, latest)
    if len(samples) < service.replicas:
        there = f"{len(samples)} of {service.replicas} containers are there"
        return f"{service.name}: {'its unit is not there' if is_unit else there}"
    if all(sample.state is RunState.EXITED for sample in samples):
        return ""
    starting = [sample for sample in samples if sample.health is Health.STARTING]
    if starting:
        return f"{service.name}: its health check has not passed yet{_detail(starting[0])}"
    if not all(map(_runs_well, samples)):
        return f"{service.name}: a {_kind(service)} is restarting or not started yet"
    return _doubted(service, samples) or _too_short(service, seen, window)


def _doubted(service: PlannedService, samples: Sequence[Sample]) -> str:
    """Return which container has not told its version as it should; empty where all have."""
    for sample in samples:
        if sample.version_doubt:
            name = f"{service.name}: {_kind(service)} {_shown(service, sample)}"
            return f"{name} is not proven to be this version: {sample.version_doubt}"
    return ""


def _too_short(service: PlannedService, seen: Sequence[Observation], window: Window) -> str:
    """Return for how long it has been well; empty if for its whole window."""
    latest = seen[-1]
    checked = all(
        sample.health is Health.HEALTHY or sample.state is RunState.EXITED
        for sample in _of(service, latest)
    )
    needed = window.healthy if checked else window.unchecked
    well_for = latest.at - _well_since(service, seen)
    if well_for < needed:
        so_far, whole = well_for.total_seconds(), needed.total_seconds()
        return f"{service.name}: well for {so_far:.0f} of {whole:g} s"
    return ""


def _well_since(service: PlannedService, seen: Sequence[Observation]) -> timedelta:
    """Return since when the very containers of the last look have been well, without a restart."""
    latest = _lives(_of(service, seen[-1]))
    since = seen[-1].at
    for observation in reversed(seen):
        samples = _of(service, observation)
        if not _well(samples) or _lives(samples) != latest:
            break
        since = observation.at
    return since


def lives_untroubled(samples: Sequence[Sample]) -> frozenset[Life]:
    """Return each life, if all run well and have never been restarted by the engine; else none."""
    well = all(_runs_well(sample) and not sample.restarts for sample in samples)
    return _lives(samples) if well else frozenset()


def _lives(samples: Sequence[Sample]) -> frozenset[Life]:
    return frozenset(sample.life for sample in samples)


def _well(samples: Sequence[Sample]) -> bool:
    return all(_runs_well(sample) and not sample.version_doubt for sample in samples)


def _runs_well(sample: Sample) -> bool:
    return sample.state in {RunState.RUNNING, RunState.EXITED} and sample.health in {
        Health.NONE,
        Health.HEALTHY,
    }
