"""What is still to be told to others: written with what it tells of, and sent when it can be."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol


class OutboxKind(StrEnum):
    """What kind of message it is: who can send it."""

    NOTICE = "notice"  #: to a channel
    COMMIT_STATUS = "commit-status"  #: to the forge that a commit is from


@dataclass(frozen=True, slots=True)
class Message:
    """One message that waits, or waited, to be sent."""

    id: int
    kind: OutboxKind
    address: str  #: a channel's name; for a commit status, ``project@commit``
    project: str
    deployment: int | None
    body: Mapping[str, Any]
    created_at: datetime
    not_before: datetime
    attempts: int
    settled_at: datetime | None = None  #: sent, or given up
    error: str = ""  #: of the last attempt; empty: it went well


class OutboxStore(Protocol):
    """The outbox. Several replicas may send from it; each message is one's at a time."""

    def claim_messages(
        self,
        kind: OutboxKind,
        owner: str,
        *,
        limit: int,
        lease: timedelta,
        busy: Collection[str] = (),
    ) -> Sequence[Message]:
        """Take messages whose time has come, oldest first; after ``lease`` others may.

        One that waits holds back those that came to the same address after it.
        Those to a ``busy`` address stay.
        """
        ...

    def settle_message(self, message: Message, owner: str, error: str = "") -> None:
        """Record that it was sent, or given up because of ``error``; no effect if it was lost."""
        ...

    def put_off_message(
        self, message: Message, owner: str, not_before: datetime, error: str
    ) -> None:
        """Record that it was not sent yet; no effect if another took it meanwhile."""
        ...

    def list_messages(
        self,
        kind: OutboxKind,
        *,
        address: str = "",
        deployment: int | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Message]:
        """Return messages, newest first; to one address, about one deployment, where named."""
        ...
