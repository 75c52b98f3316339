"""What waits, what goes on, how the newest deployment ended, and what runs."""

from collections.abc import Iterator

from reconciler.domain.deployment import Deployment, Status
from reconciler.domain.manifest import MANIFEST_PATH
from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.reasons.explained import ExplainedReason, reason, with_remedy
from reconciler.pipeline.reasons.facts import Facts

#: Status → its code, and how it is said.
_ENDED = {
    Status.ROLLED_BACK: (ReasonCode.ROLLED_BACK, "was rolled back"),
    Status.FAILED: (ReasonCode.DEPLOYMENT_FAILED, "failed"),
    Status.SUPERSEDED: (ReasonCode.SUPERSEDED, "was superseded"),
    Status.WITHDRAWN: (ReasonCode.WITHDRAWN, "was withdrawn"),
    Status.NEEDS_OPERATOR: (ReasonCode.NEEDS_OPERATOR, "needs a person"),
}
#: Errors that say more than the status.
_TELLING = {
    str(code): code
    for code in (
        ReasonCode.MIGRATION_NEEDS_APPROVAL,
        ReasonCode.MIGRATION_UNFINISHED,
        ReasonCode.ROLLBACK_FAILED,
        ReasonCode.WORK_TREE_DIRTY,
        ReasonCode.REFUSING_TO_MIGRATE,
        ReasonCode.NOT_HANDED_ON,
        ReasonCode.NOT_VERIFIED_UPSTREAM,
        ReasonCode.APPROVAL_MISSING,
        ReasonCode.APPROVAL_EXPIRED,
        ReasonCode.PROMOTION_REJECTED,
        ReasonCode.PROMOTED_ONLY,
    )
}


def reasons_of_deployments(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield what an answer says of the queued, the running, the newest and the live one."""
    yield from _waits(facts)
    yield from _under_way(facts)
    yield from _newest(facts)
    if newest := facts.state.latest:
        yield from _restarts(newest)
        yield from _migrations(newest)
        yield from _manifest(facts, newest)
    yield from _live(facts)


def asked_for(deployment: Deployment) -> str:
    """Return what asked for it last, in words."""
    cause = deployment.causes[-1]
    return f"asked for by {cause.trigger} ({cause.detail})"


def _under_way(facts: Facts) -> Iterator[ExplainedReason]:
    if one := facts.state.running:
        text = f"deployment {one.id} is running, in stage {one.stage}; {asked_for(one)}"
        evidence = {**_which(one), "stage": one.stage, "attempt": one.attempt}
        yield reason(ReasonCode.RUNNING, text, one.started_at or one.created_at, evidence)
    if one := facts.state.queued:
        text = f"deployment {one.id} is queued; {asked_for(one)}"
        yield reason(ReasonCode.QUEUED, text, one.created_at, _which(one))


def _waits(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield what the queued one waits for: its time, another of the project, or a free place."""
    queued, running, queue = facts.state.queued, facts.state.running, facts.queue
    if queued is None:
        return
    if queued.not_before and queued.error:
        error = queued.error
        text = f"attempt {queued.attempt} of deployment {queued.id} waits, after: {error.message}"
        evidence = {
            **error.evidence,
            **_which(queued),
            "attempt": queued.attempt,
            "next_attempt": queued.not_before,
            "error": error.code,
        }
        text = with_remedy(text, error)
        yield reason(ReasonCode.BACKOFF, text, queued.not_before, evidence)
    elif running is not None:
        text = f"deployment {queued.id} waits for deployment {running.id} of the project"
        evidence = {"deployment": queued.id, "behind": running.id}
        yield reason(ReasonCode.QUEUED_BEHIND, text, queued.created_at, evidence)
    elif queue and queue.running >= facts.places:
        places = "1 place is" if facts.places == 1 else f"{facts.places} places are"
        text = f"deployment {queued.id} waits for a free place: {places} taken, {queue.ahead} ahead"
        evidence = {"deployment": queued.id, "places": facts.places, "ahead": queue.ahead}
        yield reason(
            ReasonCode.NO_FREE_PLACE,
            text,
            queued.created_at,
            {**evidence, "running": queue.running},
        )


def _newest(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield how the newest deployment ended; a quarantine of it tells already of what."""
    newest = facts.state.latest
    if newest is None or newest.status not in _ENDED:
        return
    code, how = _ENDED[newest.status]
    evidence = {**_which(newest), "status": newest.status, "back_to": newest.rolled_back_to}
    text = f"deployment {newest.id} {how}"
    if newest.rolled_back_to:
        text += f" to deployment {newest.rolled_back_to}"
    if error := newest.error:
        code = _TELLING.get(error.code, code)
        evidence = {**error.evidence, **evidence, "error": error.code}
        if newest.id not in {one.deployment for one in facts.state.quarantined}:
            text = with_remedy(f"{text}: {error.message}", error)
    yield reason(code, f"{text}; {asked_for(newest)}", newest.finished_at, evidence)


def _restarts(newest: Deployment) -> Iterator[ExplainedReason]:
    """Yield how often its worker died: each claim has a number, and each attempt needs but one."""
    died = newest.fence - newest.attempt
    if died <= 0:
        return
    cut = [one for one in newest.stages if one.outcome == "interrupted"]
    where = f" in stage {cut[-1].stage}" if cut else ""
    times = "once" if died == 1 else f"{died} times"
    text = f"the daemon ended {times} in the middle of deployment {newest.id}{where}, and went on"
    evidence = {"deployment": newest.id, "times": died, "stage": cut[-1].stage if cut else ""}
    yield reason(ReasonCode.RESTART_RECOVERED, text, cut[-1].finished_at if cut else None, evidence)


def _migrations(newest: Deployment) -> Iterator[ExplainedReason]:
    for one in newest.targets:
        if one.migration:
            text = f"the migration of deployment {newest.id} on {one.host}: {one.migration}"
            evidence = {"deployment": newest.id, "host": one.host, "state": one.migration}
            yield reason(ReasonCode.MIGRATION, text, one.migration_changed_at, evidence)


def _manifest(facts: Facts, newest: Deployment) -> Iterator[ExplainedReason]:
    """Yield that the repository's own manifest did not count, where that is so."""
    if not (newest.prepared and newest.prepared.manifest_ignored):
        return
    text = f"deployment {newest.id} ignored the repository's {MANIFEST_PATH}: it is not allowed"
    if not facts.project.allow_manifest:
        name = facts.project.name
        text += f"; `reconciler project set {name} --allow-manifest` lets it count"
    yield reason(ReasonCode.MANIFEST_IGNORED, text, newest.created_at, {"deployment": newest.id})


def _live(facts: Facts) -> Iterator[ExplainedReason]:
    if live := facts.state.live:
        text = f"deployment {live.id} runs: {live.target_revision}; {asked_for(live)}"
        evidence = {**_which(live), **live.target_revision.images}
        yield reason(ReasonCode.LIVE, text, live.finished_at or live.created_at, evidence)


def _which(deployment: Deployment) -> dict[str, object]:
    return {"deployment": deployment.id, "commit": deployment.target_revision.commit}
