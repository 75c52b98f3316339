"""What both ways to a release have in common."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Protocol

from reconciler.domain.deployment import PreparedTarget, Release
from reconciler.domain.references import CommitSha
from reconciler.domain.target import Target
from reconciler.ports import Machine, Work
from reconciler.strategies.units.site import Site
from reconciler.strategies.units.steps import Steps


@dataclass(frozen=True, slots=True)
class Bench:
    """One host on which a deployment is made ready."""

    work: Work
    site: Site
    commit: CommitSha | None  #: None: it is taken out of an image of which none is known
    machine: Machine
    steps: Steps
    free_bytes: int  #: on the disk of the target's folder
    releases: frozenset[str]  #: that are there already
    unit_text: str

    @property
    def claim(self) -> tuple[str, str, str]:
        """The arguments with which most steps begin: folder, deployment and fence."""
        return self.site.folder, str(self.work.deployment), str(self.work.fence)


class ReleaseMaker(Protocol):
    """Makes a commit a release on a host; what runs there is left untouched."""

    tools: ClassVar[frozenset[str]]  #: programs that the host must have
    builds_there: ClassVar[bool]  #: whether the host needs a place for sources

    def make(self, bench: Bench) -> Release:
        """Make the release, and have the host keep it for the deployment. Safe to repeat.

        Raises:
            ReconcilerError: it could not be made.
        """
        ...

    def keep(self, work: Work, prepared: PreparedTarget) -> None:
        """Keep what was verified for the environments that come after.

        Where it can't be kept, the log says so. Raises ``Interrupted``: the work was stopped.
        """
        ...

    def forget(
        self, target: Target, prepared: PreparedTarget, kept: Collection[PreparedTarget]
    ) -> None:
        """Drop what ``keep`` kept for a deployment; see ``Strategy.forget``."""
        ...
