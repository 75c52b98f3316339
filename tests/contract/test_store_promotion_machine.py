"""Whatever is asked and said of promotions, in any order, on either database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.errors import Conflict
from reconciler.domain.promotion import Promotion, PromotionId, PromotionStatus
from reconciler.domain.references import ProjectName
from reconciler.store.sql_store import SqlStore
from tests.parts.environments import FAR, SHOP, production, proposal, verify, vote
from tests.parts.stores import NOW, digest, project

_ENDS = sorted(set(PromotionStatus) - {PromotionStatus.WAITING})
_PEOPLE = some.sampled_from(["ada", "bob", "cyd"])


class Promotions(RuleBasedStateMachine):
    """One environment, a few revisions, and three people."""

    store: SqlStore
    deployment: DeploymentId
    environments = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).environments += 1
        self.name = ProjectName(f"shop-p{self.environments}")
        self.store.create_project(production(self.name))
        self.known: dict[PromotionId, Promotion] = {}
        self.over: set[PromotionId] = set()  #: those whose time was over when they were proposed
        self.clock = 0

    @rule(
        letter=some.sampled_from("123"),
        asked_by=some.one_of(some.just(""), _PEOPLE),
        in_time=some.booleans(),
    )
    def propose(self, letter: str, asked_by: str, in_time: bool) -> None:
        asked = proposal(self.deployment, name=self.name, asked_by=asked_by)
        revision = replace(asked.revision, images={"web": digest(letter)})
        asked = replace(asked, revision=revision, expires_at=FAR if in_time else NOW)
        waiting = [
            one
            for one in self.known.values()
            if one.status is PromotionStatus.WAITING and one.revision == revision
        ]
        kept, new = self.store.propose(asked)
        before = next((one for one in waiting if one.id not in self.over), None)
        assert new is (before is None)
        assert kept.asked_by == ((before and before.asked_by) or asked_by)
        assert before is None or before.id == kept.id
        for one in waiting:
            if one.id in self.over:
                self.known[one.id] = self.store.get_promotion(one.id)
                assert self.known[one.id].status is PromotionStatus.EXPIRED
        if new and not in_time:
            self.over.add(kept.id)
        self.known[kept.id] = kept

    @precondition(lambda self: self.known)
    @rule(data=some.data(), person=_PEOPLE, approves=some.booleans())
    def say(self, data: some.DataObject, person: str, approves: bool) -> None:
        before = self.known[data.draw(some.sampled_from(sorted(self.known)))]
        self.clock += 1
        said = vote(person, approves=approves, after=self.clock)
        if before.status is not PromotionStatus.WAITING or before.id in self.over:
            with pytest.raises(Conflict):
                self.store.vote(before.id, said, needed=2)
            return
        after = self.store.vote(before.id, said, needed=2)
        others = tuple(one for one in before.votes if one.person != person)
        assert after.votes == (*others, said)
        assert (after.status is PromotionStatus.WAITING) is approves
        self.known[before.id] = after

    @precondition(lambda self: self.known)
    @rule(data=some.data(), status=some.sampled_from(_ENDS))
    def decide(self, data: some.DataObject, status: PromotionStatus) -> None:
        before = self.known[data.draw(some.sampled_from(sorted(self.known)))]
        at = NOW + timedelta(days=1)
        decided = self.store.decide(before.id, status, at, became=self.deployment)
        assert decided is (before.status is PromotionStatus.WAITING)
        if decided:
            ended = replace(before, status=status, decided_at=at, became=self.deployment)
            self.known[before.id] = ended

    @invariant()
    def it_is_as_it_was_left(self) -> None:
        """What ended stays as it ended, and of each revision one waits at most."""
        found = {one.id: one for one in self.store.list_promotions(self.name, limit=1000)}
        assert found == self.known
        waiting = self.store.list_waiting(self.name)
        assert len({one.revision.fingerprint for one in waiting}) == len(waiting)


def test_any_order_of_events(store: SqlStore) -> None:
    """Proposals, votes and decisions, also on what has ended or expired."""
    with _machine(store) as machine:
        run_machine(
            machine,
            settings=settings(
                max_examples=6,
                stateful_step_count=15,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    assert store.check_audit().intact


@contextmanager
def _machine(store: SqlStore) -> Iterator[type[Promotions]]:
    class OnStore(Promotions):
        environments = 0

    store.create_project(project(SHOP))
    OnStore.store, OnStore.deployment = store, verify(store)
    yield OnStore
