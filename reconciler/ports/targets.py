"""What changes and observes a target."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.domain.deployment import (
    DeploymentId,
    Failure,
    PreparedRevision,
)
from reconciler.domain.project import Project
from reconciler.domain.references import (
    ImageReference,
    ProjectName,
)
from reconciler.domain.revision import Revision
from reconciler.domain.secret import Secret
from reconciler.domain.verification import ContainerSample
from reconciler.ports.processes import LineSink
from reconciler.ports.sources import GitCredentials


@dataclass(frozen=True, slots=True)
class Work:
    """What a strategy is given for one deployment."""

    deployment: DeploymentId
    project: Project
    revision: Revision
    variables: Mapping[str, Secret]
    credentials: GitCredentials | None
    log: LineSink
    cancel: threading.Event  #: set when the work must stop
    #: Whether what runs under the project's name is ours: an earlier deployment of it began to
    #: change the target, or a person insists. If not, a strategy leaves it alone.
    may_take_over: bool = False


class Engine(Protocol):
    """A container engine, looked at only: what changes it goes through compose."""

    def ping(self) -> str | Failure:
        """Return the engine's version, or why it can't be used. Never raises."""
        ...

    def containers(self, project: ProjectName) -> Sequence[ContainerSample]:
        """Return the containers of a compose project, stopped ones included, by service.

        Those of `docker compose run` are left out.

        Raises:
            TargetUnreachable: the engine did not answer, or not as an engine does.
        """
        ...

    def has_image(self, image: ImageReference) -> bool:
        """Tell whether the image is there; one with a digest only counts at that digest.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...

    def last_lines(self, container: str, count: int) -> Sequence[str]:
        """Return the newest lines that a container wrote, oldest first.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...


class Strategy(Protocol):
    """How one kind of target changes. Every method but ``apply`` leaves what runs untouched."""

    def prepare(self, work: Work) -> PreparedRevision:
        """Make ready all that ``apply`` needs: checkout, digests, override, images.

        Safe to repeat.

        Raises:
            ReconcilerError: nothing was changed; ``recovery`` says what helps.
        """
        ...

    def apply(self, work: Work, prepared: PreparedRevision) -> None:
        """Make the target run ``prepared``. Safe to repeat, also after a kill in its middle.

        Raises:
            RolloutError: the target may be half changed.
        """
        ...

    def observe(self, project: ProjectName) -> Sequence[ContainerSample]:
        """Return what runs for ``project`` now, stopped containers included.

        Raises:
            TargetUnreachable: the engine did not answer.
        """
        ...

    def diagnose(self, project: ProjectName, log: LineSink) -> None:
        """Write the last lines of the project's containers into ``log``. Never raises."""
        ...

    def forget(self, project: ProjectName, deployment: DeploymentId) -> None:
        """Drop what ``prepare`` made for a deployment that nobody can roll back to any more."""
        ...
