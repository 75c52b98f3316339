"""What the API shows of a webhook's pushes: numbers, and words where it is more than a chance."""

from datetime import UTC, datetime, timedelta

from reconciler.domain.announcement import Announcements
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.ports import WebhookRecord
from reconciler.web.schemas.webhooks import AnnouncedBody, WebhookBody

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOOK = Webhook(WebhookName("shop"), Provider.GITEA, NOW, ProjectName("shop"))


def shown(*announced: bool) -> AnnouncedBody | None:
    known = Announcements()
    for number, one in enumerate(announced):
        at = NOW + timedelta(hours=number)
        known = known.with_move(CommitSha("a" * 40), at, announced=one)
    return WebhookBody.of(WebhookRecord(HOOK, "5f0c2b1a"), known).announced


def test_the_last_five_pushes_count() -> None:
    """Nothing is said before the first; one that was lost may be a chance."""
    assert shown() is None
    assert shown(True, False) == AnnouncedBody(of_last=2, missed=1, remark=None)
    words = "3 of the last 5 pushes came without a delivery"
    lost = (False, False, False, True, False, False, True)
    assert shown(*lost) == AnnouncedBody(of_last=5, missed=3, remark=words)
    assert WebhookBody.of(WebhookRecord(HOOK, "5f0c2b1a")).announced is None
