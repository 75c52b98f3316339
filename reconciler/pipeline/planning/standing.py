"""What a plan starts from: what is recorded, as of one moment."""

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.domain.deployment import Deployment, PreparedTarget
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.host import HostName
from reconciler.domain.project import Project
from reconciler.domain.references import CommitSha
from reconciler.domain.state import ProjectState
from reconciler.pipeline.planning.promotion import PlannedPromotion


@dataclass(frozen=True, slots=True)
class Standing:
    """A project, and what is live of it."""

    project: Project
    state: ProjectState
    switch: MasterSwitch
    promotion: PlannedPromotion | None = None  #: None: it is promoted from no other

    @property
    def live(self) -> Deployment | None:
        """What was verified last."""
        return self.state.live

    @property
    def live_commit(self) -> CommitSha | None:
        """The commit of what is live."""
        return self.live.target_revision.commit if self.live else None

    @property
    def by_host(self) -> Mapping[HostName, PreparedTarget]:
        """What runs on each of the project's hosts; a host on which nothing was verified has none.

        A deployment to some hosts keeps on record what the others run.
        """
        ready = self.live.prepared if self.live else None
        found = {one.host: ready.find(one.host) for one in self.project.where} if ready else {}
        return {host: one for host, one in found.items() if one is not None}

    @property
    def elsewhere(self) -> Mapping[HostName, CommitSha]:
        """Host → the commit that runs there, where that is not the live one."""
        commits = {host: one.revision.commit for host, one in self.by_host.items()}
        return {host: one for host, one in commits.items() if one and one != self.live_commit}
