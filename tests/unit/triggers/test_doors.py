"""Which webhooks are open: from memory, and never longer than it is true."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.domain.errors import StoreError
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.store.sql_store import SqlStore
from reconciler.testing import ManualClock
from reconciler.triggers.doors import Doors

NAME = WebhookName("forgejo")
FIRST, SECOND = Secret.of("the-first-secret-of-it"), Secret.of("the-second-secret-of-it")
A_SECOND = timedelta(seconds=1)


@pytest.fixture
def doors(store: SqlStore, clock: ManualClock) -> Doors:
    store.create_webhook(Webhook(NAME, Provider.FORGEJO, clock.now()), FIRST)
    return Doors(store, clock)


def secrets(doors: Doors, name: WebhookName = NAME) -> list[Secret]:
    door = doors.find(name)
    return list(door.secrets) if door else []


def ruin(database: Path) -> None:
    """Have every look at the webhooks fail from now on."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DROP TABLE webhook")


def test_what_changes_here_counts_at_once(
    doors: Doors, store: SqlStore, clock: ManualClock
) -> None:
    """Not a moment later, for the operator has been told that it is done."""
    other = WebhookName("other")
    assert secrets(doors) == [FIRST]
    assert secrets(doors, other) == []
    store.create_webhook(Webhook(other, Provider.GITEA, clock.now()), SECOND)
    assert secrets(doors, other) == [SECOND]
    store.rotate_webhook_secret(NAME, SECOND, clock.now())
    assert secrets(doors) == [SECOND, FIRST]
    store.drop_previous_webhook_secret(NAME)
    assert secrets(doors) == [SECOND]
    store.remove_webhook(NAME)
    assert secrets(doors) == []
    store.create_webhook(Webhook(NAME, Provider.GITHUB, clock.now()), FIRST)
    assert secrets(doors) == [FIRST]


def test_what_a_replica_changes_counts_within_a_second(
    doors: Doors, store: SqlStore, clock: ManualClock
) -> None:
    """Until then the store is not asked again."""
    replica = SqlStore(store._database, store._sealer)
    assert secrets(doors) == [FIRST]
    replica.rotate_webhook_secret(NAME, SECOND, clock.now())
    assert secrets(doors) == [FIRST]
    clock.advance(A_SECOND)
    assert secrets(doors) == [SECOND, FIRST]
    replica.drop_previous_webhook_secret(NAME)
    clock.advance(A_SECOND)
    assert secrets(doors) == [SECOND]
    replica.remove_webhook(NAME)
    clock.advance(A_SECOND)
    assert secrets(doors) == []


def test_a_webhook_that_did_not_change_is_not_unsealed_again(
    doors: Doors, clock: ManualClock
) -> None:
    """Nor is the store asked by a request, while the loop that records keeps it fresh."""
    assert not doors.is_at_hand(NAME)
    before = doors.find(NAME)
    for _ in range(10):
        clock.advance(A_SECOND * 0.6)
        doors.keep_fresh()
        assert doors.is_at_hand(NAME)
        assert doors.find(NAME) is before


def test_names_that_nobody_declared_cost_nothing(doors: Doors) -> None:
    """Neither a look into the store, nor memory."""
    doors.find(NAME)
    for number in range(1000):
        name = WebhookName(f"nobody-{number}")
        assert doors.is_at_hand(name)
        assert doors.find(name) is None
    assert set(doors._known.states) == set(doors._known.doors) == {NAME}


def test_without_the_store_no_door_stays_open(
    doors: Doors, store: SqlStore, clock: ManualClock
) -> None:
    """What was true a second ago may have been withdrawn since."""
    assert secrets(doors) == [FIRST]
    assert store._database.path
    ruin(store._database.path)
    assert secrets(doors) == [FIRST]
    clock.advance(A_SECOND)
    for name in (NAME, WebhookName("nobody")):
        assert not doors.is_at_hand(name)
        with pytest.raises(StoreError):
            doors.find(name)
