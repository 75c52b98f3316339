"""Hosted repositories: what the daemon reads from disk is what git wrote there."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.process import LocalRunner
from reconciler.domain.errors import (
    InvalidComposeFile,
    NotFound,
    RevisionNotFound,
    SourceProtocolError,
)
from reconciler.domain.references import BranchName, CommitSha, ProjectName, RepositoryPath
from tests.parts.git_repository import Repository, run_git

pytestmark = pytest.mark.needs_git

WEB = ProjectName("web")
MAIN = BranchName("main")
COMPOSE = RepositoryPath("compose.yaml")
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def repositories(tmp_path: Path) -> BareRepositories:
    return BareRepositories(
        tmp_path / "hosted", LocalRunner("tests"), hook=find_hook(), socket=tmp_path / "socket"
    )


def test_the_life_of_a_repository(repositories: BareRepositories) -> None:
    """Made once, listed by name, gone when removed; repeating any of it is no error."""
    assert repositories.names() == []
    path = repositories.create(WEB)
    assert repositories.create(WEB) == path == repositories.path(WEB)
    repositories.create(ProjectName("api"))
    assert repositories.names() == ["api", "web"]
    repositories.remove(WEB)
    repositories.remove(WEB)
    assert repositories.names() == ["api"]
    assert not path.exists()
    with pytest.raises(NotFound, match="web"):
        repositories.path(WEB)


def test_tips_are_read_as_git_has_them(repositories: BareRepositories) -> None:
    """Loose, packed, moved after packing, and deleted: always what git itself would say."""
    repository = Repository(repositories.create(WEB))
    assert repositories.tip(WEB, MAIN) is None
    first = repository.commit({"a": "1"})
    assert repositories.tip(WEB, MAIN) == CommitSha(first)
    repository.commit({"a": "x"}, branch="main-2")
    repository.git("pack-refs", "--all")
    assert not (repository.path / "refs" / "heads" / "main").exists()
    assert repositories.tip(WEB, MAIN) == CommitSha(first)
    second = repository.commit({"a": "2"})
    assert repositories.tip(WEB, MAIN) == CommitSha(second)
    repository.git("update-ref", "-d", "refs/heads/main")
    assert repositories.tip(WEB, MAIN) is None
    assert repositories.tip(WEB, BranchName("mai")) is None
    repository.git("symbolic-ref", "refs/heads/alias", "refs/heads/main-2")
    assert repositories.tip(WEB, BranchName("alias")) == CommitSha(repository.tip("main-2"))


def test_files_are_read_at_a_commit(repositories: BareRepositories) -> None:
    """Byte for byte, loose or packed, and only what is small and regular."""
    repository = Repository(repositories.create(WEB))
    old = CommitSha(repository.commit({COMPOSE: b"a: \xff\n", "b/c": "2"}))
    new = CommitSha(repository.commit({COMPOSE: bytes((1 << 20) + 1)}))
    inner = RepositoryPath("b/c")
    wanted = (COMPOSE, inner, RepositoryPath("b"), RepositoryPath("no"))
    assert repositories.read_files(WEB, old, wanted) == {COMPOSE: b"a: \xff\n", inner: b"2"}
    repository.git("repack", "-adq")
    assert repositories.read_files(WEB, old, wanted) == {COMPOSE: b"a: \xff\n", inner: b"2"}
    with pytest.raises(InvalidComposeFile, match="1 MiB"):
        repositories.read_files(WEB, new, [COMPOSE])
    with pytest.raises(RevisionNotFound, match="1111"):
        repositories.read_files(WEB, CommitSha("1" * 40), [COMPOSE])


def test_hooks_are_ours_alone(repositories: BareRepositories, tmp_path: Path) -> None:
    """What lies in a repository's own hooks folder is never run by a push."""
    path = repositories.create(WEB)
    marker = tmp_path / "executed"
    for name in ("pre-receive", "update", "post-receive"):
        hook = path / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
        hook.chmod(0o755)
    clone = tmp_path / "clone"
    run_git("init", "--quiet", "--initial-branch=main", clone)
    run_git("-C", clone, "commit", "--quiet", "--allow-empty", "-m", "x")
    run_git("-C", clone, "push", "--quiet", path, "main")
    run_git("-C", clone, "commit", "--quiet", "--amend", "--allow-empty", "-m", "y")
    run_git("-C", clone, "push", "--quiet", "--force", path, "main")
    assert repositories.tip(WEB, MAIN) == CommitSha(run_git("-C", clone, "rev-parse", "HEAD"))
    assert not marker.exists()


def test_a_push_over_the_limit_is_refused(tmp_path: Path) -> None:
    """A push larger than allowed leaves the repository as it was."""
    repositories = BareRepositories(
        tmp_path / "hosted",
        LocalRunner("tests"),
        hook=find_hook(),
        socket=tmp_path / "socket",
        push_limit_bytes=100_000,
    )
    path = repositories.create(WEB)
    source = Repository(tmp_path / "source.git")
    source.commit({"big": os.urandom(200_000)})
    with pytest.raises(Exception, match=r"maximum|exceeds"):
        source.git("push", path, "main")
    assert repositories.tip(WEB, MAIN) is None


def recorded(
    repositories: BareRepositories, files: dict[str, bytes], message: str = "Take over"
) -> CommitSha:
    known = {RepositoryPath(path): content for path, content in files.items()}
    return repositories.record(WEB, MAIN, known, message, AT)


def test_files_are_recorded_as_git_reads_them(repositories: BareRepositories) -> None:
    """Exactly those, byte for byte, on top of what was there; nothing where nothing changed."""
    repository = Repository(repositories.create(WEB))
    files = {"compose.yaml": b"a: \xff\n", "b/c/d.yaml": b"2", "b.yaml": b"", "b/e": b"3"}
    first = recorded(repositories, files)
    assert repositories.tip(WEB, MAIN) == first
    assert repository.git("ls-tree", "-r", "--name-only", "main").split() == sorted(files)
    known = tuple(RepositoryPath(path) for path in files)
    assert repositories.read_files(WEB, first, known) == files
    assert recorded(repositories, files, "Something else") == first
    second = recorded(repositories, {"compose.yaml": b"b"}, "Took over compose.yaml from /srv/é")
    assert repository.git("ls-tree", "-r", "--name-only", "main") == "compose.yaml"
    assert repository.git("log", "--format=%H %P|%an|%ct|%s", "main").splitlines() == [
        f"{second} {first}|reconciler|1767225600|Took over compose.yaml from /srv/é",
        f"{first} |reconciler|1767225600|Take over",
    ]
    assert recorded(repositories, files) not in {first, second}, "back to it, as a step forward"
    assert repository.git("fsck", "--strict", "--no-dangling") == ""


def test_files_are_recorded_on_top_of_packed_history(repositories: BareRepositories) -> None:
    """What git packed away is what was there, too."""
    repository = Repository(repositories.create(WEB))
    first = recorded(repositories, {"a": b"1"})
    repository.git("gc", "--quiet", "--prune=now")
    repository.git("pack-refs", "--all")
    assert recorded(repositories, {"a": b"1"}) == first
    second = recorded(repositories, {"a": b"2"})
    assert repository.git("rev-list", "main").split() == [second.text, first.text]
    assert repository.git("fsck", "--strict", "--no-dangling") == ""


def test_of_writers_at_the_same_time_none_is_lost(repositories: BareRepositories) -> None:
    """Who comes second is told so, and what the branch holds is the one that was first."""
    repository = Repository(repositories.create(WEB))
    recorded(repositories, {"a": b"0"})
    start = threading.Barrier(4)

    def write(number: int) -> CommitSha | None:
        start.wait(10)
        with suppress(SourceProtocolError):
            return recorded(repositories, {"a": f"{number}".encode()})
        return None

    with ThreadPoolExecutor(4) as pool:
        made = {one.text for one in pool.map(write, range(1, 5)) if one}
    history = repository.git("rev-list", "main").split()
    assert made
    assert made == set(history[:-1])


def test_a_kill_before_the_branch_moves_leaves_it_where_it_was(
    repositories: BareRepositories,
) -> None:
    """What was written by then is garbage, and the next look writes the same again."""
    repository = Repository(repositories.create(WEB))
    first = recorded(repositories, {"a": b"1"})
    lock = repository.path / "refs/heads/main.lock"
    lock.touch()  # as a kill leaves it, and as somebody has it who moves the branch now
    with pytest.raises(SourceProtocolError, match=rf"remove {lock} if it stays"):
        recorded(repositories, {"a": b"2"})
    assert repositories.tip(WEB, MAIN) == first
    assert "dangling" in repository.git("fsck", "--strict")
    lock.unlink()
    second = recorded(repositories, {"a": b"2"})
    assert repository.git("rev-list", "main").split() == [second.text, first.text]


@pytest.mark.parametrize("damage", ["no object", "empty object", "no commit", "gone"])
def test_a_repository_that_is_damaged_is_in_trouble_alone(
    repositories: BareRepositories, damage: str
) -> None:
    """It is said as every trouble of a source, so that the others are looked at all the same."""
    path = repositories.create(WEB)
    first = recorded(repositories, {"a": b"1"})
    tip = path / "objects" / first.text[:2] / first.text[2:]
    tip.chmod(0o600)
    match damage:
        case "no object":
            tip.unlink()
        case "empty object":
            tip.write_bytes(b"")
        case "no commit":
            (path / "refs/heads/main").write_text("none\n")
        case _:
            shutil.rmtree(path / "objects")
    with pytest.raises(SourceProtocolError, match=r"web\.git can't be written"):
        recorded(repositories, {"a": b"2"})


def test_nothing_is_recorded_over_what_was_pushed(repositories: BareRepositories) -> None:
    """A base that is given to a project which people push to takes nothing away from them."""
    repository = Repository(repositories.create(WEB))
    tip = repository.commit({"compose.yaml": "theirs"})
    with pytest.raises(SourceProtocolError, match="what somebody pushed"):
        recorded(repositories, {"compose.yaml": b"ours"})
    assert repository.tip() == tip
    assert recorded(repositories, {"compose.yaml": b"theirs"}).text == tip
