"""A deployment's stages as one line: what each took, and what it usually takes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler.domain.deployment import Deployment, Stage, StageRecord, Status, TargetRecord
from reconciler.domain.durations import UsualDurations, stages_ahead
from reconciler.web.pages.deployment.read_back import read_in
from reconciler.web.pages.words import STAGES

#: A stage under way is never shown as done.
_MOST_PERCENT = 98


@dataclass(frozen=True, slots=True)
class Step:
    """One stage."""

    name: str
    kind: str  #: class of the stylesheet: ok, run, fail, back, skip or todo
    took: timedelta | None = None
    since: datetime | None = None  #: when it began, while it is under way
    usual: timedelta | None = None
    said: str = ""  #: what is to be known of it besides
    elapsed: timedelta = timedelta(0)  #: so far, while it is under way

    @property
    def percent(self) -> int | None:
        """How much of the usual time is over; None where nobody knows what is usual."""
        if not self.usual:
            return None
        return min(round(100 * self.elapsed / self.usual), _MOST_PERCENT)

    @property
    def late(self) -> timedelta | None:
        """By how much it takes longer than usual; None where it does not."""
        over = self.elapsed - self.usual if self.usual else timedelta(0)
        return over if over >= timedelta(seconds=1) else None


@dataclass(frozen=True, slots=True)
class StageLine:
    """All stages of one deployment, in order."""

    steps: Sequence[Step]
    usual: timedelta | None  #: what all of them together usually take

    @property
    def current(self) -> Step | None:
        """The one under way."""
        return next((one for one in self.steps if one.kind == "run"), None)


def stage_line(deployment: Deployment, usual: UsualDurations, now: datetime) -> StageLine:
    """Return the stages of its last attempt, and those that are still to come."""
    done = [_step(deployment, one, usual, now) for one in _of_last_attempt(deployment)]
    ahead = stages_ahead(deployment, usual)
    steps = [*_together(done), *(Step(STAGES[one], "todo", usual=usual.get(one)) for one in ahead)]
    steps += _verified_again(deployment, steps)
    known = [one.usual for one in steps if one.usual]
    return StageLine(steps, sum(known, timedelta(0)) if known else None)


def _of_last_attempt(deployment: Deployment) -> Sequence[StageRecord]:
    every = deployment.stages
    if deployment.status is Status.QUEUED:
        return ()
    first = max((at for at, one in enumerate(every) if one.stage is Stage.PREPARE), default=0)
    return every[first:]


def _step(
    deployment: Deployment, record: StageRecord, usual: UsualDurations, now: datetime
) -> Step:
    step = Step(STAGES[record.stage], "ok", usual=usual.get(record.stage), took=record.duration)
    match record.outcome:
        case "ok":
            return replace(step, kind="back") if record.stage is Stage.ROLL_BACK else step
        case "" if not deployment.status.final:
            elapsed = max(now - record.started_at, timedelta(0))
            return replace(step, kind="run", since=record.started_at, elapsed=elapsed)
        case "" | "interrupted":
            return replace(step, kind="skip", said="the daemon ended in the middle")
        case _:
            verifies = record.stage is Stage.VERIFY
            return replace(step, kind="fail", said="not verified" if verifies else "")


def _together(steps: Sequence[Step]) -> Sequence[Step]:
    """Return each stage once: several hosts go through it one after another, or it began anew."""
    found: dict[str, Step] = {}
    for step in steps:
        before = found.pop(step.name, None)
        took = [one.took for one in (before, step) if one and one.took]
        found[step.name] = replace(step, took=sum(took, timedelta(0)) if took else None)
    return list(found.values())


def _verified_again(deployment: Deployment, steps: list[Step]) -> Iterator[Step]:
    """Yield the verification that the way back ended with, which is part of the record of that."""
    if deployment.status is not Status.ROLLED_BACK or not steps or steps[-1].took is None:
        return
    looked = max(map(_seconds_of_way_back, deployment.targets), default=0.0)
    took = min(timedelta(seconds=looked), steps[-1].took)
    steps[-1] = replace(steps[-1], took=steps[-1].took - took)
    yield Step("Verify again", "ok", took=took)


def _seconds_of_way_back(target: TargetRecord) -> float:
    seconds = read_in(target, Stage.ROLL_BACK).get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else 0.0
