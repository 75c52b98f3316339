"""Webhooks, their secrets, and what came in through them, the same on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.domain.errors import AlreadyExists, NotFound
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.domain.webhook_signature import Verdict
from reconciler.ports import Delivery
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, Site

NAME = WebhookName("forgejo")
HOOK = Webhook(NAME, Provider.FORGEJO, NOW, WEB)
FIRST, SECOND, THIRD = (Secret.of(f"{word}-secret-secret") for word in ("first", "second", "third"))
LATER = NOW + timedelta(hours=1)


def delivery(name: str = "", verdict: Verdict = Verdict.VERIFIED, **more: object) -> Delivery:
    made = Delivery(NAME, NOW, "10.0.0.7", verdict, "push", name)
    return replace(made, **more)  # type: ignore[arg-type]


def secrets_of(store: SqlStore) -> list[str]:
    found = store.find_webhook_secrets(NAME)
    assert found is not None
    return [secret.reveal() for secret in found[1]]


def test_a_webhook_is_kept_as_it_was_declared(store: SqlStore, site: Site) -> None:
    """With its secret, which only the owner of the key reads; a second of its name is refused."""
    record = store.create_webhook(HOOK, FIRST)
    assert (record.webhook, record.verified, record.refused, record.last_at) == (HOOK, 0, 0, None)
    assert len(record.fingerprint) == 8
    with pytest.raises(AlreadyExists, match="forgejo"):
        store.create_webhook(HOOK, SECOND)
    again = site.open()
    assert again.list_webhooks() == [record]
    assert again.find_webhook_secrets(NAME) == (HOOK, [FIRST])


def test_what_is_not_there_is_said(store: SqlStore) -> None:
    """By every method that needs it; whoever knocks is told by None."""
    for attempt in (
        lambda: store.get_webhook(NAME),
        lambda: store.remove_webhook(NAME),
        lambda: store.rotate_webhook_secret(NAME, FIRST, NOW),
        lambda: store.drop_previous_webhook_secret(NAME),
        lambda: store.list_deliveries(NAME, limit=1),
    ):
        with pytest.raises(NotFound, match="forgejo"):
            attempt()
    assert store.find_webhook_secrets(NAME) is None
    assert store.record_deliveries([delivery()], {NAME: 3}) == [0]


def test_two_secrets_are_taken_during_a_rotation(store: SqlStore) -> None:
    """Never a third; and one once it is ended."""
    store.create_webhook(HOOK, FIRST)
    store.rotate_webhook_secret(NAME, SECOND, LATER)
    assert secrets_of(store) == [SECOND.reveal(), FIRST.reveal()]
    rotated = store.get_webhook(NAME)
    assert rotated.rotated_at == LATER
    assert rotated.previous_fingerprint not in {"", rotated.fingerprint}
    store.rotate_webhook_secret(NAME, THIRD, LATER)
    assert secrets_of(store) == [THIRD.reveal(), SECOND.reveal()]
    for _ in range(2):
        store.drop_previous_webhook_secret(NAME)
        assert secrets_of(store) == [THIRD.reveal()]
    assert store.get_webhook(NAME).previous_fingerprint == ""


def test_a_delivery_is_kept_in_every_field(store: SqlStore) -> None:
    """Newest first, with what it led to, which may become known later."""
    store.create_webhook(HOOK, FIRST)
    first = delivery("a", led_to={WEB: "is looked at now"})
    second = delivery("", Verdict.WRONG, note="a \0 note", at=LATER)
    numbers = store.record_deliveries([first, second], {})
    assert numbers == sorted(numbers)
    store.record_outcomes({numbers[0]: {ProjectName("blog"): "nothing moved"}, 999: {WEB: "?"}})
    store.record_outcomes({numbers[0]: {WEB: "admitted"}})
    kept_second, kept_first = store.list_deliveries(NAME, limit=9)
    led_to = {WEB: "admitted", ProjectName("blog"): "nothing moved"}
    assert kept_first == replace(first, number=numbers[0], led_to=led_to)
    assert kept_second == replace(second, number=numbers[1], note="a ␀ note")
    assert store.list_deliveries(NAME, limit=1) == [kept_second]
    record = store.get_webhook(NAME)
    assert (record.verified, record.refused) == (1, 1)
    assert (record.last_at, record.last_verdict) == (LATER, Verdict.WRONG)


def test_a_delivery_that_comes_again_is_known(store: SqlStore) -> None:
    """Also within one batch; of another webhook, without an id, or not verified it is none."""
    other = WebhookName("other")
    store.create_webhook(HOOK, FIRST)
    store.create_webhook(replace(HOOK, name=other), FIRST)
    store.record_deliveries([delivery("forged", Verdict.WRONG)], {})
    store.record_deliveries(
        [
            *(delivery("a"), delivery("a"), delivery(""), delivery("")),
            *(delivery("forged"), delivery("forged", Verdict.WRONG)),
        ],
        {},
    )
    store.record_deliveries([delivery("a"), delivery("a", webhook=other)], {})
    mine = store.list_deliveries(NAME, limit=9)
    duplicates = [(one.delivery, one.verdict.verified) for one in mine if one.duplicate]
    assert duplicates == [("a", True), ("a", True)]
    assert not store.list_deliveries(other, limit=9)[0].duplicate


def test_a_flood_of_forged_ones_takes_no_place_from_the_others(store: SqlStore) -> None:
    """Each kind has its own bound; what is left out is counted still."""
    store.create_webhook(HOOK, FIRST)
    store.record_deliveries([delivery(str(number)) for number in range(205)], {})
    forged = [delivery("x", Verdict.WRONG) for _ in range(60)]
    for _ in range(2):
        store.record_deliveries(forged, {NAME: 1000})
    kept = store.list_deliveries(NAME, limit=500)
    good = [one.delivery for one in kept if one.verdict.verified]
    assert (len(good), good[0], good[-1]) == (200, "204", "5")
    assert len(kept) - len(good) == 50
    record = store.get_webhook(NAME)
    assert (record.verified, record.refused) == (205, 2120)


def test_a_removed_webhook_takes_its_deliveries_along(store: SqlStore) -> None:
    """A later one of its name knows neither them nor the secret."""
    store.create_webhook(HOOK, FIRST)
    (number,) = store.record_deliveries([delivery("a")], {})
    store.remove_webhook(NAME)
    store.create_webhook(HOOK, SECOND)
    assert store.list_deliveries(NAME, limit=9) == []
    assert secrets_of(store) == [SECOND.reveal()]
    assert store.record_deliveries([delivery("a")], {})[0] > number
