"""Bodies of the audit log."""

from datetime import datetime
from typing import Any, Self

from reconciler.domain.audit import AuditCheck, AuditEntry
from reconciler.web.schemas.body import AT, Answer, said

_SEAL = "5d41" * 16


class ChangeBody(Answer):
    """What one field was, and what it became; null: it was not there."""

    before: Any = said("What it was.", True)
    after: Any = said("What it became.", False)


class AuditEntryBody(Answer):
    """One thing that somebody did, or tried."""

    number: int = said("From 1 on, without a gap.", 17)
    at: datetime = said("When.", AT)
    actor: str = said("Who; reconciler is the daemon itself.", "local:1000")
    remote: str | None = said("Address or peer that it came from.", "192.0.2.7")
    request: str | None = said("The request's id, which the log has, too.", "9f3c2a1b00d4e5f6")
    action: str = said("What was done.", "project.change")
    subject: str = said("What it was done to.", "project shop")
    changes: dict[str, ChangeBody] = said(
        "Field → what it was and what it became.", {"auto_deploy": {"before": True, "after": False}}
    )
    seal: str = said("Over all of this and the seal of the entry before.", _SEAL)

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """Return the body of ``entry``."""
        return cls(
            number=entry.number,
            at=entry.at,
            actor=entry.actor,
            remote=entry.remote or None,
            request=entry.request or None,
            action=entry.action,
            subject=entry.subject,
            changes={
                name: ChangeBody(before=old, after=new)
                for name, (old, new) in entry.changes.items()
            },
            seal=entry.seal,
        )


class AuditPage(Answer):
    """Newest first."""

    items: list[AuditEntryBody] = said("The entries.", [])
    next: str | None = said("Cursor of the next page; null on the last.", None)


class AuditCheckBody(Answer):
    """What looking through the whole log gave."""

    intact: bool = said("Whether nothing was changed, removed, added or put elsewhere.", True)
    entries: int = said("How many were in order, from the first on.", 17)
    head: str = said("Number and seal of the last of them: note it elsewhere.", f"17:{_SEAL}")
    problem: str | None = said("What is wrong with the first that is not in order.", None)

    @classmethod
    def of(cls, check: AuditCheck) -> Self:
        """Return the body of ``check``."""
        return cls(
            intact=check.intact,
            entries=check.head.number,
            head=str(check.head),
            problem=check.problem or None,
        )
