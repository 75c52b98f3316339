"""Any order of events on the queue keeps its promises, on either database."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from reconciler.domain.deployment import TRANSITIONS, Deployment, Status
from reconciler.domain.errors import ClaimLost
from reconciler.domain.references import ProjectName
from reconciler.ports import Claim
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import LEASE, NOW, ask, failure, prepared, project

_ENDS = sorted(TRANSITIONS[Status.RUNNING] - {Status.QUEUED})


class Queue(RuleBasedStateMachine):
    """One project, two workers, and whatever happens to them."""

    store: SqlStore
    projects = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).projects += 1
        self.name = ProjectName(f"p{self.projects}")
        self.store.create_project(project(self.name))
        self.held: Claim | None = None
        self.lost: list[Claim] = []
        self.ended: dict[int, Deployment] = {}
        self.now = NOW

    def teardown(self) -> None:
        self.store.release_all("")
        while held := self.store.claim_next("sweeper", NOW + timedelta(days=9), lease=LEASE):
            self.store.finish(held, Status.FAILED, NOW)

    @rule(letter=some.sampled_from("abc"))
    def trigger(self, letter: str) -> None:
        ask(self.store, letter, name=self.name, now=self.now)

    @rule()
    def claim(self) -> None:
        self.now += timedelta(seconds=1)
        found = self.store.claim_next("worker", self.now, lease=LEASE)
        if found and self.held:
            pytest.fail(f"{found} was claimed beside {self.held}")
        self.held = found or self.held

    @precondition(lambda self: self.held)
    @rule()
    def crash(self) -> None:
        assert self.held
        self.lost.append(self.held)
        assert self.store.release_all("worker") == 1
        self.held = None

    @precondition(lambda self: self.held)
    @rule(status=some.sampled_from(_ENDS), quarantine=some.sampled_from(["", "bad"]))
    def finish(self, status: Status, quarantine: str) -> None:
        assert self.held
        live = self.store.get_state(self.name).live
        letter = str(self.held.deployment.revision.commit)[0]
        self.store.record_prepared(self.held, prepared(letter))
        self.store.finish(
            self.held,
            status,
            self.now,
            quarantine=quarantine if status is Status.ROLLED_BACK else "",
            rolled_back_to=live.id if live and status is Status.ROLLED_BACK else None,
        )
        self.lost.append(self.held)
        self.held = None

    @precondition(lambda self: self.held)
    @rule()
    def retry(self) -> None:
        assert self.held
        self.store.retry_later(self.held, self.now, failure())
        self.lost.append(self.held)
        self.held = None

    @rule()
    def withdraw(self) -> None:
        if waiting := self.store.get_state(self.name).queued:
            assert self.store.withdraw_queued(waiting.id, failure(), self.now)

    @precondition(lambda self: self.lost)
    @rule(data=some.data())
    def come_back(self, data: some.DataObject) -> None:
        stale = data.draw(some.sampled_from(self.lost))
        with pytest.raises(ClaimLost):
            self.store.finish(stale, Status.DEPLOYED, self.now)

    @invariant()
    def one_waits_and_one_runs(self) -> None:
        deployments = self.store.list_deployments(self.name, limit=1000)
        for status in (Status.QUEUED, Status.RUNNING):
            assert sum(one.status is status for one in deployments) <= 1
        for one in deployments:
            assert self.ended.setdefault(one.id, one) == one or not self.ended[one.id].status.final
            self.ended[one.id] = one

    @invariant()
    def what_moved_is_dealt_with_or_noticed_again(self) -> None:
        """The tracked commit waits, runs, or was tried; it is never one that was withdrawn only."""
        state = self.store.get_state(self.name)
        if state.tracked_commit is None:
            return
        tried = [
            one.status
            for one in self.store.list_deployments(self.name, limit=1000)
            if one.revision.commit == state.tracked_commit
        ]
        assert set(tried) - {Status.WITHDRAWN, Status.SUPERSEDED}


def test_any_order_of_events(store: SqlStore) -> None:
    """Triggers, claims, crashes, ends, retries and withdrawals, in any order."""
    with _machine(store) as machine:
        run_machine(
            machine,
            settings=settings(
                max_examples=8,
                stateful_step_count=20,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


@contextmanager
def _machine(store: SqlStore) -> Iterator[type[Queue]]:
    class OnStore(Queue):
        projects = 0

    OnStore.store = store
    yield OnStore
