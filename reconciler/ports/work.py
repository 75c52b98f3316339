"""What a strategy is given to do."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.domain.deployment import (
    DeploymentId,
    PreparedRevision,
    PreparedTarget,
    Stage,
)
from reconciler.domain.errors import NotHandedOn
from reconciler.domain.handing_on import Handover
from reconciler.domain.project import Project
from reconciler.domain.revision import Revision
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target
from reconciler.ports.processes import LineSink
from reconciler.ports.sources import GitCredentials


@dataclass(frozen=True, slots=True)
class Work:
    """What a strategy is given for one deployment on one host."""

    deployment: DeploymentId
    project: Project
    target: Target
    revision: Revision
    variables: Mapping[str, Secret]
    credentials: GitCredentials | None
    log: LineSink
    cancel: threading.Event  #: set when the work must stop
    #: Whether what runs under the project's name is ours: an earlier deployment of it began to
    #: change the target, or a person insists. If not, a strategy leaves it alone.
    may_take_over: bool = False
    forced: bool = False  #: a person insists: what was built already is built once more
    #: Says that a later stage begins, e.g. that what was fetched is being built from now on.
    enter: Callable[[Stage], None] = lambda _stage: None
    #: What this deployment made ready on its first host: what was built there serves here, too.
    elsewhere: PreparedTarget | None = None
    fence: int = 0  #: grows with each claim; a host refuses what comes with an older one
    earlier: PreparedTarget | None = None  #: what was verified last: what one would go back to
    #: What the environment before verified. ``revision`` has its digests; nothing else may be
    #: resolved, and nothing built. None: it is no promotion.
    handed_on: PreparedRevision | None = None

    def find_handover(self) -> Handover | None:
        """Return what is handed on to it; None: the project follows its own source.

        Raises:
            NotHandedOn: it does not, and nothing is known of what was verified.
        """
        if self.handed_on is not None:
            return Handover(self.handed_on, self.revision)
        if origin := self.project.promoted_from:
            raise NotHandedOn(
                f"what {origin} verified is not on record any more, and nothing takes its place",
                f"promote what {origin} runs now: `reconciler promote {self.project.name}`",
            )
        return None
