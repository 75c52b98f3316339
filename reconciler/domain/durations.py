"""How long the stages of a deployment usually take, and which are still to come."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from statistics import median

from reconciler.domain.deployment import Deployment, Stage, Status

#: Stage → how long it took the last few times that all went well.
UsualDurations = Mapping[Stage, timedelta]

#: Part of every deployment; the others are expected where the last ones had them.
_ALWAYS = frozenset({Stage.PREPARE, Stage.GATE, Stage.APPLY, Stage.VERIFY})


def usual_durations(took: Iterable[tuple[Stage, timedelta]]) -> UsualDurations:
    """Return the median of each stage's durations."""
    seconds: dict[Stage, list[float]] = defaultdict(list)
    for stage, duration in took:
        seconds[stage].append(duration.total_seconds())
    return {stage: timedelta(seconds=median(every)) for stage, every in seconds.items()}


def stages_ahead(deployment: Deployment, usual: UsualDurations) -> tuple[Stage, ...]:
    """Return the stages that are still to come if all goes well, in order."""
    if deployment.status.final:
        return ()
    order = [one for one in Stage if one is not Stage.ROLL_BACK]
    if deployment.status is Status.RUNNING and deployment.stages:
        current = deployment.stage
        order = order[order.index(current) + 1 :] if current in order else []
    return tuple(one for one in order if one in _ALWAYS or one in usual)
