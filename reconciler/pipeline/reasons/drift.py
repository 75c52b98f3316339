"""That what runs is not what was deployed."""

from collections.abc import Iterator

from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.reasons.explained import ExplainedReason, reason
from reconciler.pipeline.reasons.facts import Facts


def reasons_of_drift(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield what differs, since when that is known, and what helps."""
    drift, live = facts.state.drift, facts.state.live
    if drift is None or live is None:
        return
    text = (
        f"what runs is not what deployment {live.id} left there: {'; '.join(drift.differences)}; "
        f"`reconciler rollback {facts.project.name} --to {live.id}` puts that back"
    )
    yield reason(ReasonCode.DRIFT, text, drift.since, {"deployment": live.id})
