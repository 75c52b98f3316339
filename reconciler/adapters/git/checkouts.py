"""A repository and a work tree per project, in one folder of ours."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from reconciler.adapters.git.binary import KEPT_REFS, Git, object_format_of
from reconciler.adapters.git.files import read_files
from reconciler.adapters.git.history import read_commit
from reconciler.adapters.git.tree import OWN_FOLDER, TreeLimits, check_tree, list_tree
from reconciler.adapters.git.work_tree import WorkTree
from reconciler.adapters.process import check
from reconciler.domain.errors import CommandFailed, CommitNotFound, PreconditionFailed
from reconciler.domain.history import CommitInfo
from reconciler.domain.project import ExternalSource, HostedSource, Source
from reconciler.domain.references import CommitSha, ProjectName, RepositoryPath
from reconciler.ports import CommandRunner, GitCredentials, GitRemote, Repositories

_FETCH_TIME = timedelta(minutes=5)


class GitCheckouts:
    """``Checkouts`` below one folder: ``NAME/repository.git`` and ``NAME/tree``.

    A project's files are changed by one caller at a time; different projects side by side.
    """

    def __init__(
        self,
        folder: Path,
        runner: CommandRunner,
        remote: GitRemote,
        repositories: Repositories,
        limits: TreeLimits | None = None,
    ) -> None:
        """Make ready; folders are made when they are needed."""
        self._folder = folder
        self._runner = runner
        self._remote = remote
        self._repositories = repositories
        self._limits = limits or TreeLimits()

    def fetch(
        self,
        project: ProjectName,
        source: Source,
        commit: CommitSha,
        credentials: GitCredentials | None,
    ) -> None:
        """Bring ``commit`` into the project's repository; see ``Checkouts.fetch``."""
        git = self._git(project)
        with _disk_errors():
            git.create(object_format_of(commit))
            exclude = git.repository / "info" / "exclude"
            exclude.parent.mkdir(exist_ok=True)
            exclude.write_text(f"/{OWN_FOLDER}/\n")
            if git.has(commit):
                return
        match source:
            case ExternalSource(url=url):
                self._remote.fetch(url, commit, git.repository, credentials)
            case HostedSource(repository=repository):
                fetch_from_disk(git, self._repositories.path(repository), commit)

    def read_files(
        self, project: ProjectName, commit: CommitSha, paths: Sequence[RepositoryPath]
    ) -> Mapping[RepositoryPath, bytes]:
        """As ``GitRemote.read_files``, of a commit that was fetched."""
        return read_files(self._git(project), commit, paths)

    def describe(self, project: ProjectName, commit: CommitSha) -> CommitInfo:
        """Return a commit that was fetched, as people know it; see ``Commits.describe``."""
        return read_commit(self._git(project), commit)

    def export(self, project: ProjectName, commit: CommitSha, into: Path) -> None:
        """Write the files of ``commit`` into the empty folder ``into``; see ``Checkouts.export``.

        Raises:
            InvalidComposeFile: a symlink leads out, or a file lies in ``.deploy/``.
        """
        git = self._git(project)
        check_tree(git, commit, list_tree(git, commit), self._limits)
        index = git.repository / f"export-{into.name}.index"
        env = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(into.absolute())}
        with _disk_errors():
            into.mkdir(parents=True, exist_ok=True)
            try:
                git.output("read-tree", commit.text, env=env)
                git.output("checkout-index", "-q", "--all", env=env)
            finally:
                index.unlink(missing_ok=True)

    def repository(self, project: ProjectName) -> Path:
        """Return the project's bare repository, which may not exist yet."""
        return self._git(project).repository

    def tree(self, project: ProjectName) -> Path:
        """Return the work tree's folder, which may not exist yet."""
        return self._folder / project / "tree"

    def switch(self, project: ProjectName, commit: CommitSha) -> None:
        """Make the work tree hold exactly ``commit``; see ``Checkouts.switch``.

        Folders that become empty stay: they may be mounted into containers.

        Raises:
            InvalidComposeFile: a symlink leads out, or a file lies in ``.deploy/``.
        """
        git = self._git(project)
        wanted = list_tree(git, commit)
        check_tree(git, commit, wanted, self._limits)
        with _disk_errors():
            WorkTree(git, self.tree(project)).switch(commit, wanted)

    def keep(self, project: ProjectName, commits: Sequence[CommitSha]) -> None:
        """Let go of all commits but these, and those that the work tree's files come from."""
        git = self._git(project)
        if not git.repository.exists():
            return
        wanted = {*commits, *WorkTree(git, self.tree(project)).recorded()}
        names = git.output("for-each-ref", "--format=%(refname)", KEPT_REFS).split()
        gone = [
            name for name in names if CommitSha.parse(name.removeprefix(KEPT_REFS)) not in wanted
        ]
        for name in gone:
            git.output("update-ref", "-d", name)
        if gone:
            git.output("repack", "-a", "-d", "-q")
            git.output("prune", "--expire=now")

    def remove(self, project: ProjectName) -> None:
        """Delete the project's repository; its work tree stays, it may hold data."""
        repository = self._git(project).repository
        gone = repository.with_name(f".{repository.name}.gone")
        if repository.exists() and not gone.exists():
            # In one step: half a repository would be taken for a whole one.
            repository.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _git(self, project: ProjectName) -> Git:
        return Git(self._runner, self._folder / project / "repository.git")


def fetch_from_disk(git: Git, repository: Path, commit: CommitSha) -> None:
    """Bring ``commit`` from another repository of this machine into that of ``git``.

    Raises:
        RevisionNotFound: it is not there.
        CommandFailed: git failed otherwise.
    """
    done = git.run(
        *("fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--no-auto-gc"),
        *("--", str(repository.absolute()), commit.text),
        config={"protocol.file.allow": "always", "protocol.version": "2"},
        timeout=_FETCH_TIME,
    )
    if not done.ok and "not our ref" in done.stderr_tail:
        message = f"{repository.name} does not have commit {commit.short} any more"
        raise CommitNotFound(message, commit=commit.text)
    check(done)
    git.keep(commit)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Say what is missing on this machine: space, most of all, or permission."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        message = f"the checkout can't be written: {error.strerror or error}{where}"
        raise PreconditionFailed(message) from error
    except CommandFailed as error:
        raise PreconditionFailed(f"the checkout can't be made: {error.message}") from error
