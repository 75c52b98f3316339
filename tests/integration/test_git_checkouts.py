"""Checkouts on real git: what a work tree holds, what it never loses, what is refused."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.adapters.git.checkouts import GitCheckouts
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.git.tree import TreeLimits
from reconciler.adapters.process import LocalRunner
from reconciler.domain.errors import (
    CommitNotFound,
    InvalidComposeFile,
    PreconditionFailed,
    RevisionNotFound,
    WorkTreeDirty,
)
from reconciler.domain.project import HostedSource
from reconciler.domain.references import BranchName, CommitSha, ProjectName, RepositoryPath
from tests.parts.git_repository import Repository, run_git

pytestmark = pytest.mark.needs_git

WEB = ProjectName("web")
SOURCE = HostedSource(WEB, BranchName("main"))
RUNNER = LocalRunner("tests")


class Workshop:
    """A hosted repository, and the checkouts of the project that follows it."""

    def __init__(self, folder: Path, limits: TreeLimits | None = None) -> None:
        repositories = BareRepositories(
            folder / "hosted", RUNNER, hook=find_hook(), socket=folder / "socket"
        )
        remote = DulwichRemote(folder / "git", RUNNER, HostKeys(lambda _: "", lambda *_: None))
        self.source = Repository(repositories.create(WEB))
        self.checkouts = GitCheckouts(folder / "work", RUNNER, remote, repositories, limits)
        self.tree = self.checkouts.tree(WEB)
        self.repository = folder / "work" / "web" / "repository.git"

    def commit(self, files: dict[str, str | bytes | None], **options: str) -> CommitSha:
        """Push a commit and fetch it."""
        commit = CommitSha.parse(self.source.commit(files, **options))
        self.checkouts.fetch(WEB, SOURCE, commit, None)
        return commit

    def commit_link(self, path: str, target: str) -> CommitSha:
        """Push a commit with a symlink, and fetch it."""
        blob = run_git(
            "--git-dir", self.source.path, "hash-object", "-w", "--stdin", stdin=target.encode()
        )
        lines = (
            b"commit refs/heads/main\ncommitter a <a@b.test> 1700000100 +0000\ndata 0\n\n"
            b"from refs/heads/main^0\n" + f"M 120000 {blob} {path}\n".encode()
        )
        self.source.git("fast-import", "--quiet", "--force", stdin=lines)
        commit = CommitSha.parse(self.source.tip())
        self.checkouts.fetch(WEB, SOURCE, commit, None)
        return commit

    def switch(self, commit: CommitSha) -> None:
        self.checkouts.switch(WEB, commit)

    def files(self) -> dict[str, str]:
        """Return path → content of all there is in the tree."""
        return {
            str(path.relative_to(self.tree)): path.read_text()
            for path in sorted(self.tree.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_a_commit_that_never_was_is_named_with_what_helps(workshop: Workshop) -> None:
    """Nobody can look it up in what was fetched."""
    workshop.commit({"a": "1"})
    with pytest.raises(CommitNotFound, match="cafecafe") as error:
        workshop.checkouts.fetch(WEB, SOURCE, CommitSha("cafe" * 10), None)
    assert "push it, or name one" in error.value.remedy


def test_the_tree_holds_exactly_the_commit(workshop: Workshop) -> None:
    """After a switch, tracked files are those of the commit, modes included."""
    workshop.switch(workshop.commit({"a": "1", "b/c": "2", "run.sh": "#!/bin/sh\n"}))
    assert workshop.files() == {"a": "1", "b/c": "2", "run.sh": "#!/bin/sh\n"}
    assert os.access(workshop.tree / "run.sh", os.X_OK)
    workshop.switch(workshop.commit({"a": "new", "b/c": None, "d": "4", "run.sh": "plain"}))
    assert workshop.files() == {"a": "new", "d": "4", "run.sh": "plain"}
    assert not os.access(workshop.tree / "run.sh", os.X_OK)


def test_a_switch_can_be_repeated_and_undone(workshop: Workshop) -> None:
    """The same commit again changes nothing; an earlier one comes back whole."""
    first = workshop.commit({"a": "1", "folder/x": "x"})
    second = workshop.commit({"a": "2", "folder/x": None, "folder": "now a file"})
    for commit, content in ((first, "1"), (second, "2"), (second, "2"), (first, "1")):
        workshop.switch(commit)
        assert workshop.files()["a"] == content
    assert workshop.files() == {"a": "1", "folder/x": "x"}


def test_untracked_files_stay(workshop: Workshop) -> None:
    """Data beside and inside tracked folders survives every switch, and so does `.deploy/`."""
    first = workshop.commit({"a": "1", "data/.gitkeep": ""})
    workshop.switch(first)
    (workshop.tree / "data" / "rows").write_text("precious")
    (workshop.tree / ".deploy").mkdir()
    (workshop.tree / ".deploy" / "web.sha").write_text("sha256:…")
    workshop.switch(workshop.commit({"a": "2", "data/.gitkeep": None}))
    assert workshop.files() == {"a": "2", "data/rows": "precious", ".deploy/web.sha": "sha256:…"}


def test_own_folder_is_ignored_by_git(workshop: Workshop) -> None:
    """To git, a tree with `.deploy/` in it is clean."""
    workshop.switch(workshop.commit({"a": "1"}))
    (workshop.tree / ".deploy").mkdir()
    (workshop.tree / ".deploy" / "override.yaml").write_text("services: {}\n")
    where = ("--git-dir", workshop.repository, "--work-tree", workshop.tree)
    assert run_git(*where, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param(lambda tree: (tree / "a").write_text("mine"), "a", id="edited"),
        pytest.param(lambda tree: (tree / "a").unlink(), "a", id="deleted"),
        pytest.param(lambda tree: (tree / "a").chmod(0o755), "a", id="made-executable"),
        pytest.param(
            lambda tree: ((tree / "a").unlink(), (tree / "a").symlink_to("/etc/passwd")),
            "a",
            id="replaced-by-a-symlink",
        ),
    ],
)
def test_changed_files_are_never_overwritten(
    workshop: Workshop, change: object, named: str
) -> None:
    """A tracked file that was changed by hand stops the switch, is named, and stays."""
    workshop.switch(workshop.commit({"a": "1", "b": "1"}))
    assert callable(change)
    change(workshop.tree)
    before = workshop.files()
    with pytest.raises(WorkTreeDirty, match=named):
        workshop.switch(workshop.commit({"a": "2", "b": "2"}))
    assert workshop.files() == before


def test_at_most_twenty_files_are_named(workshop: Workshop) -> None:
    """A thousand changed files make no message of a thousand names."""
    workshop.switch(workshop.commit({f"f{number:02}": "1" for number in range(30)}))
    for path in workshop.tree.iterdir():
        path.write_text("mine")
    with pytest.raises(WorkTreeDirty) as raised:
        workshop.switch(workshop.commit({"f00": "2"}))
    assert raised.value.message.count(",") == 19
    assert "and 10 more" in raised.value.message


def test_an_untracked_file_is_never_overwritten(workshop: Workshop) -> None:
    """A file that a commit would bring, and a person put there first, stops the switch."""
    workshop.switch(workshop.commit({"a": "1"}))
    (workshop.tree / "b").write_text("mine")
    (workshop.tree / "c").write_text("theirs")
    new = workshop.commit({"a": "2", "b": "theirs", "c": "theirs"})
    with pytest.raises(WorkTreeDirty, match=r"overwritten: b$"):
        workshop.switch(new)
    assert workshop.files() == {"a": "1", "b": "mine", "c": "theirs"}
    (workshop.tree / "b").unlink()
    workshop.switch(new)
    assert workshop.files() == {"a": "2", "b": "theirs", "c": "theirs"}


def test_a_planted_symlink_leads_no_write_outside(workshop: Workshop, tmp_path: Path) -> None:
    """A folder that a container replaced by a symlink gets nothing written through it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    workshop.switch(workshop.commit({"a": "1"}))
    (workshop.tree / "conf").symlink_to(outside)
    with pytest.raises(WorkTreeDirty, match="conf"):
        workshop.switch(workshop.commit({"conf/passwd": "root::0:0"}))
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "target"),
    [
        pytest.param("link", "/etc/passwd", id="absolute"),
        pytest.param("link", "../outside", id="past-the-root"),
        pytest.param("deep/link", "../../outside", id="past-the-root-from-a-folder"),
        pytest.param("link", "b/../../outside", id="through-a-folder"),
        pytest.param(".deploy", "b", id="our-folder"),
    ],
)
def test_links_that_lead_out_are_refused(workshop: Workshop, path: str, target: str) -> None:
    """No symlink of a commit leads out of the checkout, and none takes our folder's name."""
    workshop.commit({"b/c": "1"})
    commit = workshop.commit_link(path, target)
    with pytest.raises(InvalidComposeFile, match=path):
        workshop.switch(commit)
    assert workshop.tree.exists() is False


def test_a_name_that_is_no_text_hides_no_link(workshop: Workshop) -> None:
    """Two such names look alike; the second one's mode must not stand for the first one's."""
    workshop.commit({"a": "1"})
    workshop.commit_link('"\\376"', "/etc")
    blob = workshop.source.git("rev-parse", "main:a")
    lines = (
        b"commit refs/heads/main\ncommitter a <a@b.test> 1700000200 +0000\ndata 0\n\n"
        b"from refs/heads/main^0\n" + f'M 100644 {blob} "\\377"\n'.encode()
    )
    workshop.source.git("fast-import", "--quiet", "--force", stdin=lines)
    commit = CommitSha.parse(workshop.source.tip())
    workshop.checkouts.fetch(WEB, SOURCE, commit, None)
    with pytest.raises(InvalidComposeFile, match="UTF-8"):
        workshop.checkouts.export(WEB, commit, workshop.tree.parent / "export")
    with pytest.raises(InvalidComposeFile, match="UTF-8"):
        workshop.switch(commit)


def test_links_that_stay_inside_are_links(workshop: Workshop) -> None:
    """A symlink within the repository is one in the tree, too."""
    workshop.commit({"b/c": "1"})
    workshop.switch(workshop.commit_link("deep/link", "../b/c"))
    assert (workshop.tree / "deep" / "link").readlink() == Path("../b/c")
    assert (workshop.tree / "deep" / "link").read_text() == "1"


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(TreeLimits(files=2), id="files"),
        pytest.param(TreeLimits(size_bytes=5), id="bytes"),
    ],
)
def test_too_much_is_refused_before_it_is_written(tmp_path: Path, limits: TreeLimits) -> None:
    """A commit over the limits leaves the disk as it was."""
    workshop = Workshop(tmp_path, limits)
    commit = workshop.commit({"a": "11", "b": "22", "c": "33"})
    with pytest.raises(PreconditionFailed, match="at most"):
        workshop.switch(commit)
    with pytest.raises(PreconditionFailed, match="at most"):
        workshop.checkouts.export(WEB, commit, tmp_path / "export")
    assert not workshop.tree.exists()


def test_an_export_leaves_the_tree_alone(workshop: Workshop, tmp_path: Path) -> None:
    """Files of any fetched commit can be had beside the work tree."""
    first, second = workshop.commit({"a": "1"}), workshop.commit({"a": "2", "b/c": "3"})
    workshop.switch(first)
    workshop.checkouts.export(WEB, second, tmp_path / "export")
    assert (tmp_path / "export" / "b" / "c").read_text() == "3"
    assert workshop.files() == {"a": "1"}


def test_hooks_filters_and_submodules_of_a_commit_do_nothing(
    workshop: Workshop, tmp_path: Path
) -> None:
    """What a repository asks git to run or fetch is not run and not fetched."""
    marker = tmp_path / "executed"
    workshop.commit(
        {
            ".gitattributes": "* filter=evil\n*.txt filter=lfs diff=lfs merge=lfs -text\n",
            ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% {marker}\n',
            "hooks/post-checkout": f"#!/bin/sh\ntouch {marker}\n",
            "big.txt": "version https://git-lfs.github.com/spec/v1\n",
        }
    )
    workshop.switch(CommitSha.parse(workshop.source.tip()))
    assert workshop.files()["big.txt"].startswith("version https://git-lfs")
    assert not marker.exists()


def test_keep_lets_go_of_the_rest(workshop: Workshop) -> None:
    """What nobody can roll back to takes no space; what is checked out always stays."""
    commits = [workshop.commit({"a": os.urandom(50_000)}) for _ in range(4)]
    workshop.switch(commits[0])
    workshop.checkouts.keep(WEB, [commits[3]])
    found = [
        commit
        for commit in commits
        if subprocess.run(
            ["git", "--git-dir", workshop.repository, "cat-file", "-e", commit.text],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    ]
    assert found == [commits[0], commits[3]]
    workshop.checkouts.fetch(WEB, SOURCE, commits[1], None)
    workshop.switch(commits[1])


def test_removing_a_project_keeps_its_data(workshop: Workshop) -> None:
    """The work tree may hold data; the repository goes, and everything can begin anew."""
    commit = workshop.commit({"a": "1"})
    workshop.switch(commit)
    workshop.checkouts.remove(WEB)
    workshop.checkouts.remove(WEB)
    assert not workshop.repository.exists()
    assert workshop.files() == {"a": "1"}
    workshop.checkouts.fetch(WEB, SOURCE, commit, None)
    workshop.switch(commit)


def test_a_commit_that_is_not_there_is_named(workshop: Workshop) -> None:
    """A forced push may take a commit away before it is fetched."""
    workshop.commit({"a": "1"})
    with pytest.raises(RevisionNotFound, match="1111"):
        workshop.checkouts.fetch(WEB, SOURCE, CommitSha("1" * 40), None)


def switch_and_be_killed(workshop: Workshop, commit: CommitSha, steps: int) -> bool:
    """Switch in a child that ends itself after some ``steps``; return whether it was killed."""
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)
    left = steps

    def count(event: str, _: object) -> None:
        nonlocal left
        if event in {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "subprocess.Popen"}:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(count)
        workshop.switch(commit)
    finally:
        os._exit(0)


@pytest.mark.fault
@pytest.mark.timeout(120)
def test_a_kill_at_any_point_never_reads_as_a_change_by_hand(workshop: Workshop) -> None:
    """Killed before any rename, removal or child of a switch, a repeat brings the tree home."""
    first = workshop.commit({"a": "1", "b": "1", "folder/x": "x", "gone": "1"})
    second = workshop.commit(
        {"a": "2", "b": "2", "folder/x": None, "folder": "file", "gone": None, "new/y": "y"}
    )
    wanted = {"a": "2", "b": "2", "folder": "file", "new/y": "y"}
    for steps in itertools.count():
        workshop.switch(first)
        (workshop.tree / "data").write_text("precious")
        killed = switch_and_be_killed(workshop, second, steps)
        workshop.switch(second)
        assert workshop.files() == {**wanted, "data": "precious"}, f"killed at step {steps}"
        if not killed:
            break
    assert steps > 15


def test_no_link_is_followed_to_read_a_file(workshop: Workshop) -> None:
    """Whatever the commit has behind it."""
    workshop.commit({"other": "x"})
    link = workshop.commit_link(".reconciler.toml", "other")
    with pytest.raises(InvalidComposeFile, match="symlink"):
        workshop.checkouts.read_files(WEB, link, (RepositoryPath(".reconciler.toml"),))
