"""Commit statuses in the store: in order whatever happens, each once, and only the newest."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.domain.commit_status import report_on
from reconciler.domain.deployment import Deployment, Status, Trigger
from reconciler.domain.project import Project
from reconciler.domain.references import ProjectName
from reconciler.ports import Claim, Message, OutboxKind
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import LEASE, NOW, Site, ask, claim, failure, project, queue

_numbers = count(1)
COMMITS = "abc"


def telling(name: str = "web", **more: object) -> Project:
    return replace(project(name), commit_statuses=True, **more)  # type: ignore[arg-type]


def take(store: SqlStore, owner: str = "me") -> Message | None:
    return store.claim_status(owner, lease=LEASE)


def states(store: SqlStore) -> list[str]:
    """Send all that is due; return their states."""
    sent = []
    while (message := take(store)) is not None:
        sent.append(message.body["state"])
        store.settle_message(message, "me")
    return sent


class TestOneAfterAnother:
    def test_nobody_is_told_unasked(self, store: SqlStore) -> None:
        """It is off unless somebody wants it."""
        store.create_project(project())
        queue(store, "a")
        store.finish(claim(store), Status.DEPLOYED, NOW)
        assert take(store) is None
        assert store.last_status(ProjectName("web")) is None

    def test_what_waits_gives_way_to_what_is_newer(self, store: SqlStore) -> None:
        store.create_project(telling())
        queue(store, "a")
        store.finish(claim(store), Status.DEPLOYED, NOW)
        assert states(store) == ["success"]

    def test_what_is_being_sent_is_waited_for(self, store: SqlStore, site: Site) -> None:
        """A pending that hangs at the forge must not arrive after the success, from any replica."""
        other = site.open()
        store.create_project(telling())
        queue(store, "a")
        hanging = take(store)
        assert hanging
        store.finish(claim(store), Status.DEPLOYED, NOW)
        assert take(other, "other") is None
        store.put_off_message(hanging, "me", NOW + timedelta(days=9999), "no answer")
        assert states(other) == ["success"]
        assert states(store) == []

    def test_a_sender_that_died_is_followed_by_another(self, store: SqlStore, site: Site) -> None:
        store.create_project(telling())
        queue(store, "a")
        dead = store.claim_status("dead", lease=timedelta(0))
        assert dead
        again = take(site.open(), "other")
        assert again
        assert (again.id, again.attempts) == (dead.id, dead.attempts + 1)
        store.settle_message(dead, "dead", "too late")
        assert (last := store.last_status(ProjectName("web")))
        assert last.settled_at is None

    def test_the_same_is_said_once(self, store: SqlStore) -> None:
        """Also when a worker takes up what another left behind."""
        store.create_project(telling())
        queue(store, "a")
        claim(store)
        assert states(store) == ["under-way"]
        store.release_all("worker")
        claim(store)
        assert states(store) == []

    def test_a_later_deployment_of_a_commit_has_the_last_word(self, store: SqlStore) -> None:
        """Not the one before it that ends afterwards."""
        store.create_project(telling())
        queue(store, "a")
        first = claim(store)
        assert ask(store, "a", trigger=Trigger.PERSON, force=True).admitted
        assert states(store) == ["waiting"]
        store.finish(first, Status.SUPERSEDED, NOW)
        assert states(store) == []

    def test_each_project_has_its_own(self, store: SqlStore) -> None:
        """Of several in one repository, on the same commit."""
        for name in ("web", "api"):
            store.create_project(telling(name))
            queue(store, "a", name=ProjectName(name))
        assert states(store) == ["waiting", "waiting"]


# ── In any order ──────────────────────────────────────────────────────────────────────────────


@dataclass
class Life:
    """One project, two senders, and what has arrived at the forge."""

    store: SqlStore
    name: ProjectName
    running: Claim | None = None
    in_hand: dict[int, Message] = field(default_factory=dict)
    arrived: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))

    def ask(self, commit: str) -> None:
        ask(self.store, commit, name=self.name, trigger=Trigger.PERSON, force=True)

    def begin(self, _: object) -> None:
        if self.running is None:
            self.running = self.store.claim_next("worker", NOW, lease=timedelta(days=9999))

    def end(self, status: Status) -> None:
        if self.running:
            self.store.finish(self.running, status, NOW, error=failure())
            self.running = None

    def put_back(self, _: object) -> None:
        if self.running:
            self.store.retry_later(self.running, NOW, failure())
            self.running = None

    def take(self, sender: int) -> None:
        if sender not in self.in_hand and (message := take(self.store, str(sender))):
            self.in_hand[sender] = message

    def die(self, sender: int) -> None:
        """End between taking one and sending it."""
        if sender not in self.in_hand:
            self.store.claim_status(str(sender), lease=timedelta(0))

    def arrive(self, sender: int) -> None:
        if message := self.in_hand.pop(sender, None):
            self.arrived[message.address].append(message)
            self.store.settle_message(message, str(sender))

    def lose_answer(self, sender: int) -> None:
        """Have it arrive, and not know it."""
        if message := self.in_hand.pop(sender, None):
            self.arrived[message.address].append(message)
            self.store.put_off_message(message, str(sender), NOW, "no answer")

    def fail(self, sender: int) -> None:
        if message := self.in_hand.pop(sender, None):
            self.store.put_off_message(message, str(sender), NOW, "HTTP 502")

    def come_to_rest(self) -> None:
        self.end(Status.DEPLOYED)
        while (left := self.store.claim_next("worker", NOW, lease=LEASE)) is not None:
            self.store.finish(left, Status.DEPLOYED, NOW)
        for sender in list(self.in_hand):
            self.arrive(sender)
        while (message := take(self.store, "2")) is not None:
            self.in_hand[2] = message
            self.arrive(2)

    def newest(self) -> dict[str, Deployment]:
        every: Sequence[Deployment] = self.store.list_deployments(self.name, limit=200)
        found: dict[str, Deployment] = {}
        for one in every:  # newest first
            assert one.revision.commit
            found.setdefault(f"{self.name}@{one.revision.commit.text}", one)
        return found


_SENDERS = st.sampled_from([0, 1])
_ENDS = [Status.DEPLOYED, Status.FAILED, Status.ROLLED_BACK, Status.SUPERSEDED, Status.WITHDRAWN]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just(Life.ask), st.sampled_from(COMMITS)),
        st.tuples(st.just(Life.begin), st.none()),
        st.tuples(st.just(Life.end), st.sampled_from(_ENDS)),
        st.tuples(st.just(Life.put_back), st.none()),
        *(
            st.tuples(st.just(deed), _SENDERS)
            for deed in (Life.take, Life.take, Life.arrive, Life.lose_answer, Life.fail, Life.die)
        ),
    ),
    min_size=6,
    max_size=20,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_the_forge_ends_up_with_what_is_so(
    store: SqlStore, steps: list[tuple[object, ...]]
) -> None:
    """And never hears anything older than it heard before, nor anything twice but for its answer.

    Over random ways of deployments, and of two senders that fail, die, or never hear the answer.
    """
    life = Life(store, ProjectName(f"web-{next(_numbers)}"))
    store.create_project(telling(life.name))
    for deed, detail in steps:
        deed(life, detail)  # type: ignore[operator]
    life.come_to_rest()
    assert set(life.arrived) == set(life.newest())
    for address, deployment in life.newest().items():
        ids = [message.id for message in life.arrived[address]]
        assert ids == sorted(ids)
        last = life.arrived[address][-1]
        state, description = report_on(deployment)
        assert (last.deployment, last.body["state"], last.body["description"]) == (
            deployment.id,
            state,
            description,
        )
    waiting = store.list_messages(OutboxKind.COMMIT_STATUS, limit=500)
    assert all(message.settled_at for message in waiting if message.project == life.name)
