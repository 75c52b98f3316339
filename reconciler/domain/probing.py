"""What the answers to a target's checks amount to.

The meaning is that of Docker's ``HEALTHCHECK``, with two additions: it takes several good answers
in a row to be healthy, and as many to be so again.

Source: Dockerfile reference, "HEALTHCHECK"; moby, ``daemon/health.go``, ``handleProbeResult``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.verification import Health, RunState, Sample

#: What has ended answers nothing: a health check says nothing of it.
_ENDED = frozenset({RunState.EXITED, RunState.DEAD, RunState.REMOVING})
_BADNESS = (Health.NONE, Health.HEALTHY, Health.STARTING, Health.UNHEALTHY)


class CheckName(StrEnum):
    """What a target can be asked, each with its own declaration."""

    HEALTH = "health"  #: whether it is alive
    READY = "ready"  #: whether it takes requests
    VERSION = "version"  #: which commit it is


class Patience(Protocol):
    """How many answers of one check are a verdict."""

    @property
    def start_period(self) -> timedelta:
        """In which a bad answer is no verdict."""
        ...

    @property
    def interval(self) -> timedelta:
        """Between two answers."""
        ...

    @property
    def retries(self) -> int:
        """Bad answers in a row that are a verdict."""
        ...

    @property
    def successes(self) -> int:
        """Good answers in a row before it counts as well."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What was asked once, and what came back."""

    asked: str  #: a URL without what was added for caches, ``tcp://HOST:PORT``, or a command line
    problem: str = ""  #: what was seen instead of what is expected; empty: it is well
    status: int | None = None  #: of HTTP, or of the command that was run
    told: str = ""  #: the version that the app told, or where a redirect leads to


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """One answer to a check. Instants are monotonic offsets from the first look."""

    asked_at: timedelta
    answered_at: timedelta
    problem: str = ""  #: what was seen instead of what is expected; empty: it is well


@dataclass(frozen=True, slots=True)
class ProbeHistory:
    """The answers so far, in order, and what they amount to."""

    check: Patience
    health: Health = Health.STARTING
    good_in_a_row: int = 0
    bad_in_a_row: int = 0  #: of those that count: not within the start period
    last_problem: str = ""  #: of the last bad answer, the start period's included
    due_at: timedelta = timedelta(0)  #: when to ask next
    began: timedelta = timedelta(0)  #: what the start period counts from

    def after(self, answer: ProbeAnswer) -> "ProbeHistory":
        """Return the history with one more answer."""
        due_at = answer.answered_at + self.check.interval
        if answer.problem:
            return replace(self._after_bad(answer), due_at=due_at)
        return replace(self._after_good(), due_at=due_at)

    @property
    def in_doubt(self) -> bool:
        """Whether it is healthy by the rules, and the last answer was bad."""
        return self.health is Health.HEALTHY and self.bad_in_a_row > 0

    @property
    def detail(self) -> str:
        """Why it is not healthy, or in doubt; empty where it is well, and before an answer."""
        if self.health is Health.HEALTHY and not self.in_doubt:
            return ""
        if not self.good_in_a_row:
            return self.last_problem
        before = f", after: {self.last_problem}" if self.last_problem else ""
        return f"{self.good_in_a_row} of {self.check.successes} good answers{before}"

    def _after_good(self) -> "ProbeHistory":
        good = self.good_in_a_row + 1
        health = Health.HEALTHY if good >= self.check.successes else self.health
        return replace(self, health=health, good_in_a_row=good, bad_in_a_row=0)

    def _after_bad(self, answer: ProbeAnswer) -> "ProbeHistory":
        started = answer.asked_at >= self.began + self.check.start_period
        excused = self.health is Health.STARTING and not started
        bad = self.bad_in_a_row + (0 if excused else 1)
        health = Health.UNHEALTHY if bad >= self.check.retries else self.health
        return replace(
            self, health=health, good_in_a_row=0, bad_in_a_row=bad, last_problem=answer.problem
        )


def with_health(
    samples: Iterable[Sample], project: Project, histories: Mapping[CheckName, ProbeHistory]
) -> tuple[Sample, ...]:
    """Return the samples of one target with what its checks say, the worst of them.

    They speak of the ``expose_service`` of a compose project, and of all that runs of another one.
    What a container says of itself is kept where that is worse. What is in doubt shows as starting:
    nothing proves itself while its last answer was bad.

    Args:
        samples: of one observation.
        project: whose they are.
        histories: of the checks that the target as a whole has; none for one without.
    """
    if not histories:
        return tuple(samples)
    return tuple(
        _worse(sample, histories) if _is_asked(sample, project) else sample for sample in samples
    )


def with_version(sample: Sample, history: ProbeHistory) -> Sample:
    """Return the sample with what its version check says."""
    version = _shown(history)
    doubt = "" if version is Health.HEALTHY else history.detail or "it has not been asked yet"
    return replace(sample, version=version, version_doubt=doubt)


def _is_asked(sample: Sample, project: Project) -> bool:
    one_of_many = project.kind is ProjectKind.COMPOSE and project.expose_service is not None
    return sample.state not in _ENDED and (
        not one_of_many or sample.service == project.expose_service
    )


def _worse(sample: Sample, histories: Mapping[CheckName, ProbeHistory]) -> Sample:
    name, history = max(histories.items(), key=lambda one: _BADNESS.index(_shown(one[1])))
    health = _shown(history)
    if _BADNESS.index(sample.health) > _BADNESS.index(health):
        return sample
    detail = f"{name}: {history.detail}" if history.detail else ""
    return replace(sample, health=health, health_detail=detail)


def _shown(history: ProbeHistory) -> Health:
    """Return what shows: nothing proves itself while its last answer was bad."""
    return Health.STARTING if history.in_doubt else history.health
