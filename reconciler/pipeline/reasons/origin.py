"""Where the newest deployment comes from: what moved, who asked, what was folded into it."""

from collections.abc import Iterator, Mapping

from reconciler.domain.deployment import Deployment, DeploymentId
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.revision import changes_between
from reconciler.pipeline.reasons.explained import ExplainedReason, reason
from reconciler.pipeline.reasons.facts import Facts


def reasons_of_origin(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield why the newest deployment was made."""
    newest = facts.state.latest
    if newest is None:
        return
    if newest.restores is None:
        yield from _commit(facts, newest)
        yield from _images(newest)
    yield from _people(facts, newest)
    yield from _folded(facts, newest)


def _commit(facts: Facts, newest: Deployment) -> Iterator[ExplainedReason]:
    before = newest.before.commit if newest.before else None
    after, branch = newest.revision.commit, facts.project.followed_branch
    if after is None or after == before:
        return
    evidence = {"deployment": newest.id, "branch": branch, "from": before, "to": after}
    if before:
        text = f"{branch} moved from {before.short} to {after.short}: deployment {newest.id}"
        yield reason(ReasonCode.COMMIT_MOVED, text, newest.created_at, evidence)
    elif newest.causes[0].trigger.automatic:
        text = f"{branch} was first seen at {after.short}: deployment {newest.id} aligns with it"
        yield reason(ReasonCode.FIRST_ALIGNMENT, text, newest.created_at, evidence)


def _images(newest: Deployment) -> Iterator[ExplainedReason]:
    asked, before = newest.revision.images, newest.before.images if newest.before else {}
    for change in changes_between(
        {image: before[image] for image in asked if image in before}, asked
    ):
        if change.before and change.after:
            text = (
                f"{change.image} moved from {change.before.short} to {change.after.short}: "
                f"deployment {newest.id}"
            )
            evidence = {
                "deployment": newest.id,
                "image": change.image,
                "from": change.before,
                "to": change.after,
            }
            yield reason(ReasonCode.IMAGE_MOVED, text, newest.created_at, evidence)


def _people(facts: Facts, newest: Deployment) -> Iterator[ExplainedReason]:
    for cause in newest.causes:
        if cause.trigger.automatic:
            continue
        asked = [one for one in facts.triggers if one.cause == cause]
        at = asked[-1].at if asked else newest.created_at
        words = f': "{cause.detail}"' if cause.detail else ""
        text = f"{cause.actor} asked for deployment {newest.id}{words}"
        evidence = {"deployment": newest.id, "by": cause.actor, "words": cause.detail}
        yield reason(ReasonCode.ASKED_BY_PERSON, text, at, {**evidence, "trigger": cause.trigger})


def _folded(facts: Facts, newest: Deployment) -> Iterator[ExplainedReason]:
    """Yield how many requests it serves, and which deployments it took the place of."""
    ends = _ends(facts)
    replaced = [one for one in facts.superseded if ends.get(one.id) == newest.id]
    served = [
        one
        for one in facts.triggers
        if one.deployment and ends.get(one.deployment, one.deployment) == newest.id
    ]
    count = sum(one.count for one in served)
    if count > 1:
        first, last = served[-1].at, max(one.last_at or one.at for one in served)
        seconds = int((last - first).total_seconds())
        text = f"{count} requests within {seconds} s became deployment {newest.id}"
        evidence = {"deployment": newest.id, "requests": count, "first": first, "last": last}
        yield reason(ReasonCode.COALESCED, text, last, evidence)
    if replaced:
        numbers = ", ".join(str(one.id) for one in reversed(replaced))
        text = f"deployment {newest.id} took the place of {numbers} before that began"
        evidence = {"deployments": numbers, "by": newest.id}
        yield reason(ReasonCode.SUPERSEDED, text, replaced[0].finished_at, evidence)


def _ends(facts: Facts) -> Mapping[DeploymentId, DeploymentId]:
    """Return superseded deployment → the one that serves its requests in the end."""
    ends: dict[DeploymentId, DeploymentId] = {}
    for one in facts.superseded:  # newest first, so that the end of the next one is known
        if one.superseded_by:
            ends[one.id] = ends.get(one.superseded_by, one.superseded_by)
    return ends
