"""Commits in folders of their own: looked at without a trace in what is deployed from."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from reconciler.adapters.git.binary import Git, object_format_of, split_z
from reconciler.adapters.git.checkouts import GitCheckouts, fetch_from_disk
from reconciler.domain.errors import CommandFailed, RevisionNotFound
from reconciler.domain.history import CommitInfo
from reconciler.domain.plan import ChangedFile, ChangedFiles
from reconciler.domain.project import Source
from reconciler.domain.references import CommitSha, ProjectName, RepositoryPath
from reconciler.log import plain
from reconciler.ports import (
    Checkouts,
    CommandRunner,
    GitCredentials,
    GitRemote,
    Repositories,
    Scratch,
)

_MOST_FILES = 100
_LONGEST_PATH = 300
#: What `git diff-tree --name-status` says. Source: git-diff(1), "--diff-filter".
_CHANGES = {"A": "added", "D": "removed"}


class Scratches:
    """Makes ``Scratch`` after ``Scratch``, each in its own folder below one of ours."""

    def __init__(
        self,
        folder: Path,
        runner: CommandRunner,
        remote: GitRemote,
        repositories: Repositories,
        kept: Checkouts,
    ) -> None:
        """Use ``folder`` alone, which is made private; what a kill left there goes.

        Args:
            folder: see above.
            runner: runs git.
            remote: asked for commits that are not on this machine.
            repositories: the hosted ones.
            kept: what is deployed from; a commit that is there already comes from there.
        """
        self._folder = folder
        self._runner = runner
        self._remote = remote
        self._repositories = repositories
        self._kept = kept
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in folder.glob("scratch-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    @contextmanager
    def open(self) -> Iterator[Scratch]:
        """Give an empty one until the block ends."""
        folder = Path(mkdtemp(prefix="scratch-", dir=self._folder)).resolve()
        try:
            own = GitCheckouts(folder / "commits", self._runner, self._remote, self._repositories)
            yield _GitScratch(
                folder, own, lambda name: Git(self._runner, self._kept.repository(name)), self._git
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _git(self, repository: Path) -> Git:
        return Git(self._runner, repository)


@dataclass(frozen=True, slots=True)
class _GitScratch:
    folder: Path
    own: GitCheckouts
    kept: Callable[[ProjectName], Git]
    git: Callable[[Path], Git]

    def fetch(
        self,
        project: ProjectName,
        source: Source,
        commit: CommitSha,
        credentials: GitCredentials | None,
    ) -> None:
        """Bring ``commit`` here; see ``Commits``."""
        kept, own = self.kept(project), self.git(self.own.repository(project))
        if kept.repository.exists() and kept.has(commit):
            own.create(object_format_of(commit))
            with suppress(CommandFailed, RevisionNotFound):  # it may be tidied up just now
                fetch_from_disk(own, kept.repository, commit)
        self.own.fetch(project, source, commit, credentials)

    def read_files(
        self, project: ProjectName, commit: CommitSha, paths: Sequence[RepositoryPath]
    ) -> Mapping[RepositoryPath, bytes]:
        """As ``GitRemote.read_files``, of a commit that was fetched."""
        return self.own.read_files(project, commit, paths)

    def describe(self, project: ProjectName, commit: CommitSha) -> CommitInfo:
        """As ``Commits.describe``."""
        return self.own.describe(project, commit)

    def export(self, project: ProjectName, commit: CommitSha, into: Path) -> None:
        """Write the files of ``commit`` into ``into``; see ``Exports``."""
        self.own.export(project, commit, into)

    def changed_files(self, project: ProjectName, old: CommitSha, new: CommitSha) -> ChangedFiles:
        """Return the files that differ; see ``Scratch``."""
        git = self.git(self.own.repository(project))
        told = split_z(
            git.output("diff-tree", "-r", "-z", "--no-renames", "--name-status", old.text, new.text)
        )
        pairs = list(zip(told[::2], told[1::2], strict=True))
        files = tuple(
            ChangedFile(plain(path)[:_LONGEST_PATH], _CHANGES.get(change, "changed"))
            for change, path in pairs[:_MOST_FILES]
        )
        return ChangedFiles(files, len(pairs) - len(files))
