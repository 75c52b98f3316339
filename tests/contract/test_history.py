"""What lies between two commits: of hosted repositories, and of git servers elsewhere."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.adapters.git.fetch import FetchLimits
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.domain.errors import RevisionNotFound, SourceProtocolError
from reconciler.domain.history import History
from reconciler.domain.references import CommitSha, GitUrl, ProjectName
from reconciler.domain.secret import Secret
from reconciler.ports import GitCredentials
from tests.parts.git_repository import FIRST_COMMIT_AT, Repository
from tests.parts.git_server import GitServer
from tests.parts.sshd import Sshd

pytestmark = pytest.mark.needs_git

WEB = ProjectName("web")
NOWHERE = CommitSha("1" * 40)


@dataclass
class Place:
    """A repository, and what tells its history."""

    repository: Repository
    between: Callable[[CommitSha, CommitSha], History]

    def commit(self, message: str, **options: str) -> CommitSha:
        return CommitSha(self.repository.commit({"a": message}, message, **options))


def subjects(history: History) -> list[str]:
    return [one.subject for one in history.commits]


def remote_at(folder: Path, limits: FetchLimits | None = None) -> DulwichRemote:
    keys = HostKeys(lambda _: "", lambda *_: None)
    limit = timedelta(seconds=20)
    return DulwichRemote(
        folder / "git", LocalRunner("tests"), keys, limit=limit, fetch_limits=limits
    )


@pytest.fixture(
    params=["hosted", "http", pytest.param("ssh", marks=pytest.mark.needs_sshd)],
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "hosted":
        runner, hook = LocalRunner("tests"), find_hook()
        hosted = BareRepositories(tmp_path / "h", runner, hook=hook, socket=tmp_path / "s")
        repository = Repository(hosted.create(WEB))
        yield Place(repository, lambda tip, base: hosted.history(WEB, tip, base))
        return
    with ExitStack() as stack:
        server: GitServer | Sshd = Sshd() if request.param == "ssh" else GitServer()
        stack.enter_context(server)
        remote = remote_at(tmp_path)
        stack.callback(remote.close)
        url = GitUrl.parse(server.url("team/web.git"))
        credentials = None
        if isinstance(server, Sshd):
            key = Secret.of(server.key_path.read_text())
            credentials = GitCredentials(url.origin, ssh_key=key)
        repository = server.repository("team/web.git")
        yield Place(repository, lambda tip, base: remote.history(url, tip, base, credentials))


def test_f4_the_commits_between_are_told_newest_first(place: Place) -> None:
    """F4: with their first line, author and time; a merged branch's are among them."""
    base = place.commit("base")
    place.commit("one\n\nwhy")
    place.commit("side", branch="side", parent=base.text)
    two = place.commit("two \x1b[31mred")
    tree = place.repository.git("rev-parse", f"{two}^{{tree}}")
    side = place.repository.tip("side")
    merge = CommitSha(
        place.repository.git("commit-tree", tree, "-p", two.text, "-p", side, "-m", "merge")
    )
    place.repository.git("update-ref", "refs/heads/main", merge.text)
    history = place.between(merge, base)
    assert subjects(history) == ["merge", "two red", "side", "one"]
    assert history.base_found
    assert not history.more
    one = history.commits[-1]
    assert one.author == "Test"
    assert one.at == datetime.fromtimestamp(FIRST_COMMIT_AT + 2, UTC)
    assert place.between(base, base) == History((), base_found=True, more=False)


def test_f4_a_rewritten_branch_and_one_that_went_back_are_told_apart(place: Place) -> None:
    """F4: what was rewritten has the base nowhere; what went back is found the other way round."""
    root = place.commit("root")
    old = place.commit("old")
    new = place.commit("new", parent=root.text)
    rewritten = place.between(new, old)
    assert subjects(rewritten) == ["new"]
    assert (rewritten.base_found, rewritten.more) == (False, False)
    assert place.between(root, old) == History((), base_found=False, more=False)
    back = place.between(old, root)
    assert subjects(back) == ["old"]
    assert back.base_found


def test_f4_what_is_gone_is_no_ancestor(place: Place) -> None:
    """F4: a base that the server forgot hides nothing of the tip; a tip that is gone is said so."""
    place.commit("first")
    tip = place.commit("second")
    history = place.between(tip, NOWHERE)
    assert subjects(history) == ["second", "first"]
    assert (history.base_found, history.more) == (False, False)
    with pytest.raises(RevisionNotFound):
        place.between(NOWHERE, tip)


def test_f4_a_hundred_are_told_and_that_there_are_more(place: Place) -> None:
    """F4: however long the branch is, and however long a line."""
    base = place.commit("base")
    for _ in range(3):
        place.commit("x" * 5000)
    lines = [b"feature done"]
    for number in range(100):
        lines += [
            b"commit refs/heads/main",
            f"committer T <t> {1_800_000_000 + number} +0000".encode(),
        ]
        lines += [
            b"data 1",
            b"n",
            *([f"from {place.repository.tip()}".encode()] if not number else []),
        ]
    place.repository.git("fast-import", "--quiet", stdin=b"\n".join([*lines, b"done", b""]))
    history = place.between(CommitSha(place.repository.tip()), base)
    assert len(history.commits) == 100
    assert history.more
    long = place.between(CommitSha(place.repository.git("rev-parse", "main~100")), base)
    assert 100 < len(long.commits[0].subject) <= 200


def test_f4_a_server_that_sends_files_along_shows_fewer(tmp_path: Path) -> None:
    """F4: without filters, as many commits are shown as fit; none is too little."""
    with GitServer() as server:
        repository = server.repository("web.git")
        repository.git("config", "uploadpack.allowFilter", "false")
        url = GitUrl.parse(server.url("web.git"))
        base = CommitSha(repository.commit({"a": "1"}))
        for number in range(30):
            repository.commit({"a": os.urandom(20_000)}, f"{number}")
        tip = CommitSha(repository.tip())
        limits = FetchLimits(memory_pack_bytes=400_000)
        remote = remote_at(tmp_path, limits)
        history = remote.history(url, tip, base)
        assert subjects(history) == [str(number) for number in range(29, 18, -1)]
        assert (history.base_found, history.more) == (False, True)
        remote.close()
        remote = remote_at(tmp_path, FetchLimits(memory_pack_bytes=1_000))
        with pytest.raises(SourceProtocolError, match="too large"):
            remote.history(url, tip, base)
        remote.close()
