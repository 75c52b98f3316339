"""The lines of a deployment's log as pages have them, and what is found in them."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.deployment import Deployment, Stage, Status
from reconciler.log import plain
from reconciler.ports import DeploymentStore, LogLine
from reconciler.web.pages.deployment.colours import Run, runs_of
from reconciler.web.pages.words import STAGES

#: Lines of a page without a script.
PAGE = 2000
_BADLY = frozenset({Status.FAILED, Status.ROLLED_BACK, Status.NEEDS_OPERATOR})
#: What a line has to hold to be looked at whether it tells of an error.
ALARMING = ("error", "exception", "fatal", "panic", "failed")
_TELLS_OF_ERROR = re.compile(r"(?i)(?:error|exception)\b|\b(?:fatal|panic|failed)\b")
#: How many of those are looked at.
_MOST_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class ShownLine:
    """One line."""

    number: int
    at: str  #: since the deployment began
    runs: Sequence[Run]
    begins: str  #: the stage whose first line it is; empty: it goes on


@dataclass(frozen=True, slots=True)
class Hit:
    """One line of those in which something was found."""

    line: int
    place: int  #: among them, from 1 on
    count: int  #: how many there are


def offset(at: datetime, deployment: Deployment) -> str:
    """Return when a line was written, from the deployment's start on: ``0:41.2``."""
    seconds = max((at - (deployment.started_at or deployment.created_at)).total_seconds(), 0.0)
    minutes, rest = divmod(int(seconds * 10) / 10, 60)
    return f"{minutes:.0f}:{rest:04.1f}"


def shown_lines(deployment: Deployment, lines: Sequence[LogLine]) -> Sequence[ShownLine]:
    """Return ``lines`` as they are shown."""
    before = [None, *(one.stage for one in lines)]
    return [
        ShownLine(
            line.number,
            offset(line.at, deployment),
            runs_of(line.text),
            STAGES[line.stage] if line.stage is not stage else "",
        )
        for line, stage in zip(lines, before, strict=False)
    ]


def find(numbers: Sequence[int], start: int, *, back: bool) -> Hit | None:
    """Return the first of ``numbers`` from ``start`` on, or the last before it; it goes round."""
    if not numbers:
        return None
    place = bisect_left(numbers, start)
    place = place - 1 if back else place % len(numbers)
    line = numbers[place]
    return Hit(line, bisect_right(numbers, line), len(numbers))


def find_first_error(store: DeploymentStore, deployment: Deployment) -> LogLine | None:
    """Return the line that tells first why it ended badly; None where none does, or it didn't."""
    if deployment.status not in _BADLY:
        return None
    numbers = store.find_in_log(deployment.id, ALARMING, stage=_failed_stage(deployment))
    for number in numbers[:_MOST_LOOKED_AT]:
        for line in store.read_log(deployment.id, after=number - 1, limit=1):
            if _TELLS_OF_ERROR.search(plain(line.text)):
                return line
    return None


def _failed_stage(deployment: Deployment) -> Stage:
    """Return the stage of the last attempt that went wrong first."""
    stages = list(deployment.stages)
    first = max((at for at, one in enumerate(stages) if one.stage is Stage.PREPARE), default=0)
    bad = (one.stage for one in stages[first:] if one.outcome not in {"", "ok", "interrupted"})
    return next(bad, deployment.stage)
