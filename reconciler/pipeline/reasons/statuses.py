"""That the forge was not told how a commit fares."""

from collections.abc import Iterator

from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha
from reconciler.pipeline.reasons.explained import ExplainedReason, reason
from reconciler.pipeline.reasons.facts import Facts


def reasons_of_statuses(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield why the newest commit status did not reach the forge, where it did not."""
    last = facts.status
    if last is None or not last.error or not facts.project.commit_statuses:
        return
    commit = CommitSha(last.body["commit"])
    became = "was given up" if last.settled_at else "waits for another try"
    evidence = {
        "commit": commit,
        "status": last.body["state"],
        "deployment": last.deployment,
        "attempts": last.attempts,
        "next_try": None if last.settled_at else last.not_before,
    }
    text = f"the status of commit {commit.short} {became}: {last.error}"
    yield reason(ReasonCode.STATUS_UNTOLD, text, last.settled_at or last.created_at, evidence)
