"""Making a fresh machine ready for a target. Safe to repeat."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.host import HostName
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.target import TargetStrategy
from reconciler.pipeline.declaring.targets import get_target
from reconciler.pipeline.rollout.journal import Redaction
from reconciler.ports import LineSink, Store, Strategy, Work

#: It belongs to none, and comes before all of them.
_NO_DEPLOYMENT = DeploymentId(0)


@dataclass(frozen=True, slots=True)
class SetUps:
    """Sets targets up, one call each."""

    store: Store
    strategies: Mapping[TargetStrategy, Strategy]
    redaction: Redaction

    def run(
        self, name: ProjectName, host: HostName, log: LineSink, cancel: threading.Event
    ) -> None:
        """Make ``host`` ready for the project, and say in ``log`` what was done.

        Raises:
            NotFound: no such project, or no such target of it.
            RolloutError: it could not be made ready; repeating it goes on from there.
        """
        project = self.store.get_project(name)
        target = get_target(project, host)
        self.store.note("target.set-up", f"target {name} on {host}")
        variables = self.store.variables(name)
        for secret in variables.values():
            self.redaction.register(secret)
        self.strategies[target.strategy].set_up(
            Work(
                deployment=_NO_DEPLOYMENT,
                project=project,
                target=target,
                revision=Revision(None, generation=project.generation),
                variables=variables,
                credentials=None,
                log=lambda line: log(self.redaction.clean(line)),
                cancel=cancel,
                may_take_over=host in self.store.list_touched_hosts(name),
            )
        )
