"""What a plan is made from: files apart from all that is deployed, and what they amount to."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from reconciler.domain.failure import Failure
from reconciler.domain.handing_on import Exact
from reconciler.domain.plan import ChangedFiles, Difference, ImageFate
from reconciler.domain.references import CommitSha, ImageReference, ProjectName, ServiceName
from reconciler.ports.sources import Exports
from reconciler.ports.work import Work


class Scratch(Exports, Protocol):
    """Commits of one project in a folder of their own, which goes with all that it holds."""

    @property
    def folder(self) -> Path:
        """A private folder, to be used freely."""
        ...

    def changed_files(self, project: ProjectName, old: CommitSha, new: CommitSha) -> ChangedFiles:
        """Return the files that differ between two commits that were fetched.

        Raises:
            CommandFailed: there are far too many.
        """
        ...


#: Gives an empty one until the block ends.
OpenScratch = Callable[[], AbstractContextManager[Scratch]]


@dataclass(frozen=True, slots=True)
class ForeseenService:
    """One service as a deployment would have it."""

    name: ServiceName
    image: ImageReference
    fate: ImageFate
    note: str = ""
    #: What it gets, whatever its tag means by now: what the environment before verified it with, or
    #: what an adopted project runs. None: it is neither, or it keeps data.
    exact: Exact | None = None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a deployment would make of the files."""

    services: tuple[ForeseenService, ...] = ()  #: in file order; empty where they can't be used
    difference: Difference = field(default_factory=Difference)
    refusal: Failure | None = None  #: why it would fail before it changes anything; no secrets
    platform: str = ""  #: of the machine that it goes to, e.g. ``linux/amd64``; empty: not known


class Planner(Protocol):
    """Foresees what one kind of strategy would do. Nothing is changed, here or elsewhere."""

    def foresee(self, work: Work, scratch: Scratch) -> Foreseen:
        """Return what would be deployed in place of ``work.earlier``, or why nothing would.

        Raises:
            Interrupted: ``work.cancel`` was set.
        """
        ...
