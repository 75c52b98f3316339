"""Deliveries in a list: in which words, and what each is said to have led to."""

from datetime import UTC, datetime

import pytest

from reconciler.domain.references import ProjectName
from reconciler.domain.webhook import WebhookName
from reconciler.domain.webhook_payload import PushHint
from reconciler.domain.webhook_signature import Verdict
from reconciler.ports import Delivery
from reconciler.web.pages.deliveries.rows import WHY_REFUSED, DeliveryRow
from reconciler.web.schemas.webhooks import DeliveryBody

SHOP = ProjectName("shop")
PUSH = PushHint("team/shop", frozenset({"main"}))


def row_of(verdict: Verdict = Verdict.VERIFIED, **more: object) -> DeliveryRow:
    given = Delivery(WebhookName("forge"), datetime.now(UTC), "10.0.0.1", verdict, "push", **more)  # type: ignore[arg-type]
    return DeliveryRow.of(DeliveryBody.of(given))


@pytest.mark.parametrize("verdict", [one for one in Verdict if not one.verified])
def test_each_refusal_has_words_and_a_remedy(verdict: Verdict) -> None:
    row = row_of(verdict)
    assert (row.badge.word, row.can_repeat) == ("Refused", False)
    assert (row.why, row.remedy) == WHY_REFUSED[verdict]


@pytest.mark.parametrize(
    ("row", "word", "can_repeat"),
    [
        pytest.param(row_of(hint=PUSH, led_to={SHOP: "nothing moved"}), "Accepted", True),
        pytest.param(
            row_of(hint=PUSH, led_to={SHOP: "nothing moved"}, duplicate=True), "Seen before", True
        ),
        pytest.param(row_of(hint=PUSH, note="no project follows it"), "Ignored", True),
        pytest.param(row_of(note="a ping: the way is open"), "Ignored", False),
        # What others follow is not told to who sees this project alone.
        pytest.param(row_of(led_to={SHOP: "nothing moved"}), "Accepted", False),
    ],
)
def test_its_word_says_whether_anything_followed(
    row: DeliveryRow, word: str, can_repeat: bool
) -> None:
    assert (row.badge.word, row.can_repeat) == (word, can_repeat)


@pytest.mark.parametrize(
    ("text", "deployment"),
    [
        ("admitted: deployment 42 is queued", 42),
        ("admitted: deployment 7 took the place of 6, which had not started", 7),
        ("nothing moved", None),
        (f"deployment {'9' * 40}", None),
    ],
)
def test_the_deployment_that_it_led_to_is_found(text: str, deployment: int | None) -> None:
    (led_to,) = row_of(hint=PUSH, led_to={SHOP: text}).led_to
    assert (led_to.project, led_to.text, led_to.deployment) == (SHOP, text, deployment)
