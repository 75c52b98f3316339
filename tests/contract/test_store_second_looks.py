"""When to look again at what was held for a time."""

from datetime import timedelta

from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, project

HOUR = timedelta(hours=1)


def test_the_first_of_several_times_counts(store: SqlStore) -> None:
    """One that is past already gives way; a look that was made is forgotten, a newer time stays."""
    store.create_project(project())
    for hours in (5, 3, 4):
        store.look_again(WEB, NOW + hours * HOUR, NOW)
    assert store.list_looks_due(NOW + 2 * HOUR) == {}
    assert store.list_looks_due(NOW + 9 * HOUR) == {WEB: NOW + 3 * HOUR}
    later = NOW + 6 * HOUR
    store.look_again(WEB, later + HOUR, later)
    store.looked_again(WEB, NOW + 3 * HOUR)
    assert store.list_looks_due(later + HOUR) == {WEB: later + HOUR}
    store.looked_again(WEB, later + HOUR)
    assert store.list_looks_due(later + 9 * HOUR) == {}


def test_the_transaction_that_holds_notes_the_time(store: SqlStore) -> None:
    store.create_project(project())
    with store.transaction() as transaction:
        transaction.get_project(WEB)
        transaction.look_again(WEB, NOW + HOUR, NOW)
    assert store.list_looks_due(NOW + HOUR) == {WEB: NOW + HOUR}
