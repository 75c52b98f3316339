"""Hosted repositories: what the daemon reads from disk is what git wrote there."""

import os
from pathlib import Path

import pytest

from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.process import LocalRunner
from reconciler.domain.errors import InvalidComposeFile, NotFound, RevisionNotFound
from reconciler.domain.references import BranchName, CommitSha, ProjectName, RepositoryPath
from tests.parts.git_repository import Repository, run_git

pytestmark = pytest.mark.needs_git

WEB = ProjectName("web")
MAIN = BranchName("main")
COMPOSE = RepositoryPath("compose.yaml")


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
