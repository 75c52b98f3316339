"""Promotions and the votes on them, the same on both databases."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from reconciler.domain.deployment import DeploymentId, Status
from reconciler.domain.errors import Conflict, NotFound
from reconciler.domain.promotion import Promotion, PromotionId, PromotionStatus
from reconciler.domain.references import ProjectName
from reconciler.ports import AuditQuery
from reconciler.store.sql_store import SqlStore
from tests.parts.environments import FAR, LIVE, SHOP, at_once, production, proposal, verify, vote
from tests.parts.stores import NOW, Site, digest, project

SOON = NOW + timedelta(minutes=5)  # by the store's clock it is over


@pytest.fixture(autouse=True)
def verified(store: SqlStore) -> DeploymentId:
    """An app of two environments, and what the first one verified."""
    store.create_project(project(SHOP))
    store.create_project(production())
    return verify(store)


def told(store: SqlStore, action: str = "promotion") -> list[tuple[str, dict[str, object]]]:
    """Return what the audit log tells of the environment, oldest first."""
    entries = store.list_audit(AuditQuery(subject=f"project {LIVE}", action=action))
    return [
        (one.action, {name: after for name, (_, after) in one.changes.items()})
        for one in reversed(entries)
    ]


class TestProposing:
    def test_it_is_kept_in_every_field(self, store: SqlStore, verified: DeploymentId) -> None:
        asked = proposal(verified, asked_by="ada", reason="a fix", override="customers wait")
        kept, new = store.propose(asked)
        assert new
        assert kept == replace(asked, id=kept.id)
        assert store.get_promotion(kept.id) == kept
        assert store.list_waiting() == store.list_waiting(LIVE) == [kept]
        assert store.list_waiting(SHOP) == []
        assert told(store) == [
            (
                "promotion.propose",
                {
                    "promotion": kept.id,
                    "from": SHOP,
                    "deployment": verified,
                    "revision": str(asked.revision),
                    "asked_by": "ada",
                    "reason": "a fix",
                    "override": "customers wait",
                },
            )
        ]

    def test_the_same_revision_waits_once(self, store: SqlStore, verified: DeploymentId) -> None:
        """Whoever asks first for what followed by itself has it in their name."""
        kept, _ = store.propose(proposal(verified))
        assert store.propose(proposal(verified)) == (kept, False)
        asked = proposal(verified, asked_by="ada", reason="a fix", override="now")
        mine = replace(kept, asked_by="ada", reason="a fix", override="now")
        assert store.propose(asked) == (mine, False)
        assert store.propose(replace(asked, asked_by="bob", reason="no")) == (mine, False)
        assert [action for action, _ in told(store)] == ["promotion.propose"] * 2

    def test_who_goes_past_what_holds_it_is_heard(
        self, store: SqlStore, verified: DeploymentId
    ) -> None:
        """Though somebody else wants it already."""
        kept, _ = store.propose(proposal(verified, asked_by="ada"))
        asked = proposal(verified, asked_by="bob", override="customers wait")
        mine = replace(kept, asked_by="bob", override="customers wait")
        assert store.propose(asked) == (mine, False)

    def test_another_revision_waits_beside_it(
        self, store: SqlStore, verified: DeploymentId
    ) -> None:
        """Also another generation of what is to run it: that was never approved."""
        first, _ = store.propose(proposal(verified))
        later = replace(first.revision, generation=2)
        second, new = store.propose(proposal(verified, revision=later))
        assert new
        assert store.list_waiting() == [first, second]

    def test_one_that_expired_is_over(self, store: SqlStore, verified: DeploymentId) -> None:
        """And asked about anew."""
        old, _ = store.propose(proposal(verified, expires_at=SOON))
        kept, new = store.propose(proposal(verified))
        assert new
        assert store.get_promotion(old.id).status is PromotionStatus.EXPIRED
        assert store.list_waiting() == [kept]
        assert [action for action, _ in told(store)] == [
            *("promotion.propose", "promotion.end", "promotion.propose"),
        ]

    def test_only_what_was_verified_right_before_goes_on(
        self, store: SqlStore, verified: DeploymentId
    ) -> None:
        """There, by a deployment of it, and to a project that is promoted from it."""
        with pytest.raises(NotFound, match="no project 'nobody'"):
            store.propose(proposal(verified, name=ProjectName("nobody")))
        with pytest.raises(Conflict, match="not promoted from"):
            store.propose(proposal(verified, name=SHOP))
        with pytest.raises(Conflict, match="not promoted from"):
            store.propose(proposal(verified, origin=LIVE))
        with pytest.raises(NotFound, match="has no deployment 99"):
            store.propose(proposal(DeploymentId(99)))
        own = verify(store, name=LIVE)
        with pytest.raises(NotFound, match=f"has no deployment {own}"):
            store.propose(proposal(own))
        failed = verify(store, "b", status=Status.FAILED)
        with pytest.raises(Conflict, match="is failed"):
            store.propose(proposal(failed, "b"))
        assert store.list_promotions(LIVE) == []
        assert told(store) == []


class TestVoting:
    @pytest.fixture
    def waiting(self, store: SqlStore, verified: DeploymentId) -> PromotionId:
        return store.propose(proposal(verified))[0].id

    def test_each_person_has_one_vote(self, store: SqlStore, waiting: PromotionId) -> None:
        """Whatever was said last counts, and the audit log tells how far it got."""
        store.vote(waiting, vote("ada"), needed=2)
        store.vote(waiting, vote("ada", after=1, reason="twice"), needed=2)
        found = store.vote(waiting, vote("bob", after=2), needed=2)
        assert found.approvals == (vote("ada", after=1, reason="twice"), vote("bob", after=2))
        assert found.status is PromotionStatus.WAITING
        assert store.get_promotion(waiting) == found
        said = [(action, its.get("approvals")) for action, its in told(store)[1:]]
        assert said == [("promotion.approve", f"{count} of 2") for count in (1, 1, 2)]

    def test_who_rejects_ends_it(self, store: SqlStore, waiting: PromotionId) -> None:
        """For good: what is said afterwards is refused with what became of it."""
        store.vote(waiting, vote("ada"), needed=1)
        no = vote("ada", approves=False, after=1, reason="too early")
        found = store.vote(waiting, no, needed=1)
        assert (found.status, found.decided_at, found.votes) == (
            *(PromotionStatus.REJECTED, no.at, (no,)),
        )
        with pytest.raises(Conflict, match="rejected"):
            store.vote(waiting, vote("bob", after=2), needed=1)
        assert not store.decide(waiting, PromotionStatus.PROMOTED, NOW)
        assert store.get_promotion(waiting) == found
        assert [action for action, _ in told(store)[1:]] == [
            *("promotion.approve", "promotion.reject"),
        ]

    def test_nobody_votes_on_one_that_expired(
        self, store: SqlStore, verified: DeploymentId
    ) -> None:
        """By the store's clock, whatever time the vote has."""
        old, _ = store.propose(proposal(verified, expires_at=SOON))
        with pytest.raises(Conflict, match="has expired"):
            store.vote(old.id, vote("ada"), needed=1)
        assert store.list_waiting() == [old]
        assert store.decide(old.id, PromotionStatus.EXPIRED, NOW)
        assert store.list_waiting() == []

    def test_what_is_not_there_is_said(self, store: SqlStore) -> None:
        attempts: Sequence[Callable[[PromotionId], object]] = (
            store.get_promotion,
            lambda number: store.vote(number, vote("ada"), needed=1),
            lambda number: store.decide(number, PromotionStatus.EXPIRED, NOW),
        )
        for attempt in attempts:
            with pytest.raises(NotFound, match="no promotion 99"):
                attempt(PromotionId(99))


class TestDeciding:
    def test_it_ends_once(self, store: SqlStore, verified: DeploymentId) -> None:
        """With the deployment that it became."""
        kept, _ = store.propose(proposal(verified))
        with pytest.raises(Conflict, match="can't end as waiting"):
            store.decide(kept.id, PromotionStatus.WAITING, NOW)
        assert store.decide(kept.id, PromotionStatus.PROMOTED, NOW, became=DeploymentId(7))
        assert not store.decide(kept.id, PromotionStatus.SUPERSEDED, NOW)
        found = store.get_promotion(kept.id)
        assert (found.status, found.decided_at, found.became) == (
            *(PromotionStatus.PROMOTED, NOW, 7),
        )
        end = {"promotion": kept.id, "status": "promoted", "deployment": 7}
        assert told(store, "promotion.end") == [("promotion.end", end)]

    def test_the_newest_come_first(self, store: SqlStore, verified: DeploymentId) -> None:
        """Page by page, each with its votes."""
        made: list[Promotion] = []
        for letter in "123":
            revision = replace(proposal(verified).revision, images={"web": digest(letter)})
            promotion, _ = store.propose(proposal(verified, revision=revision))
            store.vote(promotion.id, vote(f"voter-{letter}"), needed=1)
            store.decide(promotion.id, PromotionStatus.SUPERSEDED, NOW)
            made.insert(0, store.get_promotion(promotion.id))
        assert store.list_promotions(LIVE) == made
        assert store.list_promotions(LIVE, limit=2) == made[:2]
        assert store.list_promotions(LIVE, before=made[1].id) == made[2:]
        assert store.list_promotions(SHOP) == []

    def test_what_gets_its_revisions_elsewhere_waits_for_none(
        self, store: SqlStore, verified: DeploymentId
    ) -> None:
        """And what is removed takes its promotions along."""
        kept, _ = store.propose(proposal(verified))
        other = ProjectName("shop-staging")
        store.create_project(production(other))
        store.update_project(production(auto_deploy=False))
        assert store.list_waiting(LIVE) == [kept]
        store.update_project(production(origin=other))
        assert store.get_promotion(kept.id).status is PromotionStatus.SUPERSEDED
        assert told(store, "promotion.end")[-1][1]["status"] == "superseded"
        store.remove_project(LIVE)
        with pytest.raises(NotFound):
            store.get_promotion(kept.id)

    def test_who_looks_on_notices(self, store: SqlStore, verified: DeploymentId) -> None:
        """A proposal, a vote and a decision each make another mark."""
        marks = [store.change_mark()]
        kept, _ = store.propose(proposal(verified))
        marks.append(store.change_mark())
        store.vote(kept.id, vote("ada"), needed=2)
        marks.append(store.change_mark())
        store.decide(kept.id, PromotionStatus.PROMOTED, NOW)
        marks.append(store.change_mark())
        assert len(set(marks)) == len(marks)


class TestSeveralAtOnce:
    @pytest.fixture
    def stores(self, site: Site, store: SqlStore) -> Sequence[SqlStore]:
        """Two replicas, where the database may be shared."""
        return [store, site.open()] if site.location.startswith("postgres") else [store]

    def test_replicas_that_propose_at_once_propose_one(
        self, stores: Sequence[SqlStore], verified: DeploymentId
    ) -> None:
        for letter in "123":
            revision = replace(proposal(verified).revision, images={"web": digest(letter)})
            one = proposal(verified, revision=revision)
            results = at_once([partial(its.propose, one) for its in [*stores] * 4])
            assert sum(new for _, new in results) == 1
            assert len({kept.id for kept, _ in results}) == 1
        assert len(stores[0].list_promotions(LIVE)) == 3

    def test_people_who_vote_at_once_all_count(
        self, stores: Sequence[SqlStore], verified: DeploymentId
    ) -> None:
        kept, _ = stores[0].propose(proposal(verified))
        people = [f"p{number}" for number in range(8)]

        def say(at: int) -> Callable[[], Promotion]:
            return lambda: stores[at % len(stores)].vote(kept.id, vote(people[at]), needed=8)

        at_once([say(at) for at in range(8)])
        found = stores[0].get_promotion(kept.id)
        assert sorted(one.person for one in found.approvals) == people
        counts = [its["approvals"] for action, its in told(stores[0], "promotion.approve")]
        assert counts == [f"{count} of 8" for count in range(1, 9)]

    def test_of_decisions_at_once_one_counts(
        self, stores: Sequence[SqlStore], verified: DeploymentId
    ) -> None:
        """A rejection among them."""
        kept, _ = stores[0].propose(proposal(verified, expires_at=FAR))
        ends = [PromotionStatus.PROMOTED, PromotionStatus.SUPERSEDED, PromotionStatus.EXPIRED]

        def reject() -> bool:
            try:
                stores[-1].vote(kept.id, vote("ada", approves=False), needed=1)
            except Conflict:
                return False
            return True

        def end(at: int) -> Callable[[], bool]:
            return lambda: stores[at % len(stores)].decide(kept.id, ends[at % 3], NOW)

        assert sum(at_once([*(end(at) for at in range(6)), reject])) == 1
        ended = told(stores[0], "promotion.end") + told(stores[0], "promotion.reject")
        assert len(ended) == 1
