"""What is kept of who did what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.domain.audit import AuditCheck, AuditEntry, Head


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries are wanted; empty fields leave nothing out."""

    actor: str = ""
    subject: str = ""  #: in full, e.g. ``project shop``
    action: str = ""  #: in full, or the part before the dot
    before: int | None = None  #: only older ones
    limit: int = 50
    remote: str = ""  #: address or peer that it came from


class AuditStore(Protocol):
    """The audit log. Whatever changes something writes its entry in the same transaction."""

    def list_audit(self, query: AuditQuery) -> Sequence[AuditEntry]:
        """Return the entries, newest first."""
        ...

    def read_audit(self, *, after: int, limit: int) -> Sequence[AuditEntry]:
        """Return the entries that follow number ``after``, oldest first."""
        ...

    def check_audit(self, noted: Head | None = None) -> AuditCheck:
        """Look through the whole log; ``noted`` was written down elsewhere earlier."""
        ...

    def note(self, action: str, subject: str) -> None:
        """Write an entry for what changes nothing here, e.g. what was refused to somebody."""
        ...
