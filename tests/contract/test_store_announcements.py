"""Which moves came announced, the same on both databases."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.domain.announcement import MOST_MOVES, Announcements
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.state import SourceHealth
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.domain.webhook_signature import Verdict
from reconciler.ports import Delivery, PollResult
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, Site, commit, project

HOOK = WebhookName("forgejo")
BLOG = ProjectName("blog")
SECOND = timedelta(seconds=1)


def seen(letter: str, at: datetime, announced: bool | None, name: ProjectName = WEB) -> PollResult:
    """Return a good look that found the tip ``letter``."""
    health = SourceHealth(looked_at=at, next_look_at=at, observed=commit(letter), observed_at=at)
    return PollResult(name, health, announced)


def declare(store: SqlStore, bound_to: ProjectName | None = WEB) -> None:
    """Make a webhook, and a project of which a first tip was seen."""
    store.create_project(project())
    webhook = Webhook(HOOK, Provider.FORGEJO, NOW, bound_to)
    store.create_webhook(webhook, Secret.of("a-secret-of-the-forge"))
    store.record_polls([seen("a", NOW, None)])


def deliver(store: SqlStore, at: datetime, *names: ProjectName) -> None:
    """Record a delivery that concerns the projects of these names."""
    one = Delivery(HOOK, at, "10.0.0.7", Verdict.VERIFIED, "push")
    store.record_deliveries([one], {}, dict.fromkeys(names or (WEB,), one))


def told(store: SqlStore, name: ProjectName = WEB) -> list[tuple[str, bool]]:
    """Return (letter, announced) of each move, oldest first."""
    moves = store.get_announcements(name).moves
    return [(move.commit.text[0], move.announced) for move in moves]


def test_a_move_is_kept_once_with_whether_it_was_announced(store: SqlStore) -> None:
    """However often it is recorded; the same tip again is none, nor the first sight."""
    declare(store)
    assert store.get_announcements(WEB) == Announcements()
    for _ in range(2):
        store.record_polls([seen("b", NOW + SECOND, False)])
    store.record_polls([seen("c", NOW + 2 * SECOND, True)])
    assert told(store) == [("b", False), ("c", True)]
    assert store.list_announcements() == {WEB: store.get_announcements(WEB)}
    assert store.get_announcements(WEB).moves[0].at == NOW + SECOND


def test_two_replicas_keep_one_move(store: SqlStore, site: Site) -> None:
    """Both looked, because the first one's hold had run out."""
    declare(store)
    replicas = [site.open() for _ in range(4)]

    def record(replica: SqlStore) -> None:
        replica.record_polls([seen("b", NOW + SECOND, False)])

    with ThreadPoolExecutor(len(replicas)) as threads:
        list(threads.map(record, replicas))
    assert told(store) == [("b", False)]


def test_a_delivery_that_comes_a_moment_late_is_no_loss(store: SqlStore) -> None:
    """It is the newest move's; one that comes after a minute is another's."""
    declare(store)
    store.record_polls([seen("b", NOW + SECOND, False)])
    deliver(store, NOW + 90 * SECOND)
    assert told(store) == [("b", False)]
    store.record_polls([seen("b", NOW + 95 * SECOND, None)])
    store.record_polls([seen("c", NOW + 100 * SECOND, False)])
    deliver(store, NOW + 101 * SECOND)
    deliver(store, NOW + 102 * SECOND)
    assert told(store) == [("b", False), ("c", True)]
    known = store.get_announcements(WEB)
    assert (known.announced_by, known.announced_at) == (HOOK, NOW + 102 * SECOND)


def test_a_delivery_counts_though_its_own_look_came_to_nothing(store: SqlStore) -> None:
    """It came since the last good look: a later one, whose time had come, finds the move."""
    declare(store)
    deliver(store, NOW + SECOND)
    store.record_polls([seen("b", NOW + 60 * SECOND, False)])
    store.record_polls([seen("c", NOW + 120 * SECOND, False)])
    assert told(store) == [("b", True), ("c", False)]


@pytest.mark.parametrize("bound_to", [BLOG, None])
def test_nothing_is_expected_of_a_webhook_that_never_spoke_of_it(
    store: SqlStore, bound_to: ProjectName | None
) -> None:
    """One that is bound elsewhere, or to nothing; from its first delivery on, the latter is."""
    declare(store, bound_to)
    store.record_polls([seen("b", NOW + SECOND, False)])
    assert told(store) == []
    deliver(store, NOW + 2 * SECOND)
    store.record_polls([seen("b", NOW + 3 * SECOND, None)])
    store.record_polls([seen("c", NOW + 4 * SECOND, False)])
    assert told(store) == ([("c", False)] if bound_to is None else [])
    store.remove_webhook(HOOK)
    store.record_polls([seen("d", NOW + 5 * SECOND, False)])
    assert ("d", False) not in told(store)


def test_what_was_not_waited_for_is_not_counted(store: SqlStore) -> None:
    """A person asked for the look, or it failed."""
    declare(store)
    store.record_polls([seen("b", NOW + SECOND, None)])
    failed = seen("b", NOW + 2 * SECOND, None)
    store.record_polls([replace(failed, health=replace(failed.health, failures=1))])
    assert told(store) == []


def test_only_the_newest_moves_are_kept(store: SqlStore) -> None:
    """A project that moves for years takes no more room."""
    declare(store)
    letters: Sequence[str] = "bc" * MOST_MOVES
    for number, letter in enumerate(letters):
        store.record_polls([seen(letter, NOW + (number + 1) * SECOND, False)])
    assert len(told(store)) == MOST_MOVES


def test_many_projects_and_removed_ones(store: SqlStore) -> None:
    """What a delivery says of a project that is gone is left out."""
    declare(store, None)
    store.create_project(project("blog"))
    deliver(store, NOW, ProjectName("gone"), WEB, BLOG)
    assert sorted(store.list_announcements()) == [BLOG, WEB]
    store.remove_project(WEB)
    assert sorted(store.list_announcements()) == [BLOG]
