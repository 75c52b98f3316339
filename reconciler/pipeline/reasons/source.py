"""What the last looks at the source gave, and when the next one is."""

from collections.abc import Iterator

from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.reasons.explained import ExplainedReason, reason, reason_of_failure
from reconciler.pipeline.reasons.facts import Facts


def reasons_of_source(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield the last failed look, the last good one, and the next."""
    health, branch = facts.health, facts.project.followed_branch
    if health.error:
        times = f"{health.failures} in a row" if health.failures > 1 else "the first time"
        text = f"the last look at the source failed ({times}): {health.error.message}"
        looks = {
            "failures": health.failures,
            "last_good_look": health.observed_at,
            "next_look": health.next_look_at,
        }
        yield reason_of_failure(health.error, text, health.looked_at, looks)
    if health.branch_gone:
        text = f"the server answered, and branch {branch} was not there"
        seen = {"branch": branch, "last_commit": health.observed}
        yield reason(ReasonCode.BRANCH_GONE, text, health.looked_at, seen)
    if health.observed:
        text = f"branch {branch} was at {health.observed.short} at the last good look"
        tip = {"branch": branch, "commit": health.observed}
        yield reason(ReasonCode.SOURCE_OBSERVED, text, health.observed_at, tip)
    if health.next_look_at:
        yield reason(ReasonCode.NEXT_LOOK, "the source is looked at again", health.next_look_at)
