"""Commits looked at in a folder of their own, with a real git server."""

from pathlib import Path

import pytest

from reconciler.adapters.git.checkouts import GitCheckouts
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.scratch import Scratches
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.domain.errors import RevisionNotFound
from reconciler.domain.project import ExternalSource
from reconciler.domain.references import BranchName, CommitSha, GitUrl, ProjectName
from tests.parts.git_server import GitServer

pytestmark = pytest.mark.needs_git

WEB = ProjectName("web")


def test_f4_commits_are_looked_at_without_a_trace(tmp_path: Path) -> None:
    """F4: what is here already is asked of nobody; afterwards all is as it was."""
    runner = LocalRunner("tests")
    hosted = BareRepositories(tmp_path / "h", runner, hook=find_hook(), socket=tmp_path / "s")
    remote = DulwichRemote(tmp_path / "git", runner, HostKeys(lambda _: "", lambda *_: None))
    kept = GitCheckouts(tmp_path / "projects", runner, remote, hosted)
    (tmp_path / "scratch" / "scratch-left").mkdir(parents=True)
    scratches = Scratches(tmp_path / "scratch", runner, remote, hosted, kept)
    with GitServer() as server:
        repository = server.repository("web.git")
        source = ExternalSource(GitUrl.parse(server.url("web.git")), BranchName("main"))
        old = CommitSha(repository.commit({"a": "1", "b": "1"}))
        kept.fetch(WEB, source, old, None)
        # Nobody but us has it any more.
        new = CommitSha(repository.commit({"a": "2", "c\x1b[31m": "1"}, parent=""))
        repository.git("reflog", "expire", "--expire=now", "--all")
        repository.git("gc", "--quiet", "--prune=now")
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "projects").rglob("*")}
        with scratches.open() as scratch:
            for commit in (old, new):
                scratch.fetch(WEB, source, commit, None)
            scratch.export(WEB, new, scratch.folder / "now")
            assert (scratch.folder / "now" / "a").read_text() == "2"
            changed = scratch.changed_files(WEB, old, new)
            files = {("a", "changed"), ("b", "removed"), ("c", "added")}
            assert {(one.path, one.change) for one in changed.files} == files
            with pytest.raises(RevisionNotFound):
                scratch.fetch(WEB, source, CommitSha("1" * 40), None)
        assert list((tmp_path / "scratch").iterdir()) == []
        after = {path: path.stat().st_mtime_ns for path in (tmp_path / "projects").rglob("*")}
        assert after == before
        many = CommitSha(repository.commit({f"many/{number}": "1" for number in range(120)}))
        with scratches.open() as scratch:
            for commit in (new, many):
                scratch.fetch(WEB, source, commit, None)
            changed = scratch.changed_files(WEB, new, many)
            assert (len(changed.files), changed.more) == (100, 20)
    remote.close()
