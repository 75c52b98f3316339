"""How long what was verified has stood, the same on both databases."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import insert

from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import DeploymentId, Stage, Status
from reconciler.domain.errors import NotFound, Withdrawn
from reconciler.domain.promotion import Standing
from reconciler.domain.references import ProjectName
from reconciler.ports import Claim
from reconciler.store.database import connect, parse_location
from reconciler.store.sql_store import SqlStore
from reconciler.store.standings import MOST_STANDINGS
from reconciler.store.tables import STANDING
from tests.parts.environments import FAR, SHOP, at_once, verify
from tests.parts.stores import NOW, Site, ask, claim, failure, prepared, project, queue


def at(minute: int) -> datetime:
    return NOW + timedelta(minutes=minute)


@pytest.fixture(autouse=True)
def first(store: SqlStore) -> DeploymentId:
    """What the project has verified."""
    store.create_project(project(SHOP))
    return verify(store)


def begin(store: SqlStore, letter: str, stage: Stage = Stage.APPLY, *, minute: int = 5) -> Claim:
    """Take up a deployment, and bring it as far as ``stage``."""
    queue(store, letter, name=SHOP)
    held = claim(store, now=at(minute))
    store.record_prepared(held, prepared(letter))
    for each in (Stage.PREPARE, stage):
        store.begin_stage(held, each, at(minute))
    return held


def stands(store: SqlStore) -> DeploymentId | None:
    found = store.current_standings().get(SHOP)
    return found.deployment if found else None


def test_what_is_verified_stands_from_then_on(store: SqlStore, first: DeploymentId) -> None:
    """Of each project for itself."""
    other = ProjectName("web")
    store.create_project(project(other))
    assert store.current_standings() == {SHOP: Standing(SHOP, first, NOW)}
    second = verify(store, name=other, now=at(1))
    assert store.current_standings()[other] == Standing(other, second, at(1))
    assert store.list_standings(SHOP) == [Standing(SHOP, first, NOW)]


@pytest.mark.parametrize("stage", [Stage.MIGRATE, Stage.APPLY, Stage.VERIFY, Stage.ROLL_BACK])
def test_it_ends_when_another_begins_to_change_something(
    store: SqlStore, first: DeploymentId, stage: Stage
) -> None:
    """Not while that is only made ready; and what follows stands once it is verified."""
    held = begin(store, "b", Stage.GATE)
    assert stands(store) == first
    store.begin_stage(held, stage, at(6))
    because = f"deployment {held.deployment.id}"
    ended = Standing(SHOP, first, NOW, at(6), because)
    assert store.current_standings() == {}
    assert store.list_standings(SHOP) == [ended]
    store.finish(held, Status.DEPLOYED, at(7))
    assert store.list_standings(SHOP) == [Standing(SHOP, held.deployment.id, at(7)), ended]


def test_one_that_changed_nothing_leaves_it_alone(store: SqlStore, first: DeploymentId) -> None:
    """Withdrawn, superseded, failed, or put back into the queue."""
    for letter, status in zip(
        "bcd", (Status.WITHDRAWN, Status.SUPERSEDED, Status.FAILED), strict=True
    ):
        store.finish(begin(store, letter, Stage.GATE), status, at(6))
    store.retry_later(begin(store, "e", Stage.GATE), at(9), failure())
    ask(store, "f", name=SHOP)  # takes the place of the one that waits
    assert store.list_standings(SHOP) == [Standing(SHOP, first, NOW)]


def test_one_that_was_withdrawn_begins_to_change_nothing(
    store: SqlStore, first: DeploymentId
) -> None:
    """What stood goes on."""
    held = begin(store, "b", Stage.GATE)
    store.ask_to_withdraw(held.deployment.id, failure(), at(6))
    with pytest.raises(Withdrawn):
        store.begin_stage(held, Stage.APPLY, at(7))
    assert stands(store) == first


@pytest.mark.parametrize("status", [Status.FAILED, Status.NEEDS_OPERATOR])
def test_nothing_stands_where_something_was_changed_and_not_verified(
    store: SqlStore, first: DeploymentId, status: Status
) -> None:
    """Until somebody looks, and finds it well."""
    store.finish(begin(store, "b"), status, at(6))
    assert stands(store) is None
    assert store.resume_standing(SHOP, first, at(7))
    assert store.current_standings()[SHOP] == Standing(SHOP, first, at(7))


def test_what_was_gone_back_to_stands_anew(store: SqlStore, first: DeploymentId) -> None:
    """From then on: what it stood before was another stretch."""
    held = begin(store, "b")
    store.finish(held, Status.ROLLED_BACK, at(6), rolled_back_to=first)
    assert store.list_standings(SHOP) == [
        Standing(SHOP, first, at(6)),
        Standing(SHOP, first, NOW, at(5), f"deployment {held.deployment.id}"),
    ]
    store.finish(begin(store, "c"), Status.ROLLED_BACK, at(8))  # to nothing
    assert stands(store) is None


def test_it_goes_with_its_project(store: SqlStore) -> None:
    """One of its name begins anew."""
    store.remove_project(SHOP)
    assert store.current_standings() == {}
    store.create_project(project(SHOP))
    assert store.list_standings(SHOP) == []


class TestWatching:
    def test_it_is_broken_once(self, store: SqlStore, first: DeploymentId) -> None:
        """With why; one that ended, or another stretch, stays as it is."""
        standing = store.current_standings()[SHOP]
        assert store.break_standing(standing, "web is unhealthy", at(1))
        assert not store.break_standing(standing, "web is gone", at(2))
        assert store.resume_standing(SHOP, first, at(3))
        assert not store.break_standing(standing, "web is gone", at(4))
        assert store.list_standings(SHOP) == [
            Standing(SHOP, first, at(3)),
            Standing(SHOP, first, NOW, at(1), "web is unhealthy"),
        ]

    def test_it_goes_on_where_it_is_live_still(self, store: SqlStore, first: DeploymentId) -> None:
        """Once, and not while another changes what runs."""
        assert not store.resume_standing(SHOP, first, at(1))
        held = begin(store, "b")
        assert not store.resume_standing(SHOP, first, at(6))
        store.finish(held, Status.FAILED, at(7))
        assert not store.resume_standing(SHOP, held.deployment.id, at(8))
        with pytest.raises(NotFound):
            store.resume_standing(ProjectName("nobody"), first, at(8))
        assert store.resume_standing(SHOP, first, at(8))
        assert stands(store) == first

    def test_one_that_is_made_ready_is_in_nobody_s_way(
        self, store: SqlStore, first: DeploymentId
    ) -> None:
        store.break_standing(store.current_standings()[SHOP], "unhealthy", at(1))
        begin(store, "b", Stage.GATE)
        assert store.resume_standing(SHOP, first, at(6))

    def test_the_newest_come_first(self, store: SqlStore, first: DeploymentId) -> None:
        """Of those deployments that are asked for."""
        second = verify(store, "b", now=at(1))
        third = verify(store, "c", now=at(2))
        assert [one.deployment for one in store.list_standings(SHOP)] == [third, second, first]
        assert [one.deployment for one in store.list_standings(SHOP, limit=1)] == [third]
        found = store.list_standings(SHOP, of=[first, third])
        assert [one.deployment for one in found] == [third, first]


def test_the_oldest_are_dropped(store: SqlStore, site: Site, first: DeploymentId) -> None:
    """Of what is well now and then; each project's own, and never what stands."""
    store.break_standing(store.current_standings()[SHOP], "unhealthy", at(1))
    row = {"project": SHOP, "deployment": first, "until": NOW, "ended_because": "unhealthy"}
    rows = [{**row, "since": at(number)} for number in range(MOST_STANDINGS)]
    database = connect(parse_location(site.location), SystemClock())
    with database.writing() as connection:
        connection.execute(insert(STANDING), rows)
    database.close()
    other = ProjectName("web")
    store.create_project(project(other))
    verify(store, name=other)
    assert store.resume_standing(SHOP, first, FAR)
    kept = store.list_standings(SHOP, limit=1000)
    assert len(kept) == MOST_STANDINGS
    assert (kept[0].since, kept[-1].since) == (FAR, at(1))
    assert set(store.current_standings()) == {SHOP, other}


def test_of_replicas_that_resume_at_once_one_does(site: Site, store: SqlStore) -> None:
    """And a deployment that begins at the same time has the last word."""
    stores = [store, site.open()] if site.location.startswith("postgres") else [store]
    live = store.get_state(SHOP).live
    assert live
    for letter in "bcd":
        if stands := store.current_standings().get(SHOP):
            store.break_standing(stands, "unhealthy", at(1))
        results = at_once(
            [partial(its.resume_standing, SHOP, live.id, at(6)) for its in [*stores] * 3]
        )
        assert results.count(True) == 1
        store.break_standing(store.current_standings()[SHOP], "unhealthy", at(7))
        held = begin(store, letter, Stage.GATE)
        works: list[Callable[[], object]] = [
            partial(stores[-1].resume_standing, SHOP, live.id, at(8)),
            partial(store.begin_stage, held, Stage.APPLY, at(8)),
        ]
        at_once(works)
        assert store.current_standings() == {}
        store.finish(held, Status.FAILED, at(9))
