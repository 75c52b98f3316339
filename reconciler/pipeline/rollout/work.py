"""What strategies are given: one ``Work`` for each target of a deployment."""

import threading
from dataclasses import dataclass

from reconciler.domain.host import HostName
from reconciler.domain.project import Project
from reconciler.domain.revision import Revision
from reconciler.domain.target import Target
from reconciler.pipeline.rollout.journal import Redaction
from reconciler.ports import Claim, LineSink, Store, Work

#: Of one deployment, by far: each attempt is one, and so is each resumption.
_MOST_CLAIMS = 1_000_000


@dataclass(frozen=True, slots=True)
class WorkOrders:
    """Makes the orders of one claimed deployment."""

    store: Store
    redaction: Redaction
    claim: Claim
    project: Project
    cancel: threading.Event

    def order(self, target: Target, revision: Revision, log: LineSink) -> Work:
        """Return what is to be done on ``target``, with the secrets that it takes, as of now."""
        deployment, project = self.claim.deployment, self.project
        variables = self.store.variables(project.name)
        credentials = self.store.git_credentials(project.name, project.source)
        keys = (credentials.token, credentials.ssh_key) if credentials else ()
        for secret in (*variables.values(), *(key for key in keys if key is not None)):
            self.redaction.register(secret)
        return Work(
            deployment=deployment.id,
            project=project,
            target=target,
            revision=revision,
            variables=variables,
            credentials=credentials,
            log=log,
            cancel=self.cancel,
            may_take_over=deployment.forced or self._was_there_before(target.host),
            # Deployments are numbered upwards, so it grows with every claim of the project.
            fence=deployment.id * _MOST_CLAIMS + self.claim.fence,
        )

    def _was_there_before(self, host: HostName) -> bool:
        """Tell whether a deployment of this project has changed something on ``host`` already."""
        return host in self.store.list_touched_hosts(self.project.name)
