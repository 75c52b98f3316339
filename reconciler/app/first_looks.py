"""Looks at what a project that is being declared names: its source, its files, its image.

They are made while somebody waits, so few at once and within a bound; nothing of them is recorded.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from reconciler.domain.compose import ComposeService, FollowedImage
from reconciler.domain.errors import InvalidInput, ReconcilerError, TooBusy
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import CommitSha, Digest
from reconciler.pipeline.planning.budget import Budget
from reconciler.pipeline.sources import Sources
from reconciler.ports import Clock, GitCredentials, ImageRegistry
from reconciler.triggers.compose_images import ComposeImages, Composition

_AT_ONCE = 4
_SECONDS = 20.0
Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen; what could not be is empty, and ``error`` says why."""

    tip: CommitSha | None = None
    subject: str = ""  #: of the tip's message
    digest: Digest | None = None  #: behind the tag of an image project
    composition: Composition | None = None
    error: ReconcilerError | None = None  #: of the source, or of the image
    unread: ReconcilerError | None = None  #: why the compose file tells nothing

    @property
    def services(self) -> tuple[ComposeService, ...]:
        """The services of the compose file."""
        return self.composition.services if self.composition else ()

    @property
    def images(self) -> tuple[FollowedImage, ...]:
        """Its images, those that are left alone included."""
        return self.composition.images if self.composition else ()


@dataclass(frozen=True, slots=True)
class FirstLooks:
    """Makes them, from any thread."""

    sources: Sources
    composed: ComposeImages
    registry: ImageRegistry
    clock: Clock
    _slots: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_AT_ONCE), init=False
    )

    def require(self, project: Project, credentials: GitCredentials | None = None) -> None:
        """See that what the project follows is there, whether it is declared already or not.

        Raises:
            ReconcilerError: it is not, or can't be asked.
        """
        with self._budget() as budget:
            if project.image is not None:
                budget.wait(budget.begin(lambda: self._digest(project)))
            budget.wait(budget.begin(lambda: self.sources.tip(project, credentials)))

    def look(self, project: Project) -> Found:
        """Return all that can be seen in time. Raises ``TooBusy``."""
        with self._budget() as budget:
            if project.kind is ProjectKind.IMAGE:
                digest = budget.attempt(budget.begin(lambda: self._digest(project)))
                return Found(digest=_seen(digest), error=_failed(digest))
            tip = budget.attempt(budget.begin(lambda: self.sources.tip(project)))
            if isinstance(tip, ReconcilerError) or tip is None:
                return Found(error=_failed(tip))
            told = budget.begin(lambda: self.sources.compare(project, tip, tip).message)
            read = budget.begin(lambda: self._composition(project, tip))
            composition, message = budget.attempt(read), budget.attempt(told)
            subject = (_seen(message) or "").partition("\n")[0]
            return Found(tip, subject, composition=_seen(composition), unread=_failed(composition))

    def _composition(self, project: Project, tip: CommitSha) -> Composition | None:
        if project.kind is not ProjectKind.COMPOSE:
            return None
        found = self.composed.read(project, tip)
        if found is None:
            problem = f"is not there at {tip.short}"
            raise InvalidInput("compose_path", project.compose_path, problem)
        return found

    def _digest(self, project: Project) -> Digest | None:
        image = project.image
        if image is None or image.digest is not None:
            return image.digest if image else None
        return self.registry.digest(image, project.name)

    @contextmanager
    def _budget(self) -> Iterator[Budget]:
        if not self._slots.acquire(blocking=False):
            raise TooBusy(f"{_AT_ONCE} sources are being looked at already")
        try:
            with Budget(self.clock, _SECONDS) as budget:
                yield budget
        finally:
            self._slots.release()


def _seen(result: Seen | ReconcilerError) -> Seen | None:
    return None if isinstance(result, ReconcilerError) else result


def _failed(result: object) -> ReconcilerError | None:
    return result if isinstance(result, ReconcilerError) else None
