"""What explains where a project stands: recorded facts as sentences, the weightiest first."""

from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.reasons.brakes import reasons_of_brakes
from reconciler.pipeline.reasons.deployments import reasons_of_deployments
from reconciler.pipeline.reasons.drift import reasons_of_drift
from reconciler.pipeline.reasons.explained import ExplainedReason, in_order, reason, with_remedy
from reconciler.pipeline.reasons.facts import Facts
from reconciler.pipeline.reasons.hosts import reasons_of_hosts
from reconciler.pipeline.reasons.images import reasons_of_images
from reconciler.pipeline.reasons.origin import reasons_of_origin
from reconciler.pipeline.reasons.promotions import find_unapproved, reasons_of_promotions
from reconciler.pipeline.reasons.requests import reasons_of_requests
from reconciler.pipeline.reasons.source import reasons_of_source
from reconciler.pipeline.reasons.statuses import reasons_of_statuses
from reconciler.pipeline.reasons.webhooks import find_lossy, loss_in_words, reasons_of_webhooks

__all__ = [
    "ExplainedReason",
    "Facts",
    "find_lossy",
    "find_unapproved",
    "loss_in_words",
    "reasons_of",
    "with_remedy",
]


def reasons_of(facts: Facts) -> tuple[ExplainedReason, ...]:
    """Return what stops it, what goes on, what happened last and what was seen, in that order.

    Never empty.
    """
    found = in_order(
        (
            *reasons_of_hosts(facts),  # what stops people, too
            *reasons_of_brakes(facts),
            *reasons_of_promotions(facts),
            *reasons_of_drift(facts),
            *reasons_of_deployments(facts),
            *reasons_of_source(facts),
            *reasons_of_images(facts),
            *reasons_of_origin(facts),
            *reasons_of_requests(facts),
            *reasons_of_webhooks(facts),
            *reasons_of_statuses(facts),
        )
    )
    return found or (reason(ReasonCode.NOTHING_YET, "nothing was seen or asked for yet"),)
