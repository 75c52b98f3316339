"""Commit statuses that wait to be told to a forge."""

from datetime import timedelta
from typing import Protocol

from reconciler.domain.references import ProjectName
from reconciler.ports.outbox import Message


class StatusStore(Protocol):
    """The outbox's commit statuses; ``OutboxStore`` settles them and puts them off.

    Of one commit of a project only one is being sent at a time, whoever sends, and none after a
    newer one.
    """

    def claim_status(self, owner: str, *, lease: timedelta) -> Message | None:
        """Take the oldest whose time has come; after ``lease``, longer than any try, others may.

        What a newer one of the same commit has made outdated is forgotten unsent.
        """
        ...

    def last_status(self, project: ProjectName) -> Message | None:
        """Return the project's newest, sent or not."""
        ...
