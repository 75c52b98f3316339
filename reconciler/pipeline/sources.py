"""Where a project's commits come from: a repository that is hosted here, or one elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.domain.errors import RevisionNotFound
from reconciler.domain.history import History
from reconciler.domain.project import ExternalSource, HostedSource, Project
from reconciler.domain.references import CommitSha, RepositoryPath
from reconciler.ports import (
    Bring,
    Comparison,
    GitCredentials,
    GitRemote,
    Repositories,
    Store,
    bring_nothing,
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Asks the source of any project, with the project's own credentials."""

    store: Store
    remote: GitRemote
    repositories: Repositories
    bring: Bring = bring_nothing  #: done before a branch that is kept here is asked for

    def tip(self, project: Project, credentials: GitCredentials | None = None) -> CommitSha | None:
        """Return the branch's tip; None for a project without a repository.

        Args:
            project: whose branch.
            credentials: shown instead of the project's own.

        Raises:
            RevisionNotFound: there is no such branch.
            SourceError: it could not be asked for.
        """
        source = project.source
        if source is None:
            return None
        if isinstance(source, HostedSource):
            self.bring(project)
            tip = self.repositories.tip(source.repository, source.branch)
        else:
            shown = credentials or self.store.git_credentials(project.name, source)
            tip = self.remote.tip(source.url, source.branch, shown)
        if tip is None:
            text = f"branch {source.branch} does not exist in the source of {project.name}"
            missing = RevisionNotFound(text)
            missing.remedy = f"push it, or `reconciler project set {project.name} --branch …`"
            raise missing
        return tip

    def compare(self, project: Project, before: CommitSha, after: CommitSha) -> Comparison:
        """Return how ``after`` differs from ``before``; see ``GitRemote.compare``."""
        match project.source:
            case HostedSource(repository):
                return self.repositories.compare(repository, before, after)
            case ExternalSource(url):
                credentials = self.store.git_credentials(project.name, project.source)
                return self.remote.compare(url, before, after, credentials)
            case None:
                return Comparison(None, "")

    def read_files(
        self, project: Project, commit: CommitSha, paths: Sequence[RepositoryPath]
    ) -> Mapping[RepositoryPath, bytes]:
        """Return those of ``paths`` that ``commit`` has; see ``GitRemote.read_files``."""
        match project.source:
            case HostedSource(repository):
                return self.repositories.read_files(repository, commit, paths)
            case ExternalSource(url):
                credentials = self.store.git_credentials(project.name, project.source)
                return self.remote.read_files(url, commit, paths, credentials)
            case None:
                return {}

    def history(self, project: Project, tip: CommitSha, base: CommitSha) -> History:
        """Return the commits that lead from ``base`` to ``tip``; see ``GitRemote.history``."""
        match project.source:
            case HostedSource(repository):
                return self.repositories.history(repository, tip, base)
            case ExternalSource(url):
                credentials = self.store.git_credentials(project.name, project.source)
                return self.remote.history(url, tip, base, credentials)
            case None:
                return History((), base_found=tip == base, more=False)
