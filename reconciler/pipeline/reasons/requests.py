"""The requests that no deployment serves."""

from collections.abc import Iterator, Mapping

from reconciler.domain.gate import reasons_to_refuse
from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.reasons.explained import ExplainedReason, reason
from reconciler.pipeline.reasons.facts import Facts
from reconciler.ports import TriggerRecord


def reasons_of_requests(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield those that no later deployment overtook, newest first."""
    state = facts.state
    known = (state.live, state.latest, state.running, state.queued)
    newest = max((one.created_at for one in known if one), default=None)
    told = _told(facts)
    for record in facts.triggers:
        at = record.last_at or record.at
        if record.deployment is None and not (newest and at < newest):
            yield _unserved(record, told)


def _told(facts: Facts) -> dict[str, str]:
    """Return what other reasons tell in full → what is left to say of it."""
    brakes = (*reasons_to_refuse(facts.project), *facts.holds, *facts.too_young())
    told = {one.text: "" for one in brakes}
    return told | {one.story: "it is quarantined" for one in facts.state.quarantined}


def _unserved(record: TriggerRecord, told: Mapping[str, str]) -> ExplainedReason:
    """Return what became of a request."""
    codes = [one.code for one in record.reasons]
    code = ReasonCode.REQUEST_HELD if record.outcome == "held" else ReasonCode.REQUEST_REFUSED
    if codes[:1] == [ReasonCode.ALREADY_LIVE]:
        code = ReasonCode.ALREADY_LIVE
    times = f" ({record.count} times)" if record.count > 1 else ""
    text = f"{record.cause.trigger} ({record.cause.detail}) was {record.outcome}{times}"
    because = "; ".join(filter(None, (told.get(one.text, one.text) for one in record.reasons)))
    evidence = {
        "trigger": record.cause.trigger,
        "by": record.cause.actor,
        "because": ", ".join(codes),
        "commit": record.revision.commit,
        "times": record.count,
        "first": record.at,
    }
    text = f"{text}: {because}" if because else text
    return reason(code, text, record.last_at or record.at, evidence)
