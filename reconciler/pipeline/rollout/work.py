"""What strategies are given: one ``Work`` for each target of a deployment."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.domain.deployment import Deployment, PreparedRevision, PreparedTarget, Stage
from reconciler.domain.errors import NotFound
from reconciler.domain.host import HostName
from reconciler.domain.project import Project
from reconciler.domain.revision import Revision
from reconciler.domain.target import Target
from reconciler.pipeline.rollout.journal import Redaction
from reconciler.ports import Claim, GitCredentials, LineSink, Store, Work

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
    enter: Callable[[Stage], None]
    live: Deployment | None  #: what was verified last
    handed_on: PreparedRevision | None = None  #: what the environment before verified

    def order(
        self,
        target: Target,
        revision: Revision,
        log: LineSink,
        elsewhere: PreparedTarget | None = None,
    ) -> Work:
        """Return what is to be done on ``target``, with the secrets that it takes, as of now."""
        deployment, project = self.claim.deployment, self.project
        variables, credentials = self.store.variables(project.name), self.credentials()
        for secret in variables.values():
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
            enter=self.enter,
            elsewhere=elsewhere,
            forced=deployment.forced,
            earlier=self._earlier(target.host),
            handed_on=self.handed_on,
            may_take_over=deployment.forced or self._was_there_before(target.host),
            # Deployments are numbered upwards, so it grows with every claim of the project.
            fence=deployment.id * _MOST_CLAIMS + self.claim.fence,
        )

    def credentials(self) -> GitCredentials | None:
        """Return what the project's git server is shown, as of now."""
        found = self.store.git_credentials(self.project.name, self.project.source)
        for key in (found.token, found.ssh_key) if found else ():
            if key is not None:
                self.redaction.register(key)
        return found

    def _earlier(self, host: HostName) -> PreparedTarget | None:
        earlier = self.live.prepared if self.live else None
        return earlier.find(host) if earlier else None

    def _was_there_before(self, host: HostName) -> bool:
        """Tell whether a deployment of this project has changed something on ``host`` already."""
        return host in self.store.list_touched_hosts(self.project.name)


def find_handed_on(store: Store, deployment: Deployment) -> PreparedRevision | None:
    """Return what ``deployment`` promotes, as it was verified; None: it is no promotion.

    One that is gone by now holds it at its gate, and what goes on from there has no need of it.
    """
    if deployment.promotes is None:
        return None
    try:
        return store.get_deployment(deployment.promotes).prepared
    except NotFound:
        return None
