"""A work tree that a container may write to, and what it could put in our way there."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.domain.references import CommitSha, ProjectName
from reconciler.strategies.compose import ComposeOptions
from reconciler.strategies.compose.deploy_folder import DeployFolderHere
from reconciler.strategies.compose.place import PlaceHere

COMMIT = CommitSha("a" * 40)
NAME = "migration-7"


def export(_: ProjectName, commit: CommitSha, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    (into / "file").write_text(commit.text)


@pytest.fixture
def place(tmp_path: Path) -> PlaceHere:
    tree = tmp_path / "projects/shop/tree"
    tree.mkdir(parents=True)
    nobody: Any = None
    checkouts: Any = SimpleNamespace(export=export)
    options = ComposeOptions(tmp_path)
    own = tmp_path / "secret"
    return PlaceHere(ProjectName("shop"), tree, tree, own, nobody, options, checkouts)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "kept").write_text("theirs")
    return folder


def test_files_of_a_commit_are_written_where_no_container_is(
    place: PlaceHere, elsewhere: Path
) -> None:
    """One that has the work tree knows their name beforehand, and could put a link in its place."""
    (place.root / ".deploy").mkdir()
    (place.root / ".deploy" / NAME).symlink_to(elsewhere)
    into = place.lay_out(COMMIT, NAME)
    assert place.lay_out(COMMIT, NAME) == into
    assert not into.is_relative_to(place.root)
    assert (into / "file").read_text() == COMMIT.text
    assert [path.name for path in elsewhere.iterdir()] == ["kept"]
    place.drop(NAME)
    assert not into.exists()


def test_a_link_in_place_of_what_was_recorded_is_not_read(
    place: PlaceHere, elsewhere: Path
) -> None:
    """It could lead to what the container may not read, and what is recorded is shown."""
    folder = DeployFolderHere(place.root)
    folder.write("web.sha", "sha256:1\n")
    (folder.path / "commit").symlink_to(elsewhere / "kept")
    assert folder.facts() == {"web.sha": "sha256:1"}
