"""Branch tips of hosted repositories, read from disk: at a push, at the start, and now and then."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.domain.project import HostedSource, Project
from reconciler.domain.references import BranchName, CommitSha, ProjectName
from reconciler.ports import ProjectStore, Repositories


@dataclass(frozen=True, slots=True)
class HostedTip:
    """Where the branch that a project follows stands."""

    project: ProjectName
    branch: BranchName
    tip: CommitSha | None  #: None: there is no such branch
    tracked: CommitSha | None
    auto_deploy: bool


@dataclass(frozen=True, slots=True)
class HostedSources:
    """The hosted repositories, as the projects follow them."""

    store: ProjectStore
    repositories: Repositories

    def followers(self, repository: ProjectName) -> Sequence[Project]:
        """Return the projects that follow a branch of ``repository``."""
        return [
            project
            for project in self.store.list_projects()
            if isinstance(project.source, HostedSource) and project.source.repository == repository
        ]

    def look(self, project: Project) -> HostedTip | None:
        """Return where the project's branch stands; None if it does not follow a hosted one."""
        if not isinstance(project.source, HostedSource):
            return None
        tip = self.repositories.tip(project.source.repository, project.source.branch)
        tracked = self.store.get_state(project.name).tracked_commit
        return HostedTip(project.name, project.source.branch, tip, tracked, project.auto_deploy)

    def moved(self) -> Iterable[HostedTip]:
        """Yield the auto-deploying projects whose branch is not where it was last acted on."""
        states = self.store.list_states()
        for project in self.store.list_projects():
            if not (isinstance(project.source, HostedSource) and project.auto_deploy):
                continue
            tip = self.repositories.tip(project.source.repository, project.source.branch)
            tracked = states[project.name].tracked_commit if project.name in states else None
            if tip is not None and tip != tracked:
                yield HostedTip(project.name, project.source.branch, tip, tracked, auto_deploy=True)
