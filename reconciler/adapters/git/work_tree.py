"""A project's work tree: its tracked files change in one way only, and never by surprise.

Git's own checkout can't tell a half-written file of a killed process from one that a person
changed. So each file is made ready beside the tree and moved into place whole: at any moment a
tracked file is as one of the commits on record has it, or someone else has changed it.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from reconciler.adapters.git.binary import Git, split_z
from reconciler.adapters.git.tree import EMPTY_TREE, Tree, list_tree
from reconciler.adapters.git.tree_files import TreeFiles
from reconciler.adapters.process import check
from reconciler.domain.errors import InvalidReference, WorkTreeDirty
from reconciler.domain.references import CommitSha

_MOST_NAMED = 20
#: In the repository: ids of commits that a switch has begun to bring in, one a line.
_BEGUN = "switching"


@dataclass(frozen=True, slots=True)
class _Version:
    """One commit that files of the work tree may come from, and which of them do not."""

    tree: Tree
    differing: frozenset[str]  #: of its paths, those that are otherwise, or not there, on disk


class WorkTree:
    """The folder ``root``, whose tracked files come from ``git``. One caller at a time."""

    def __init__(self, git: Git, root: Path) -> None:
        """Neither needs to exist before `switch`; the repository then must."""
        self._git = git
        self.root = root

    def switch(self, commit: CommitSha, tree: Tree) -> None:
        """Bring in ``commit``, whose checked files are ``tree``; see ``Checkouts.switch``.

        Raises:
            WorkTreeDirty: files were changed, or stand in the way; nothing was overwritten.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self._sweep()
        wanted = self._compare(commit, tree)
        earlier = [self._compare(past, list_tree(self._git, past)) for past in self.recorded()]
        if not self._checked_out():
            earlier.append(_Version(EMPTY_TREE, frozenset()))
        known = frozenset(path for version in earlier for path in version.tree)
        with TreeFiles(self.root) as files:
            if changed := _changed(files, known, [*earlier, wanted]):
                raise _dirty("were changed by hand", changed)
            if blocked := files.in_the_way(wanted.differing, known):
                raise _dirty("are not tracked, and would be overwritten", blocked)
            self._record([*self._begun(), commit])
            self._bring_in(files, commit, wanted.differing, known - tree.keys())
        self._git.output("update-ref", "--no-deref", "HEAD", commit.text)
        self._index(commit).replace(self._git.repository / "index")
        self._record([])

    def recorded(self) -> Sequence[CommitSha]:
        """Return the commit that is checked out, if any, and those that were begun after it."""
        return [*self._checked_out(), *self._begun()]

    def _compare(self, commit: CommitSha, tree: Tree) -> _Version:
        """Let git say which files differ: it knows attributes, modes and symlinks."""
        index = self._index(commit)
        current = self._git.repository / "index"
        if [commit] == list(self.recorded()) and current.exists():
            # It remembers sizes and times, so that unchanged files are not read again.
            shutil.copy2(current, index)
        env = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(self.root)}
        self._git.output("read-tree", "--reset", commit.text, env=env)
        self._git.run("update-index", "-q", "--refresh", env=env)
        differing = split_z(self._git.output("diff-files", "--name-only", "-z", env=env))
        return _Version(tree, frozenset(differing) & tree.keys())

    def _bring_in(
        self, files: TreeFiles, commit: CommitSha, paths: Iterable[str], gone: Iterable[str]
    ) -> None:
        """Remove files that are ``gone``, then move each of ``paths`` into its place, whole."""
        staging = Path(mkdtemp(prefix=f".{self.root.name}.staging-", dir=self.root.parent))
        try:
            # The staging folder as work tree: attributes then come from the commit itself.
            env = {"GIT_INDEX_FILE": str(self._index(commit)), "GIT_WORK_TREE": str(staging)}
            listed = "".join(f"{path}\0" for path in sorted(paths))
            check(self._git.run("checkout-index", "-q", "-z", "--stdin", env=env, stdin=listed))
            files.remove(gone)
            for path in sorted(paths):
                files.replace(path, staging / path)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _index(self, commit: CommitSha) -> Path:
        return self._git.repository / f"index-{commit.text}"

    def _checked_out(self) -> Sequence[CommitSha]:
        return _commits([(self._git.repository / "HEAD").read_text().strip()])

    def _begun(self) -> Sequence[CommitSha]:
        path = self._git.repository / _BEGUN
        return _commits(path.read_text().split()) if path.exists() else []

    def _record(self, commits: Sequence[CommitSha]) -> None:
        """Note which commits' files may be in the tree from now on, safe on the disk."""
        path = self._git.repository / _BEGUN
        if not commits:
            path.unlink(missing_ok=True)
            return
        new = path.with_name(f"{_BEGUN}.new")
        with new.open("w") as file:
            file.writelines(f"{commit}\n" for commit in dict.fromkeys(commits))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    def _sweep(self) -> None:
        """Remove what a killed switch left: nobody else works here."""
        for folder in self.root.parent.glob(f".{self.root.name}.staging-*"):
            shutil.rmtree(folder, ignore_errors=True)
        for lock in ("index.lock", "HEAD.lock"):
            (self._git.repository / lock).unlink(missing_ok=True)
        for index in self._git.repository.glob("index-*"):
            index.unlink(missing_ok=True)


def _changed(
    files: TreeFiles, tracked: Iterable[str], versions: Sequence[_Version]
) -> Sequence[str]:
    """Return the tracked files that are as none of ``versions`` has them.

    A version may also be right by not having a file that is not there. The last version is the
    one that is wanted: what is as it should become loses nothing.
    """
    return [
        path
        for path in sorted(tracked)
        if all(path in version.differing or path not in version.tree for version in versions)
        and (files.exists(path) or all(path in version.tree for version in versions))
    ]


def _dirty(what: str, paths: Sequence[str]) -> WorkTreeDirty:
    named = ", ".join(paths[:_MOST_NAMED])
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return WorkTreeDirty(f"files of the work tree {what}: {named}{more}", files=named)


def _commits(texts: Iterable[str]) -> list[CommitSha]:
    found = []
    for text in texts:
        # HEAD names a branch before the first switch.
        with suppress(InvalidReference):
            found.append(CommitSha.parse(text))
    return found
