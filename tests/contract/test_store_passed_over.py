"""Commits that were passed over: recorded while what was decided of still holds."""

from dataclasses import replace

import pytest

from reconciler.domain.errors import NotFound
from reconciler.domain.path_patterns import parse_patterns
from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import BranchName, GitUrl
from reconciler.domain.revision import Revision
from reconciler.domain.state import PassedOver
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, commit, digest, project, queue

CHOOSY = replace(project(), watch_paths=parse_patterns(["apps/web"]))
PASSED = PassedOver(
    commit("b"), "path-untouched", "2 paths differ, none\0is watched \ud800", NOW, commit("a")
)


def passing(store: SqlStore) -> None:
    """Track ``a``, and pass ``b`` over."""
    store.create_project(CHOOSY)
    queue(store, "a")
    mark = store.change_mark()
    assert store.pass_over(CHOOSY, commit("a"), PASSED)
    assert store.change_mark() != mark


def test_it_is_kept_with_what_it_was_compared_with(store: SqlStore) -> None:
    """Whatever the text of it; what is tracked stays."""
    passing(store)
    state = store.get_state(WEB)
    assert state.passed_over == replace(PASSED, text="2 paths differ, none␀is watched ?")
    assert state == store.list_states()[WEB]
    assert state.tracked_commit == commit("a")


def test_it_is_not_where_something_else_is_tracked_by_now(store: SqlStore) -> None:
    """It was compared with what was tracked then."""
    passing(store)
    newer = replace(PASSED, commit=commit("c"))
    assert not store.pass_over(CHOOSY, commit("f"), newer)
    assert store.get_state(WEB).passed_over != newer


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(replace(CHOOSY, watch_paths=()), id="paths"),
        pytest.param(replace(CHOOSY, skip_markers=True), id="markers"),
        pytest.param(
            replace(
                CHOOSY,
                source=ExternalSource(
                    GitUrl.parse("https://git.example/team/app.git"), BranchName("live")
                ),
            ),
            id="branch",
        ),
    ],
)
def test_another_choice_forgets_it_and_refuses_the_old_one(
    store: SqlStore, chosen: Project
) -> None:
    """What was compared for another declaration says nothing."""
    passing(store)
    store.update_project(chosen)
    assert store.get_state(WEB).passed_over is None
    assert not store.pass_over(CHOOSY, commit("a"), PASSED)
    assert store.pass_over(chosen, commit("a"), PASSED)


def test_other_changes_leave_it(store: SqlStore) -> None:
    """A toggle, or a moved image, which takes the tracked commit."""
    passing(store)
    store.update_project(replace(CHOOSY, auto_deploy=False))
    with store.transaction() as transaction:
        transaction.track(WEB, Revision(commit("a"), {"app:1": digest("1")}))
    assert store.get_state(WEB).passed_over


def test_a_newer_commit_that_is_tracked_forgets_it(store: SqlStore) -> None:
    """The branch went on."""
    passing(store)
    queue(store, "c")
    assert store.get_state(WEB).passed_over is None


def test_it_needs_its_project(store: SqlStore) -> None:
    """Which may have been removed meanwhile."""
    with pytest.raises(NotFound):
        store.pass_over(CHOOSY, commit("a"), PASSED)
