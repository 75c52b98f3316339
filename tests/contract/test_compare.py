"""How two commits differ: told of a real server, of its whole copy on disk, and of what we keep."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.adapters.git.compare import MOST_PATHS
from reconciler.adapters.git.fetch import FetchLimits
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.domain.errors import RevisionNotFound
from reconciler.domain.references import CommitSha, GitUrl, ProjectName
from reconciler.ports import Comparison
from tests.parts.git_repository import Repository
from tests.parts.git_server import GitServer

pytestmark = pytest.mark.needs_git

WEB = ProjectName("web")
NOWHERE = CommitSha("1" * 40)


@dataclass
class Place:
    """A repository, and what compares its commits."""

    repository: Repository
    compare: Callable[[CommitSha, CommitSha], Comparison]
    server: GitServer | None = None

    def commit(self, files: dict[str, str | bytes | None], **options: str) -> CommitSha:
        return CommitSha(self.repository.commit(files, **options))

    def commit_tree(self, *entries: str, message: str = "x") -> CommitSha:
        """Commit a tree of ``MODE TYPE ID<tab>NAME`` lines, just as they are."""
        lines = "\0".join((*entries, "")).encode()
        tree = self.repository.git("mktree", "-z", "--missing", stdin=lines)
        return CommitSha(self.repository.git("commit-tree", "-m", message, tree))

    def paths(self, before: CommitSha, after: CommitSha) -> list[str]:
        found = self.compare(before, after)
        assert found.paths is not None, found.untold_because
        return list(found.paths)


@contextmanager
def hosted(tmp_path: Path) -> Iterator[Place]:
    repositories = BareRepositories(
        tmp_path / "hosted", LocalRunner("tests"), hook=find_hook(), socket=tmp_path / "socket"
    )
    repository = Repository(repositories.create(WEB))
    yield Place(repository, lambda before, after: repositories.compare(WEB, before, after))


@contextmanager
def elsewhere(tmp_path: Path, limits: FetchLimits) -> Iterator[Place]:
    with GitServer() as server:
        repository = server.repository("web.git")
        url = GitUrl.parse(server.url("web.git"))
        keys = HostKeys(lambda _: "", lambda _origin, _key: None)
        remote = DulwichRemote(tmp_path / "git", LocalRunner("tests"), keys, fetch_limits=limits)
        yield Place(repository, lambda before, after: remote.compare(url, before, after), server)
        remote.close()
        assert not list((tmp_path / "git").glob("read-*"))


@pytest.fixture(params=["hosted", "elsewhere", "elsewhere on disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Each way in which commits are compared."""
    little = FetchLimits(memory_pack_bytes=100)
    match request.param:
        case "hosted":
            ways = hosted(tmp_path)
        case "elsewhere":
            ways = elsewhere(tmp_path, FetchLimits())
        case _:
            ways = elsewhere(tmp_path, little)
    with ways as one:
        yield one


def test_what_changed_is_named(place: Place) -> None:
    """Added, changed and deleted files, and both names of one that moved; nothing else."""
    before = place.commit(
        {"apps/a/main": "1", "apps/a/old": "x", "apps/b/main": "1", "same/x": "1", "gone": "1"}
    )
    place.commit({"apps/b/main": "2"}, message="in between")
    after = place.commit(
        {"apps/a/main": "2", "apps/a/old": None, "apps/a/new": "x", "gone": None, "d/e/f": "1"},
        message="Subject\n\nBody of it\n",
    )
    found = place.compare(before, after)
    assert found.paths == (
        *("apps/a/main", "apps/a/new", "apps/a/old", "apps/b/main"),
        *("d/e/f", "gone"),
    )
    assert found.message == "Subject\n\nBody of it\n"
    assert place.paths(after, after) == []


def test_modes_kinds_and_submodules_count(place: Place) -> None:
    """A file that becomes executable, or a folder; a submodule that moves, as one path."""
    first = place.commit({"file": "1", "kind": "1", "mode": "1"})
    blob = place.repository.git("rev-parse", f"{first.text}:file")
    tree = place.repository.git("rev-parse", f"{first.text}^{{tree}}")
    before = place.commit_tree(
        f"100644 blob {blob}\tkind", f"160000 commit {first.text}\tlib", f"100644 blob {blob}\tmode"
    )
    after = place.commit_tree(
        f"040000 tree {tree}\tkind", f"160000 commit {'2' * 40}\tlib", f"100755 blob {blob}\tmode"
    )
    inside = ["kind/file", "kind/kind", "kind/mode"]
    assert place.paths(before, after) == ["kind", *inside, "lib", "mode"]
    assert place.paths(after, before) == ["kind", *inside, "lib", "mode"]


def test_names_that_are_no_text_are_told_apart_from_folders(place: Place) -> None:
    """A line break or bytes that are not UTF-8 are part of a name, and no more."""
    before = place.commit({"a": "1"})
    blob = place.repository.git("rev-parse", f"{before.text}:a")
    lines = place.commit_tree(*(f"100644 blob {blob}\t{name}" for name in ("a", "new\nline")))
    assert place.paths(before, lines) == ["new\nline"]
    strange = place.commit({'"apps/\\377/x"': "1", '"apps/tab\\there"': "1"})
    assert place.paths(before, strange) == ["apps/tab\there", "apps/\ufffd/x"]


@pytest.mark.parametrize("place", ["hosted", "elsewhere"], indirect=True)
def test_a_name_that_leads_upwards_leads_nowhere(place: Place) -> None:
    """It is compared with patterns, and never opened."""
    before = place.commit({"a": "1"})
    tree = place.repository.git("rev-parse", f"{before.text}^{{tree}}")
    after = place.commit_tree(f"040000 tree {tree}\t..")
    assert place.paths(before, after) == ["../a", "a"]


def test_a_commit_that_is_gone_can_not_be_compared(place: Place) -> None:
    """Which paths differ is unknown, what the newer one says is not; without that it's an error."""
    after = place.commit({"a": "1"}, message="[skip cd] x")
    found = place.compare(NOWHERE, after)
    assert found.paths is None
    assert "1111111" in found.untold_because
    assert found.message.strip() == "[skip cd] x"
    with pytest.raises(RevisionNotFound, match="1111111"):
        place.compare(after, NOWHERE)


def test_a_long_message_is_cut(place: Place) -> None:
    """The first 64 KiB are enough for anyone."""
    before = place.commit({"a": "1"})
    after = place.commit({"a": "2"}, message="é" * 40_000)
    assert place.compare(before, after).message == "é" * (32 << 10)


def test_too_many_paths_are_not_listed(place: Place) -> None:
    """20,000 are; one more, and it is said why they are not."""
    before = place.commit({"a": "1"})
    most = place.commit({f"d{n % 50}/{n}": "1" for n in range(MOST_PATHS)})
    assert len(place.paths(before, most)) == MOST_PATHS
    found = place.compare(before, place.commit({"one-more": "1"}))
    assert found.paths is None
    assert "20,000 paths" in found.untold_because


def test_the_least_is_transferred(tmp_path: Path) -> None:
    """One pack, with neither a file's content nor the history between the two."""
    with elsewhere(tmp_path, FetchLimits(memory_pack_bytes=50_000)) as place:
        before = place.commit({"big": os.urandom(1 << 20), "a": "1"})
        for number in range(3):
            place.commit({"big": os.urandom(1 << 16), "a": str(number)})
        after = place.commit({"a": "2"})
        assert place.server is not None
        assert place.paths(before, after) == ["a", "big"]
        assert len(place.server.requests) == 3, "no second try on disk"


def test_a_commit_of_a_huge_message_is_never_in_our_memory(tmp_path: Path) -> None:
    """It packs to nothing: it is compared on the disk, where its size is asked for first."""
    with elsewhere(tmp_path, FetchLimits()) as place:
        before = place.commit({"a": "1"})
        after = place.commit({"a": "2"}, message="[skip cd]" + "x" * (17 << 20))
        found = place.compare(before, after)
        assert (found.paths, found.message) == (("a",), "")
