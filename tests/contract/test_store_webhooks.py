"""Webhooks, their secrets, and what came in through them, the same on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from reconciler.domain.errors import AlreadyExists, NotFound
from reconciler.domain.references import ProjectName
from reconciler.domain.registry_event import ImageHint, ImagesHint
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Matching, Provider, Webhook, WebhookName
from reconciler.domain.webhook_payload import PushHint
from reconciler.domain.webhook_signature import Verdict
from reconciler.ports import Delivery, DeliveryFilter, DeliveryOutcome, Hint
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, Site

NAME = WebhookName("forgejo")
HOOK = Webhook(NAME, Provider.FORGEJO, NOW, WEB, Matching.APPS)
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
    noted = [(one.action, list(one.changes)) for one in store.read_audit(after=0, limit=9)[1:4]]
    assert noted == [
        ("webhook.rotate", ["fingerprint"]),
        ("webhook.rotate", ["fingerprint"]),
        ("webhook.drop-previous-secret", []),
    ]


def test_a_delivery_is_kept_in_every_field(store: SqlStore) -> None:
    """Newest first, with what it led to, which may become known later."""
    store.create_webhook(HOOK, FIRST)
    first = delivery("a", led_to={WEB: "is looked at now"})
    second = delivery("", Verdict.WRONG, note="a \0 note", at=LATER)
    numbers = store.record_deliveries([first, second], {})
    assert numbers == sorted(numbers)
    store.record_outcomes({numbers[0]: {ProjectName("blog"): "nothing moved"}, 999: {WEB: "?"}})
    store.record_outcomes({numbers[0]: {WEB: "admitted"}})
    kept_second, kept_first = store.list_deliveries(DeliveryFilter(NAME), limit=9)
    led_to = {WEB: "admitted", ProjectName("blog"): "nothing moved"}
    assert kept_first == replace(first, number=numbers[0], led_to=led_to)
    assert kept_second == replace(second, number=numbers[1], note="a ␀ note")
    assert store.list_deliveries(DeliveryFilter(NAME), limit=1) == [kept_second]
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
    mine = store.list_deliveries(DeliveryFilter(NAME), limit=9)
    duplicates = [(one.delivery, one.verdict.verified) for one in mine if one.duplicate]
    assert duplicates == [("a", True), ("a", True)]
    assert not store.list_deliveries(DeliveryFilter(other), limit=9)[0].duplicate


def test_a_flood_of_forged_ones_takes_no_place_from_the_others(store: SqlStore) -> None:
    """Each kind has its own bound; what is left out is counted still."""
    store.create_webhook(HOOK, FIRST)
    store.record_deliveries([delivery(str(number)) for number in range(205)], {})
    forged = [delivery("x", Verdict.WRONG) for _ in range(60)]
    for _ in range(2):
        store.record_deliveries(forged, {NAME: 1000})
    kept = store.list_deliveries(DeliveryFilter(NAME), limit=500)
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
    assert store.list_deliveries(DeliveryFilter(NAME), limit=9) == []
    assert secrets_of(store) == [SECOND.reveal()]
    assert store.record_deliveries([delivery("a")], {})[0] > number


HINTS = (
    PushHint("team/app", frozenset({"main", "next"})),
    PushHint("team/app", frozenset()),
    ImagesHint((ImageHint("registry.example:5000", "team/app", "1.2"),)),
    ImagesHint((ImageHint("ghcr.io", "team/app", None), ImageHint("ghcr.io", "team/api", "1"))),
)


@pytest.mark.parametrize("hint", HINTS, ids=str)
def test_where_a_delivery_points_is_kept(store: SqlStore, hint: Hint) -> None:
    """With the one that it repeats, which is no request and is not counted."""
    store.create_webhook(replace(HOOK, registry="registry.example:5000"), FIRST)
    assert store.get_webhook(NAME).webhook.registry == "registry.example:5000"
    (first,) = store.record_deliveries([delivery(hint=hint)], {})
    (again,) = store.record_deliveries([delivery(hint=hint, repeats=first)], {})
    assert store.get_delivery(NAME, again) == delivery(hint=hint, repeats=first, number=again)
    assert store.get_webhook(NAME).verified == 1
    with pytest.raises(NotFound, match=str(again + 1)):
        store.get_delivery(NAME, again + 1)
    with pytest.raises(NotFound, match="other"):
        store.get_delivery(WebhookName("other"), again)


def test_a_push_of_very_many_branches_is_kept_as_one_of_any(store: SqlStore) -> None:
    """What is kept is small, and points at no fewer projects."""
    store.create_webhook(HOOK, FIRST)
    many = PushHint("team/app", frozenset(f"b-{number}" for number in range(51)))
    (number,) = store.record_deliveries([delivery(hint=many)], {})
    assert store.get_delivery(NAME, number).hint == PushHint("team/app", frozenset())


def test_deliveries_of_all_webhooks_are_found(store: SqlStore) -> None:
    """By what they led to and what was made of them, newest first and page by page."""
    other = WebhookName("other")
    store.create_webhook(HOOK, FIRST)
    store.create_webhook(replace(HOOK, name=other), FIRST)
    blog = ProjectName("blog")
    refused, ignored, unfollowed, of_web, of_both = store.record_deliveries(
        [
            delivery(verdict=Verdict.WRONG),
            delivery(webhook=other),
            delivery(hint=HINTS[0]),
            delivery(hint=HINTS[0], led_to={WEB: "is looked at now"}, webhook=other),
            delivery(hint=HINTS[2], led_to={WEB: "nothing moved", blog: "admitted"}),
        ],
        {},
    )

    def found(limit: int = 9, **wanted: object) -> list[int]:
        query = DeliveryFilter(**wanted)  # type: ignore[arg-type]
        return [one.number for one in store.list_deliveries(query, limit=limit)]

    assert found() == [of_both, of_web, unfollowed, ignored, refused]
    assert found(limit=2) == [of_both, of_web]
    assert found(limit=2, before=of_web) == [unfollowed, ignored]
    assert found(webhook=other) == [of_web, ignored]
    assert found(project=WEB) == [of_both, of_web]
    assert found(project=blog) == [of_both]
    assert found(project=ProjectName("a"), webhook=NAME) == []
    by_outcome = {outcome: found(outcome=outcome) for outcome in DeliveryOutcome}
    assert by_outcome == {
        DeliveryOutcome.REFUSED: [refused],
        DeliveryOutcome.IGNORED: [ignored],
        DeliveryOutcome.UNFOLLOWED: [unfollowed],
        DeliveryOutcome.FOLLOWED: [of_both, of_web],
    }


def test_one_that_is_removed_meanwhile_costs_no_other_its_deliveries(site: Site) -> None:
    """They are recorded together, whatever another replica does to some of the webhooks."""
    here, there, gone = site.open(), site.open(), replace(HOOK, name=WebhookName("gone"))
    here.create_webhook(HOOK, FIRST)

    together = Barrier(2, timeout=30)  # of two that write all the time, one may never get its turn

    def come_and_go() -> None:
        for _ in range(30):
            together.wait()
            there.create_webhook(gone, FIRST)
            there.remove_webhook(gone.name)

    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(come_and_go)
        for _ in range(30):
            together.wait()
            numbers = here.record_deliveries([delivery(), delivery(webhook=gone.name)], {})
            assert numbers[0] > 0
        going.result()
