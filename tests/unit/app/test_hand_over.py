"""What the daemon that hands over leaves to those that start after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.vault import Vault
from reconciler.app.hand_over import HandOver
from reconciler.domain.deployment import DeploymentId, Status
from reconciler.store.opening import open_store
from reconciler.store.schema import CURRENT
from reconciler.store.sql_store import SqlStore
from reconciler.testing import ManualClock
from tests.parts.stores import KEY, NOW, claim, project, queue


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_store(tmp_path / "state.db", lambda _: Vault(KEY), ManualClock(NOW))
    yield opened
    opened.close()


def test_who_handed_over_came_back_until_that_deployment_has_ended(tmp_path: Path) -> None:
    """Another one's end is no news of it."""
    hand_over = HandOver(tmp_path / "handed-over")
    assert not hand_over.came_back()
    hand_over.begin(DeploymentId(2))
    assert hand_over.came_back()
    hand_over.end(DeploymentId(1))
    assert hand_over.came_back()
    hand_over.end(DeploymentId(2))
    assert not hand_over.came_back()


@pytest.mark.parametrize("over", [False, True])
def test_one_that_had_ended_is_forgotten_at_the_next_start(
    tmp_path: Path, store: SqlStore, over: bool
) -> None:
    """Else an older version that is put in by hand, much later, would put its own tables back."""
    store.create_project(project())
    queue(store, "a")
    held = claim(store)
    hand_over = HandOver(tmp_path / "handed-over")
    hand_over.begin(held.deployment.id)
    if over:
        store.finish(held, Status.DEPLOYED, NOW)
    hand_over.forget_if_over(store)
    assert hand_over.came_back() is not over


def test_one_of_a_project_that_is_gone_is_forgotten_too(tmp_path: Path, store: SqlStore) -> None:
    hand_over = HandOver(tmp_path / "handed-over")
    hand_over.forget_if_over(store)
    hand_over.begin(DeploymentId(9))
    hand_over.forget_if_over(store)
    assert not hand_over.came_back()


@pytest.mark.parametrize(
    "noted", ["", "{", "[]", '{"deployment": 2, "tables": "9999"}', f'{{"tables": ["{CURRENT}"]}}']
)
def test_nobody_else_came_back(tmp_path: Path, noted: str) -> None:
    """A newer version that is not ready yet, for one: it must not put its own tables back."""
    path = tmp_path / "handed-over"
    path.write_text(noted)
    assert not HandOver(path).came_back()
