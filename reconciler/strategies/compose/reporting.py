"""What runs of a compose project, for a person to read."""

from collections import Counter
from collections.abc import Mapping, Sequence

from reconciler.domain.errors import ReconcilerError
from reconciler.domain.references import CommitSha
from reconciler.domain.target import Target
from reconciler.domain.verification import Health, RunState, Sample
from reconciler.ports import LineSink, Machines, TargetReport
from reconciler.strategies.compose.deploy_folder import COMMIT_FILE

_DIAGNOSED_LINES = 20


def report_of(samples: Sequence[Sample], facts: Mapping[str, str]) -> TargetReport:
    """Return what the containers amount to, in the engine's own words.

    Args:
        samples: the containers.
        facts: what was recorded beside them, see ``facts_of``.
    """
    states = Counter(str(sample.state) for sample in samples)
    running = [sample for sample in samples if sample.state is RunState.RUNNING]
    digests = sorted({digest for sample in running for digest in _shown(sample, facts)})
    return TargetReport(
        state=", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        or "no containers",
        commit=_commit(running, facts),
        release=" ".join(digests),
        since=min((sample.started_at for sample in running), default=""),
        detail=tuple((sample.service, _words(sample, facts)) for sample in samples),
    )


def log_trouble(machines: Machines, target: Target, log: LineSink) -> None:
    """Write the last lines of containers in trouble into ``log``. Never raises."""
    try:
        engine = machines.get(target.host).engine()
        for sample in engine.containers(target.project):
            if _in_trouble(sample):
                log(f"{sample.service}: last lines of container {sample.id[:12]}:")
                for line in engine.last_lines(sample.id, _DIAGNOSED_LINES) or [
                    "(it wrote nothing)"
                ]:
                    log(f"  {line}")
    except ReconcilerError as error:
        log(f"the containers' output can't be had: {error.message}")


def _commit(running: Sequence[Sample], facts: Mapping[str, str]) -> CommitSha | None:
    """Return the commit that was recorded, if all that runs is what was recorded with it."""
    commit = facts.get(COMMIT_FILE)
    for sample in running:
        wanted = facts.get(f"{sample.service}.sha")
        if wanted and wanted not in map(str, sample.digests):
            return None
    return CommitSha.parse(commit) if commit and running else None


def _shown(sample: Sample, facts: Mapping[str, str]) -> list[str]:
    """Return the digest that it was pinned to, or else all by which its image is known."""
    wanted = facts.get(f"{sample.service}.sha")
    pinned = [digest.short for digest in sample.digests if str(digest) == wanted]
    return pinned or sorted(digest.short for digest in sample.digests)


def _words(sample: Sample, facts: Mapping[str, str]) -> str:
    digests = " ".join(_shown(sample, facts))
    health = "" if str(sample.health) == "none" else f" ({sample.health})"
    return f"{sample.state}{health}, {digests or 'an unknown image'}"


def _in_trouble(sample: Sample) -> bool:
    ended_badly = sample.state is RunState.EXITED and sample.exit_status != 0
    stuck = sample.state in {RunState.RESTARTING, RunState.DEAD}
    return ended_badly or stuck or sample.restarts > 0 or sample.health is Health.UNHEALTHY
