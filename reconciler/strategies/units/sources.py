"""Commits of a project, for the targets that need one at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.domain.errors import Interrupted, PreconditionFailed
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.ports import Checkouts, Work

_LOOK_SECONDS = 0.25


class Sources:
    """One caller at a time works on a project; targets of one deployment run side by side."""

    def __init__(self, checkouts: Checkouts) -> None:
        self._checkouts = checkouts
        self._locks: dict[ProjectName, threading.Lock] = {}

    @contextmanager
    def alone(self, work: Work) -> Iterator[None]:
        """Let nobody else work on the project within the block.

        Raises:
            Interrupted: the work was stopped while it waited.
        """
        lock = self._locks.setdefault(work.project.name, threading.Lock())
        while not lock.acquire(timeout=_LOOK_SECONDS):
            if work.cancel.is_set():
                raise Interrupted("stopped while another target was made ready")
        try:
            yield
        finally:
            lock.release()

    def fetch(self, work: Work) -> Path:
        """Bring the commit here and return the bare repository it is in; within ``alone``.

        Raises:
            SourceError: as ``Checkouts.fetch``.
        """
        project = work.project
        if project.source is None:
            raise PreconditionFailed(f"project {project.name} has no source to build from")
        commit = commit_of(work)
        self._checkouts.fetch(project.name, project.source, commit, work.credentials)
        return self._checkouts.repository(project.name)

    def export(self, work: Work, into: Path) -> None:
        """Write the files of the fetched commit into an empty folder; within ``alone``."""
        self._checkouts.export(work.project.name, commit_of(work), into)


def commit_of(work: Work) -> CommitSha:
    """Return what is to be built. Raises ``PreconditionFailed`` where there is no commit."""
    if work.revision.commit is None:
        raise PreconditionFailed(f"project {work.project.name} has no commit to build")
    return work.revision.commit
