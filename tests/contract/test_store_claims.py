"""Claims: one worker a deployment, and nobody writes for one that is not theirs."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.domain.deployment import Stage, Status, TargetStatus
from reconciler.domain.errors import ClaimLost, NotFound
from reconciler.domain.host import LOCAL
from reconciler.domain.references import ProjectName
from reconciler.ports import Claim
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import (
    LEASE,
    NOW,
    WEB,
    Site,
    claim,
    failure,
    prepared,
    project,
    queue,
)
from tests.parts.waiting import eventually

_ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _web(store: SqlStore) -> None:
    store.create_project(project())


class TestClaiming:
    def test_nothing_waits_nothing_is_claimed(self, store: SqlStore) -> None:
        assert store.claim_next("worker", NOW, lease=LEASE) is None

    def test_the_oldest_goes_first_one_per_project(self, store: SqlStore) -> None:
        store.create_project(project("api"))
        first = queue(store, "a")
        second = queue(store, "a", name=ProjectName("api"))
        assert claim(store).deployment.id == first.id
        behind = queue(store, "b")
        assert claim(store).deployment.id == second.id
        assert store.claim_next("worker", NOW, lease=LEASE) is None
        assert store.get_state(WEB).queued == behind

    def test_a_claim_holds_what_was_claimed(self, store: SqlStore) -> None:
        queue(store, "a")
        held = claim(store)
        assert (held.owner, held.fence, held.resumed) == ("worker", 1, False)
        assert held.deployment == store.get_deployment(held.deployment.id)
        assert (held.deployment.status, held.deployment.started_at) == (Status.RUNNING, NOW)

    def test_an_attempt_begins_anew_also_for_who_takes_it_up(self, store: SqlStore) -> None:
        """Where the one before got to says nothing of it: no gate was passed yet."""
        queue(store, "a")
        first = claim(store)
        store.begin_stage(first, Stage.MIGRATE, NOW)
        store.retry_later(first, NOW, failure())
        store.release_all(claim(store).owner)
        taken_up = claim(store)
        assert taken_up.resumed
        assert taken_up.deployment.stage is Stage.PREPARE
        store.begin_stage(taken_up, Stage.MIGRATE, NOW)
        store.release_all(taken_up.owner)
        assert claim(store).deployment.stage is Stage.MIGRATE

    def test_stages_are_kept_in_order_also_when_repeated(self, store: SqlStore) -> None:
        queue(store, "a")
        held = claim(store)
        store.begin_stage(held, Stage.PREPARE, NOW)
        store.end_stage(held, Stage.PREPARE, "ok", NOW + timedelta(seconds=2))
        store.begin_stage(held, Stage.APPLY, NOW + timedelta(seconds=2))
        store.release_all("work")
        again = claim(store, "another", NOW + timedelta(seconds=9))
        assert again.resumed
        store.begin_stage(again, Stage.APPLY, NOW + timedelta(seconds=10))
        deployment = store.get_deployment(held.deployment.id)
        assert deployment.stage is Stage.APPLY
        assert [(one.stage, one.outcome) for one in deployment.stages] == [
            (Stage.PREPARE, "ok"),
            (Stage.APPLY, "interrupted"),
            (Stage.APPLY, ""),
        ]
        assert deployment.stages[0].duration == timedelta(seconds=2)
        assert deployment.attempt == 1


#: Everything that a worker may write with its claim.
_WRITES: dict[str, Callable[[SqlStore, Claim], object]] = {
    "extend": lambda store, held: store.extend(held, lease=LEASE),
    "begin_stage": lambda store, held: store.begin_stage(held, Stage.APPLY, NOW),
    "end_stage": lambda store, held: store.end_stage(held, Stage.APPLY, "ok", NOW),
    "record_target": lambda store, held: store.record_target(
        held, LOCAL, TargetStatus.VERIFIED, NOW
    ),
    "record_prepared": lambda store, held: store.record_prepared(held, prepared("f")),
    "finish": lambda store, held: store.finish(held, Status.DEPLOYED, NOW, quarantine="no"),
    "retry_later": lambda store, held: store.retry_later(held, NOW, failure()),
}


@pytest.mark.parametrize("taken_over", [True, False], ids=["taken-over", "released"])
@pytest.mark.parametrize("write", sorted(_WRITES))
def test_a_stale_claimer_writes_nothing(store: SqlStore, write: str, taken_over: bool) -> None:
    """A worker that comes back after its claim went to another is refused every write."""
    queue(store, "a")
    stale = claim(store)
    store.release_all("worker")
    if taken_over:
        # The new one has the very same name, as after a restart: the fence still tells them apart.
        fresh = claim(store)
        assert fresh.resumed
        assert fresh.fence > stale.fence
    before = store.get_deployment(stale.deployment.id), store.get_state(WEB)
    with pytest.raises(ClaimLost):
        _WRITES[write](store, stale)
    assert (store.get_deployment(stale.deployment.id), store.get_state(WEB)) == before


def test_a_claim_on_a_removed_project_is_lost(store: SqlStore) -> None:
    """A worker that outlives the project is told so, and output has nowhere to go."""
    queue(store, "a")
    held = claim(store)
    store.finish(held, Status.FAILED, NOW)
    store.remove_project(WEB)
    for write in ("finish", "extend"):
        with pytest.raises(ClaimLost):
            _WRITES[write](store, held)
    with pytest.raises(NotFound):
        store.append_log(held.deployment.id, Stage.APPLY, ["late"], NOW)


def test_only_the_named_owners_are_released(store: SqlStore) -> None:
    """``_`` and ``%`` in a name are letters like any other."""
    store.create_project(project("api"))
    queue(store, "a")
    queue(store, "a", name=ProjectName("api"))
    claim(store, "host_1:w0")
    claim(store, "hostx1:w0")
    assert store.release_all("host_1:") == 1
    assert store.release_all("%") == 0


# ── Other processes ───────────────────────────────────────────────────────────────────────────


def test_two_processes_never_claim_the_same(site: Site, store: SqlStore) -> None:
    """Two rounds of 20 projects: each deployment is claimed once, by one of two processes."""
    names = [ProjectName(f"p{number}") for number in range(20)]
    for name in names:
        store.create_project(project(name))
    for letter in "ab":
        queued = [queue(store, letter, name=name).id for name in names]
        with ExitStack() as stack:
            workers = [stack.enter_context(_worker("claim", site, f"w{n}")) for n in range(2)]
            for worker in workers:
                assert worker.stdin
                worker.stdin.write("go\n")
                worker.stdin.flush()
            claimed = [worker.communicate(timeout=50)[0].split() for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0]
        assert sorted(int(one) for part in claimed for one in part) == queued
    assert {one.fence for one in store.list_deployments(limit=1000)} == {1}


def test_a_killed_claimer_is_followed_by_another(site: Site, store: SqlStore) -> None:
    """Once its lease is over, what a killed worker held is resumed; until then it is left alone."""
    queued = queue(store, "a")
    with _worker("hold", site, "victim") as victim:
        assert victim.stdout
        assert victim.stdout.readline() == f"{queued.id}\n"
        victim.kill()
        victim.wait(10)
    started = store.get_deployment(queued.id).started_at
    assert started
    if site.location.startswith("/"):  # SQLite goes by the caller's clock
        assert store.claim_next("heir", started, lease=LEASE) is None
    heir = eventually(
        lambda: store.claim_next("heir", datetime.now(UTC), lease=LEASE), what="the lease is over"
    )
    assert heir
    assert (heir.resumed, heir.fence, heir.deployment.attempt) == (True, 2, 1)
    assert store.claim_next("third", datetime.now(UTC), lease=LEASE) is None


@contextmanager
def _worker(what: str, site: Site, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "tests.parts.store_worker", what, site.location, *arguments]
    with subprocess.Popen(
        argv, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()
