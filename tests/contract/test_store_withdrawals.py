"""Taking deployments back, and how long they usually take, on both databases."""

from datetime import timedelta

import pytest

from reconciler.domain.deployment import DeploymentId, Stage, Status, TargetStatus
from reconciler.domain.errors import Conflict, NotFound, Withdrawn
from reconciler.domain.host import LOCAL
from reconciler.ports import Claim
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, claim, failure, project, queue


@pytest.fixture(autouse=True)
def _web(store: SqlStore) -> None:
    store.create_project(project())


def run(store: SqlStore, letter: str, *, seconds: int, status: Status = Status.DEPLOYED) -> None:
    """Run a deployment whose stages each take ``seconds``; its first prepare failed."""
    queue(store, letter)
    held = claim(store)
    for stage, outcome in (
        (Stage.PREPARE, "source-error"),
        (Stage.PREPARE, "ok"),
        (Stage.APPLY, "ok"),
    ):
        store.begin_stage(held, stage, NOW)
        took = seconds if outcome == "ok" else 1000
        store.end_stage(held, stage, outcome, NOW + timedelta(seconds=took))
    store.finish(held, status, NOW)


class TestUsualDurations:
    def test_the_last_five_verified_ones_count(self, store: SqlStore) -> None:
        """What failed says nothing, and neither does what was long ago, nor another project."""
        assert store.usual_durations(WEB) == {}
        store.create_project(project("other"))
        for letter, seconds in zip("0123456", (900, 900, 1, 2, 3, 4, 5), strict=True):
            run(store, letter, seconds=seconds)
        run(store, "a", seconds=700, status=Status.FAILED)
        assert store.usual_durations(WEB) == {
            Stage.PREPARE: timedelta(seconds=3),
            Stage.APPLY: timedelta(seconds=3),
        }
        assert store.usual_durations(project("other").name) == {}


class TestWithdrawing:
    def test_one_that_waits_ends_at_once(self, store: SqlStore) -> None:
        """Asked again, the answer is the same; what was tracked is put back."""
        waiting = queue(store, "a")
        for _ in range(2):
            found = store.ask_to_withdraw(waiting.id, failure("withdrawn"), NOW)
            assert (found.status, found.error) == (Status.WITHDRAWN, failure("withdrawn"))
        assert store.get_state(WEB).tracked_commit is None

    @pytest.mark.parametrize("stage", [Stage.PREPARE, Stage.BUILD, Stage.GATE])
    def test_one_under_way_is_told_to_its_worker(self, store: SqlStore, stage: Stage) -> None:
        """It goes on being claimed, and can begin nothing that changes something."""
        held = self.held(store, stage)
        assert store.find_withdrawn([held.deployment.id]) == []
        for _ in range(2):
            found = store.ask_to_withdraw(held.deployment.id, failure("withdrawn"), NOW)
            assert (found.status, found.withdrawal) == (Status.RUNNING, failure("withdrawn"))
        assert store.find_withdrawn([held.deployment.id, DeploymentId(99)]) == [held.deployment.id]
        store.begin_stage(held, Stage.GATE, NOW)
        for later in (Stage.MIGRATE, Stage.APPLY):
            with pytest.raises(Withdrawn):
                store.begin_stage(held, later, NOW)
        assert store.get_deployment(held.deployment.id).stage is Stage.GATE
        store.finish(held, Status.WITHDRAWN, NOW, error=failure("withdrawn"))
        assert store.find_withdrawn([held.deployment.id]) == []

    @pytest.mark.parametrize("stage", [Stage.MIGRATE, Stage.APPLY, Stage.VERIFY, Stage.ROLL_BACK])
    def test_one_that_changes_something_goes_on(self, store: SqlStore, stage: Stage) -> None:
        held = self.held(store, stage)
        with pytest.raises(Conflict, match="has begun to change"):
            store.ask_to_withdraw(held.deployment.id, failure(), NOW)
        assert store.get_deployment(held.deployment.id).withdrawal is None
        store.begin_stage(held, Stage.VERIFY, NOW)

    @pytest.mark.parametrize("waits", [True, False])
    def test_one_that_changed_a_host_in_an_earlier_attempt(
        self, store: SqlStore, *, waits: bool
    ) -> None:
        """Whether it waits for its next attempt or is made ready again."""
        held = self.held(store, Stage.APPLY)
        store.record_target(held, LOCAL, TargetStatus.VERIFIED, NOW)
        store.retry_later(held, NOW, failure())
        if not waits:
            store.begin_stage(claim(store), Stage.PREPARE, NOW)
        with pytest.raises(Conflict, match="on local"):
            store.ask_to_withdraw(held.deployment.id, failure(), NOW)

    def test_one_that_was_rolled_back_in_an_earlier_attempt(self, store: SqlStore) -> None:
        """What ran before runs again, so that there is nothing to wait for."""
        held = self.held(store, Stage.APPLY)
        store.record_target(held, LOCAL, TargetStatus.ROLLED_BACK, NOW)
        store.retry_later(held, NOW, failure())
        found = store.ask_to_withdraw(held.deployment.id, failure(), NOW)
        assert found.status is Status.WITHDRAWN

    def test_what_has_ended_and_what_never_was(self, store: SqlStore) -> None:
        run(store, "a", seconds=1)
        with pytest.raises(Conflict, match="has ended already: deployed"):
            store.ask_to_withdraw(DeploymentId(1), failure(), NOW)
        with pytest.raises(NotFound):
            store.ask_to_withdraw(DeploymentId(99), failure(), NOW)

    def held(self, store: SqlStore, stage: Stage) -> Claim:
        queue(store, "a")
        held = claim(store)
        store.begin_stage(held, stage, NOW)
        return held
