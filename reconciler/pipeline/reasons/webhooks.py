"""Pushes that nobody announced though a webhook should have: what is said of them."""

from collections.abc import Iterable, Iterator

from reconciler.domain.announcement import Announcements
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import ProjectName
from reconciler.domain.webhook import FORGES
from reconciler.pipeline.reasons.explained import ExplainedReason, reason
from reconciler.pipeline.reasons.facts import Facts
from reconciler.ports import WebhookRecord


def loss_in_words(known: Announcements) -> str:
    """Return how many pushes came without a delivery; empty where that is a chance."""
    if not known.suspicious:
        return ""
    return f"{known.missed} of the last {known.judged} pushes came without a delivery"


def reasons_of_webhooks(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield that pushes come unannounced, and what is known of the webhook to blame."""
    known = facts.announcements
    last = find_lossy(facts.webhooks, facts.project.name, known)
    if last is None:
        return
    text = f"{loss_in_words(known)}; polling found them; {_last_of(last)}"
    text += f"; `reconciler webhook deliveries {last.webhook.name}` has more"
    evidence = {"webhook": last.webhook.name, "missed": known.missed, "of_last": known.judged}
    yield reason(ReasonCode.WEBHOOK_MISSING, text, known.missed_at, evidence)


def find_lossy(
    webhooks: Iterable[WebhookRecord], name: ProjectName, known: Announcements
) -> WebhookRecord | None:
    """Return the webhook that a project's pushes should have come through; None: none are lost."""
    announcers = [one for one in webhooks if _announces(one, name, known)]
    if not announcers or not known.suspicious:
        return None
    # The one whose last delivery is the newest: another may never have worked.
    return max(announcers, key=lambda one: one.last_at.timestamp() if one.last_at else 0.0)


def _announces(record: WebhookRecord, name: ProjectName, known: Announcements) -> bool:
    webhook = record.webhook
    if webhook.project is None:
        return webhook.name == known.announced_by
    return webhook.project == name and webhook.provider in FORGES


def _last_of(record: WebhookRecord) -> str:
    if record.last_at is None or record.last_verdict is None:
        return f"no delivery ever came to {record.webhook.name}"
    when = f"{record.last_at:%Y-%m-%d %H:%M} UTC"
    became = (
        "was verified"
        if record.last_verdict.verified
        else f"was refused: {record.last_verdict.replace('-', ' ')}"
    )
    return f"the last delivery to {record.webhook.name}, of {when}, {became}"
