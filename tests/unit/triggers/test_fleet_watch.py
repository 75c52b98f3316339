"""A fleet file that is followed, in a real file and in real repositories."""

import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.process import LocalRunner
from reconciler.domain.document import DocumentForm
from reconciler.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    PreconditionFailed,
    ReconcilerError,
    RevisionNotFound,
    SeveralInvalid,
    SourceThrottled,
    StoreError,
)
from reconciler.domain.project import ExternalSource, HostedSource
from reconciler.domain.references import BranchName, GitUrl, ProjectName, RepositoryPath
from reconciler.domain.secret import Secret
from reconciler.ports import GitRemote, Repositories
from reconciler.testing import ManualClock
from reconciler.triggers.fleet_sources import FleetFile, FleetInGit, Seen
from reconciler.triggers.fleet_watch import FleetWatch
from tests.parts.git_repository import Repository
from tests.unit.triggers.conftest import A, Sources

MAIN = BranchName("main")
PATH = RepositoryPath("fleet/all.yaml")


class Applying:
    """What applies: takes what it is given, or fails as it is told."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.error: ReconcilerError | None = None

    def __call__(self, content: bytes, form: DocumentForm) -> str:
        self.taken.append(content)
        if self.error is not None:
            raise self.error
        return "1 added"


class At:
    """A source that shows what it is told to."""

    where = "somewhere"
    form = DocumentForm.TOML

    def __init__(self) -> None:
        self.shows: Seen | ReconcilerError | None = Seen(b"one", "1")

    def look(self) -> Seen | None:
        if isinstance(self.shows, ReconcilerError):
            raise self.shows
        return self.shows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.toml"
    path.write_text("one")
    return path


# ── Where it is ───────────────────────────────────────────────────────────────────────────────


def test_a_file_counts_once_it_holds_still(file: Path) -> None:
    """One that is being written is let be; one that was put in its place is seen too."""
    source = FleetFile(file)
    assert source.look() is None
    seen = source.look()
    assert seen
    assert seen.content == b"one"
    assert source.look() is seen
    file.write_text("two")
    assert source.look() is None
    file.write_text("two three")
    assert source.look() is None
    again = source.look()
    assert again
    assert (again.content, again.version != seen.version) == (b"two three", True)
    new = file.with_suffix(".new")
    new.write_text("two three")
    new.replace(file)
    assert source.look() is None
    assert source.look() == again


def test_a_file_that_can_not_be_had_says_why(file: Path, tmp_path: Path) -> None:
    """Gone, no file at all, or everybody's: nothing is read from it, and nothing waits."""
    source = FleetFile(file)
    source.look()
    file.chmod(0o666)
    with pytest.raises(PreconditionFailed, match="may be written by everybody"):
        source.look()
    file.unlink()
    with pytest.raises(PreconditionFailed, match="can't be read \\(No such file"):
        source.look()
    os.mkfifo(file)
    source.look()
    with pytest.raises(PreconditionFailed, match="is no regular file"):
        source.look()


@pytest.mark.needs_git
def test_it_is_read_at_the_tip_of_a_hosted_branch(tmp_path: Path) -> None:
    """Once a commit; a branch or file that is not there is told."""
    repositories = BareRepositories(
        tmp_path, LocalRunner("test"), hook=find_hook(), socket=tmp_path / "socket"
    )
    name = ProjectName("fleet")
    source = FleetInGit(HostedSource(name, MAIN), PATH, cast("GitRemote", Sources()), repositories)
    with pytest.raises(NotFound):
        source.look()
    repository = Repository(repositories.create(name))
    with pytest.raises(RevisionNotFound, match="no branch main"):
        source.look()
    repository.commit({"README": "hello"})
    with pytest.raises(RevisionNotFound, match="there is no fleet/all"):
        source.look()
    tip = repository.commit({PATH: "projects: {}\n"})
    seen = source.look()
    assert seen == Seen(b"projects: {}\n", tip)
    assert source.look() is seen
    assert (source.form, source.where) == (DocumentForm.YAML, "fleet/all.yaml at main of fleet")


def test_elsewhere_it_is_read_once_a_commit(tmp_path: Path) -> None:
    """With the least that is asked of a server; its key comes from a file."""
    sources = Sources(tips={"git.example": A}, files={A: {PATH: b"x"}})
    url = GitUrl.parse("https://git.example/fleet.git")
    remote, repositories = cast("GitRemote", sources), cast("Repositories", sources)
    source = FleetInGit(
        ExternalSource(url, MAIN), PATH, remote, repositories, "me", Secret.of("hunter2")
    )
    assert source.look() == Seen(b"x", A.text)
    source.look()
    assert len([one for one in sources.asked if "@" in one]) == 1
    assert "hunter2" not in source.where
    source.key_file = tmp_path / "missing"
    with pytest.raises(PreconditionFailed, match="can't be read as a key"):
        source.look()


# ── What becomes of it ────────────────────────────────────────────────────────────────────────


def test_it_is_applied_at_the_start_and_when_it_changes() -> None:
    """And not at other times: what people change meanwhile stays until then."""
    source, applying = At(), Applying()
    watch = FleetWatch(source, applying, ManualClock())
    for version, content in (("1", b"one"), ("1", b"one"), ("2", b"two"), ("3", b"two")):
        source.shows = Seen(content, version)
        watch.tick()
    source.shows = None
    watch.tick()
    assert applying.taken == [b"one", b"two"]
    assert (watch.standing().version, watch.standing().problems) == ("3", ())


def test_a_broken_one_is_told_once_and_tried_again_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is wrong may be elsewhere; the last good version stays on record."""
    source, applying, clock = At(), Applying(), ManualClock()
    watch = FleetWatch(source, applying, clock)
    watch.tick()
    wrong = [InvalidInput(f"projects.p{n}.kind", "x", "is none") for n in range(2)]
    source.shows, applying.error = Seen(b"two", "2"), SeveralInvalid(wrong)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            watch.tick()
            clock.advance(timedelta(seconds=59))
    assert len(applying.taken) == 3
    assert [record.message for record in caplog.records] == [
        f"fleet file not applied: projects.p{n}.kind: 'x' is none" for n in range(2)
    ]
    assert watch.standing().version == "1"
    assert watch.standing().problems == tuple(one.message for one in wrong)
    applying.error = None
    clock.advance(timedelta(seconds=59))
    watch.tick()
    assert (watch.standing().version, watch.standing().problems) == ("2", ())


def test_a_server_that_is_away_for_a_while_changes_nothing() -> None:
    """It is told, and gone once the server is back; nothing is applied a second time for it."""
    source, applying = At(), Applying()
    watch = FleetWatch(source, applying, ManualClock())
    watch.tick()
    source.shows = RevisionNotFound("there is no branch main")
    watch.tick()
    assert watch.standing().problems == ("there is no branch main",)
    source.shows = Seen(b"one", "1")
    watch.tick()
    assert watch.standing().problems == ()
    assert applying.taken == [b"one"]


def test_a_server_that_asks_for_it_is_left_alone() -> None:
    """For as long as it said."""
    source, applying, clock = At(), Applying(), ManualClock()
    watch = FleetWatch(source, applying, clock)
    good, source.shows = source.shows, SourceThrottled("slow down", timedelta(minutes=5))
    watch.tick()
    source.shows = good
    watch.tick()
    assert applying.taken == []
    clock.advance(timedelta(minutes=5))
    watch.tick()
    assert applying.taken == [b"one"]


def test_somebody_at_the_same_moment_is_no_problem() -> None:
    """Another replica, or a person: the next look does what is left to do."""
    source, applying = At(), Applying()
    watch = FleetWatch(source, applying, ManualClock())
    applying.error = Conflict("somebody changed shop meanwhile")
    watch.tick()
    assert watch.standing().problems == ()
    applying.error = None
    watch.tick()
    assert watch.standing().version == "1"


def test_a_store_that_is_away_leaves_it_for_the_next_look() -> None:
    """That is no fault of the file, and nothing waits a minute for it."""
    source, applying = At(), Applying()
    watch = FleetWatch(source, applying, ManualClock())
    applying.error = StoreError("the database did not answer")
    with pytest.raises(StoreError):
        watch.tick()
    applying.error = None
    watch.tick()
    assert watch.standing().version == "1"
