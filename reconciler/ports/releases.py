"""Releases as they are kept."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.release import ReleaseId, ReleaseRecord, ReleaseReport
from reconciler.domain.revision import Fingerprint


class ReleaseStore(Protocol):
    """The releases that were reported. A project takes its own along when it goes."""

    def add_release(
        self, report: ReleaseReport, recorded_by: str, now: datetime
    ) -> tuple[ReleaseRecord, bool]:
        """Keep it, unless the same was reported before; return the record, and if it is new.

        Of two at once one is new. Raises ``NotFound`` for the project.
        """
        ...

    def find_release(self, project: ProjectName, fingerprint: Fingerprint) -> ReleaseRecord | None:
        """Return the one that is the same as a report; see ``ReleaseReport.fingerprint``."""
        ...

    def get_release(self, release: ReleaseId) -> ReleaseRecord:
        """Return it. Raises ``NotFound``."""
        ...

    def list_releases(
        self,
        project: ProjectName | None = None,
        *,
        commit: CommitSha | None = None,
        before: ReleaseId | None = None,
        limit: int = 50,
        projects: Collection[str] | None = None,
    ) -> Sequence[ReleaseRecord]:
        """Return newest first; the first of a project, or of a commit of it, is its newest.

        Args:
            project: only its; None: those of any of ``projects``, None: of all.
            commit: only those of this commit.
            before: only those with a smaller number.
            limit: how many at most.
            projects: only those of one of these.
        """
        ...
