"""Which project is promoted from which, what it may use of it, and freezes, on both databases."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from reconciler.domain.errors import Conflict, InvalidInput, NotFound
from reconciler.domain.project import ExternalSource, Project, ProjectKind
from reconciler.domain.promotion import Environment, EnvironmentName
from reconciler.domain.references import BranchName, GitUrl, ProjectName
from reconciler.domain.rules import Freeze
from reconciler.domain.secret import Secret
from reconciler.ports import AuditQuery
from reconciler.store.sql_store import SqlStore
from tests.parts.environments import FAR, LIVE, SHOP, at_once, production, verify
from tests.parts.stores import NOW, Site, project

STAGING = ProjectName("shop-staging")
FREEZE = Freeze("ada", NOW, "the fair", NOW + timedelta(days=2))


def chain(store: SqlStore) -> None:
    """Declare three environments, one after another."""
    store.create_project(project(SHOP))
    store.create_project(production(STAGING))
    store.create_project(production(LIVE, STAGING))


def named(name: str, origin: ProjectName | None = None) -> Environment:
    return Environment(EnvironmentName(name), origin)


class TestPlaces:
    def test_an_environment_is_kept_as_declared(self, store: SqlStore) -> None:
        chain(store)
        assert store.get_project(LIVE) == production(LIVE, STAGING)
        assert [one.promoted_from for one in store.list_projects()] == [None, STAGING, SHOP]
        assert store.list_origins() == {
            one.name: one.promoted_from for one in store.list_projects()
        }

    def test_it_is_promoted_from_what_is_there(self, store: SqlStore) -> None:
        with pytest.raises(InvalidInput, match=r"environment.promoted_from: 'shop' is no project"):
            store.create_project(production())
        tunnel = Project(SHOP, ProjectKind.TUNNEL, NOW, NOW)
        store.create_project(tunnel)
        with pytest.raises(InvalidInput, match=r"promoted_from: 'shop' .*nothing to deploy"):
            store.create_project(production())
        assert store.list_projects() == [tunnel]

    def test_it_gets_nothing_from_itself(self, store: SqlStore) -> None:
        """However long the way round is."""
        own = production(SHOP, SHOP)
        with pytest.raises(InvalidInput, match="ring: shop from shop;"):
            store.create_project(own)
        chain(store)
        ring = replace(project(SHOP), environment=named("test", LIVE))
        with pytest.raises(InvalidInput, match="shop from shop-production from shop-staging"):
            store.update_project(ring)
        assert store.get_project(SHOP).promoted_from is None

    def test_each_of_an_app_s_has_a_name_of_its_own(self, store: SqlStore) -> None:
        """Whichever of them is declared, or renamed, last; another app's may have the same."""
        chain(store)
        with pytest.raises(InvalidInput, match=r"environment.name: 'staging' .*shop-staging"):
            store.update_project(replace(project(SHOP), environment=named("staging")))
        with pytest.raises(InvalidInput, match=r"environment.name: 'production'"):
            store.create_project(replace(project("shop-eu"), environment=named("production", SHOP)))
        store.update_project(replace(project(SHOP), environment=named("test")))
        store.create_project(replace(project("web"), environment=named("test")))
        with pytest.raises(InvalidInput, match="is what shop is called"):
            store.update_project(replace(project("web"), environment=named("test", LIVE)))

    def test_what_others_are_promoted_from_stays(self, store: SqlStore) -> None:
        """They are named; the last one of a chain goes first."""
        chain(store)
        store.create_project(production(ProjectName("shop-eu")))
        with pytest.raises(Conflict, match="shop-eu, shop-staging are promoted from 'shop'"):
            store.remove_project(SHOP)
        with pytest.raises(Conflict, match="shop-production is promoted from") as refused:
            store.remove_project(STAGING)
        assert "shop-production" in refused.value.remedy
        for name in (LIVE, STAGING, ProjectName("shop-eu"), SHOP):
            store.remove_project(name)
        assert store.list_projects() == []

    def test_of_changes_at_once_that_make_a_ring_one_is_refused(self, site: Site) -> None:
        """And nothing is ever promoted from what is removed at the same time."""
        stores = [site.open(), site.open()] if site.location.startswith("postgres") else []
        first, last = stores or [site.open()] * 2
        for number in range(4):
            a, b = ProjectName(f"a{number}"), ProjectName(f"b{number}")
            first.create_project(project(a))
            first.create_project(project(b))
            results = raised_by(
                partial(first.update_project, production(a, b)),
                partial(last.update_project, production(b, a)),
            )
            assert results.count(InvalidInput) == 1
            c = ProjectName(f"c{number}")
            first.create_project(project(c))
            results = raised_by(
                partial(first.remove_project, c),
                partial(last.create_project, production(ProjectName(f"d-{number}"), c)),
            )
            assert len(set(results) & {Conflict, InvalidInput}) == 1


def raised_by(*works: Callable[[], object]) -> list[type | None]:
    """Do them side by side; return what each raised."""

    def attempt(work: Callable[[], object]) -> type | None:
        try:
            work()
        except (Conflict, InvalidInput) as error:
            return type(error)
        return None

    return at_once([partial(attempt, work) for work in works])


class TestLooking:
    def test_its_source_is_never_due(self, store: SqlStore) -> None:
        """Neither when it was declared, nor when somebody wishes for a look, nor later on."""
        chain(store)
        for name in (LIVE, STAGING):
            store.poll_now(name)
        due = store.claim_due_polls(FAR, hold_for=timedelta(minutes=1), limit=10)
        assert [task.project for task in due] == [SHOP]

    def test_it_follows_from_when_it_is_promoted_from_nothing(self, store: SqlStore) -> None:
        """And no longer once it is again."""

        def due() -> bool:
            tasks = store.claim_due_polls(FAR, hold_for=timedelta(0), limit=10)
            return LIVE in {task.project for task in tasks}

        chain(store)
        store.update_project(project(LIVE))
        assert due()
        store.update_project(production())
        assert not due()

    def test_its_deployments_are_no_first_look_at_its_images(self, store: SqlStore) -> None:
        """Nobody looked, and what was handed on may have other names."""
        chain(store)
        verify(store)
        verify(store, name=LIVE)
        assert store.get_state(SHOP).images_seeded
        state = store.get_state(LIVE)
        assert not state.images_seeded
        assert state.live
        assert state.tracked_images == state.live.target_revision.images


class TestGitCredentials:
    URL = GitUrl.parse("https://git.example/team/app.git")

    def put(self, store: SqlStore, name: ProjectName, token: str) -> None:
        store.put_secret(
            name, "git-token", Secret.of(token), bound_to=self.URL.origin, username="me", now=NOW
        )

    def token(self, store: SqlStore, name: ProjectName) -> Secret | None:
        found = store.git_credentials(name, store.get_project(name).source)
        return found.token if found else None

    def test_those_of_the_environment_before_serve(self, store: SqlStore) -> None:
        """Of the nearest that has any, and its own before all others."""
        chain(store)
        assert self.token(store, LIVE) is None
        self.put(store, SHOP, "first")
        assert self.token(store, LIVE) == Secret.of("first")
        self.put(store, STAGING, "second")
        assert self.token(store, LIVE) == Secret.of("second")
        self.put(store, LIVE, "own")
        assert self.token(store, LIVE) == Secret.of("own")
        assert self.token(store, SHOP) == Secret.of("first")

    @pytest.mark.parametrize("between", [False, True])
    def test_never_for_another_repository(self, store: SqlStore, between: bool) -> None:
        """Not of the same server either; and not through a project in between that has another."""
        chain(store)
        self.put(store, SHOP, "first")
        other = ExternalSource(GitUrl.parse("https://git.example/evil/app.git"), BranchName("main"))
        if between:
            store.update_project(production(STAGING, source=other))
        else:
            store.update_project(production(LIVE, STAGING, source=other))
        assert self.token(store, LIVE) is None
        assert store.git_credentials(LIVE, other) is None

    def test_a_stranger_s_never_serve(self, store: SqlStore) -> None:
        """A project of the same source alone is nobody's environment."""
        chain(store)
        self.put(store, LIVE, "own")
        store.create_project(project("web"))
        assert self.token(store, ProjectName("web")) is None
        assert self.token(store, SHOP) is None


class TestFreezing:
    def test_it_is_kept_until_it_is_lifted(self, store: SqlStore) -> None:
        """In the place of the one before; and the audit log tells of each."""
        store.create_project(project(SHOP))
        marks = [store.change_mark()]
        assert store.get_state(SHOP).freeze is None
        store.set_freeze(SHOP, FREEZE)
        assert store.get_state(SHOP).freeze == FREEZE
        marks.append(store.change_mark())
        forever = Freeze("bob", NOW)
        store.set_freeze(SHOP, forever)
        assert store.list_states()[SHOP].freeze == forever
        assert store.lift_freeze(SHOP)
        assert not store.lift_freeze(SHOP)
        assert store.get_state(SHOP).freeze is None
        assert len({*marks, store.change_mark()}) == 2
        entries = store.list_audit(AuditQuery(subject=f"project {SHOP}"))[:3]
        assert [one.action for one in reversed(entries)] == [
            *("project.freeze", "project.freeze", "project.thaw"),
        ]
        assert entries[2].changes["reason"] == (None, "the fair")

    def test_what_is_not_there_is_not_frozen(self, store: SqlStore) -> None:
        with pytest.raises(NotFound):
            store.set_freeze(SHOP, FREEZE)
        with pytest.raises(NotFound):
            store.lift_freeze(SHOP)
