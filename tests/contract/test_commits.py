"""``Commits``: what git keeps, and the double that stands for it, answer the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.adapters.git.checkouts import GitCheckouts
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.domain.project import HostedSource
from reconciler.domain.references import BranchName, CommitSha, ProjectName, RepositoryPath
from reconciler.ports import Commits
from reconciler.testing import RehearsedCommits
from tests.parts.git_repository import Repository

WEB = ProjectName("web")
SOURCE = HostedSource(WEB, BranchName("main"))


@dataclass
class Subject:
    """An implementation, and how it comes to a commit."""

    commits: Commits
    commit: Callable[[Mapping[str, str]], CommitSha]


def of_git(folder: Path) -> Subject:
    runner = LocalRunner("tests")
    hosted = BareRepositories(folder / "hosted", runner, hook=find_hook(), socket=folder / "socket")
    remote = DulwichRemote(folder / "git", runner, HostKeys(lambda _: "", lambda *_: None))
    source = Repository(hosted.create(WEB))
    commits = GitCheckouts(folder / "work", runner, remote, hosted)
    return Subject(commits, lambda files: CommitSha(source.commit(files)))


def of_a_double(_: Path) -> Subject:
    double = RehearsedCommits()

    def commit(files: Mapping[str, str]) -> CommitSha:
        made = CommitSha(f"{len(double.files):040x}")
        double.files[made] = {RepositoryPath(path): files[path].encode() for path in files}
        return made

    return Subject(double, commit)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(of_git, marks=pytest.mark.needs_git, id="git"),
        pytest.param(of_a_double, id="double"),
    ],
)
def test_files_are_those_of_the_commit(make: Callable[[Path], Subject], tmp_path: Path) -> None:
    """What is no file there is left out; an earlier commit stays what it was."""
    subject = make(tmp_path)
    first = subject.commit({"a": "one", "folder/b": "two"})
    second = subject.commit({"a": "three", "folder/b": "two"})
    for commit in (first, second, first):
        subject.commits.fetch(WEB, SOURCE, commit, None)
    asked = [RepositoryPath(path) for path in ("a", "folder", "missing")]
    assert subject.commits.read_files(WEB, first, asked) == {"a": b"one"}
    assert subject.commits.read_files(WEB, second, asked) == {"a": b"three"}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(of_git, marks=pytest.mark.needs_git, id="git"),
        pytest.param(of_a_double, id="double"),
    ],
)
def test_a_commit_is_told_as_people_know_it(
    make: Callable[[Path], Subject], tmp_path: Path
) -> None:
    """One line of what it says, and who wrote it."""
    subject = make(tmp_path)
    commit = subject.commit({"a": "one"})
    subject.commits.fetch(WEB, SOURCE, commit, None)
    told = subject.commits.describe(WEB, commit)
    assert told.commit == commit
    assert told.subject
    assert told.author
    assert "\n" not in told.subject
