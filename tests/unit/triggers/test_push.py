"""Pushes to hosted repositories: the branch is read again, whatever the push says."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from reconciler.domain.errors import NotFound, SourceProtocolError
from reconciler.domain.references import BranchName, CommitSha, ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.wish import Wish
from reconciler.store.sql_store import SqlStore
from reconciler.testing import ManualClock
from reconciler.triggers.push import Pushes
from tests.unit.triggers.conftest import A, B, add_project, external, hosted, promoted

APP = ProjectName("app")


@dataclass
class Tips:
    """Where branches stand."""

    at: CommitSha | None = None
    acted: list[tuple[str, CommitSha]] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)

    def tip(self, name: ProjectName, branch: BranchName) -> CommitSha | None:
        if name in self.missing:
            raise NotFound(f"there is no repository {name}")
        return self.at

    def act(
        self, name: ProjectName, tip: CommitSha, tracked: CommitSha | None, wish: Wish | None
    ) -> str:
        if name in self.broken:
            raise SourceProtocolError(f"{name}: commits can't be compared")
        self.acted.append((name, tip))
        return f"admitted: {tip.short}"


@pytest.fixture
def tips() -> Tips:
    return Tips(A)


@pytest.fixture
def pushes(store: SqlStore, clock: ManualClock, tips: Tips) -> Pushes:
    return Pushes(store, tips, clock, tips.act, lambda name, _: tips.looked.append(name))  # type: ignore[arg-type]


def test_every_follower_of_the_branch_is_told(
    pushes: Pushes, store: SqlStore, clock: ManualClock, tips: Tips
) -> None:
    """Two projects on one repository both look; the pusher reads what came of it."""
    for name in ("one", "two"):
        add_project(store, clock, name, hosted("app"))
    assert pushes.receive(APP, {"refs/heads/main"}) == [
        "one: admitted: aaaaaaaa",
        "two: admitted: aaaaaaaa",
    ]
    assert store.get_health(ProjectName("one")).observed == A


def test_a_follower_in_trouble_keeps_no_other_from_being_told(
    pushes: Pushes, store: SqlStore, clock: ManualClock, tips: Tips
) -> None:
    """The pusher reads what is wrong, and the next look tries again."""
    for name in ("one", "two"):
        add_project(store, clock, name, hosted("app"))
    tips.broken = {"one"}
    assert pushes.receive(APP, {"refs/heads/main"}) == [
        "one: one: commits can't be compared; it is looked at again soon",
        "two: admitted: aaaaaaaa",
    ]
    pushes.look_at_all(timedelta(minutes=1))
    assert store.get_health(ProjectName("one")).failures == 1
    tips.broken = set()
    pushes.look_at_all(timedelta(minutes=1))
    assert ("one", A) in tips.acted


def test_what_is_promoted_gets_nothing_of_a_push(
    pushes: Pushes, store: SqlStore, clock: ManualClock, tips: Tips
) -> None:
    """The pusher reads why; and the daemon's own look passes it by, whatever keeps its source."""
    add_project(store, clock, "web", hosted("app"))
    add_project(store, clock, "live", hosted("app"), environment=promoted("web"))
    assert pushes.receive(APP, {"refs/heads/main"}) == [
        "live: it gets what web verified",
        "web: admitted: aaaaaaaa",
    ]
    pushes.look_at_all(timedelta(minutes=1))
    add_project(store, clock, "other", None)
    elsewhere = add_project(
        store, clock, "elsewhere", external("git.example"), environment=promoted("other")
    )
    assert pushes.look_at(elsewhere) == "it gets what other verified"
    assert {name for name, _ in tips.acted} == {"web"}
    assert tips.looked == []
    assert store.get_health(ProjectName("live")).looked_at is None


@pytest.mark.parametrize(
    "ref",
    [
        pytest.param("refs/heads/other", id="another-branch"),
        pytest.param("refs/tags/main", id="a-tag-of-that-name"),
        pytest.param("refs/heads/main-2", id="a-longer-name"),
        pytest.param("refs/heads/a/refs/heads/main", id="a-nested-name"),
    ],
)
def test_what_nobody_follows_moves_nothing(
    pushes: Pushes, store: SqlStore, clock: ManualClock, tips: Tips, ref: str
) -> None:
    """Refs are compared whole, and the pusher is told why nothing happens."""
    add_project(store, clock, "web", hosted("app"))
    assert pushes.receive(APP, {ref})[0].startswith("no project follows")
    assert tips.acted == []


def test_a_push_to_another_server_is_a_hint_to_look_there(
    pushes: Pushes, store: SqlStore, clock: ManualClock, tips: Tips
) -> None:
    """Its hook names the repository; the project that follows it by URL is looked at at once."""
    add_project(store, clock, "web", external("git.example"))
    answer = pushes.receive(APP, {"refs/heads/main"})
    assert answer == ["web: https://git.example/app.git is looked at now"]
    assert (tips.looked, tips.acted) == (["web"], [])


def test_a_deleted_branch_deploys_nothing(
    pushes: Pushes, store: SqlStore, clock: ManualClock, tips: Tips
) -> None:
    """It is shown as gone; what runs stays."""
    add_project(store, clock, "web", hosted("app"))
    pushes.receive(APP, {"refs/heads/main"})
    with store.transaction() as transaction:
        transaction.track(ProjectName("web"), Revision(A))
    tips.acted.clear()
    tips.at = None
    assert "is gone" in pushes.receive(APP, {"refs/heads/main"})[0]
    assert tips.acted == []
    assert store.get_health(ProjectName("web")).branch_gone


def test_a_branch_that_nobody_pushed_yet_is_not_gone(
    pushes: Pushes, store: SqlStore, clock: ManualClock, tips: Tips
) -> None:
    """An empty repository is where everybody begins."""
    add_project(store, clock, "web", hosted("app"))
    tips.at = None
    pushes.look_at_all(timedelta(minutes=1))
    assert not store.get_health(ProjectName("web")).branch_gone


def test_pushes_that_nobody_announced_are_found(
    pushes: Pushes, store: SqlStore, clock: ManualClock, tips: Tips
) -> None:
    """At the start and every interval all branches are compared; only what moved is acted on."""
    add_project(store, clock, "web", hosted("app"))
    pushes.look_at_all(timedelta(minutes=1))
    assert tips.acted == [("web", A)]
    with store.transaction() as transaction:
        transaction.track(ProjectName("web"), Revision(A))
    pushes.look_at_all(timedelta(minutes=1))
    assert len(tips.acted) == 1
    tips.at = B
    pushes.look_at_all(timedelta(minutes=1))
    assert tips.acted[-1] == ("web", B)


def test_a_repository_that_is_gone_hides_no_other_project(
    pushes: Pushes, store: SqlStore, clock: ManualClock, tips: Tips
) -> None:
    """One bad project never stops the loop; why its look failed is shown, others are acted on."""
    for name, repository in (("bad", "gone"), ("good", "app")):
        add_project(store, clock, name, hosted(repository))
    tips.missing.add("gone")
    pushes.look_at_all(timedelta(minutes=1))
    assert tips.acted == [("good", A)]
    health = store.get_health(ProjectName("bad"))
    assert health.error is not None
    assert health.error.code == "not-found"
    assert health.failures == 1
    assert store.get_health(ProjectName("good")).observed == A
    tips.missing.clear()
    pushes.look_at_all(timedelta(minutes=1))
    assert ("bad", A) in tips.acted
    assert store.get_health(ProjectName("bad")).error is None
