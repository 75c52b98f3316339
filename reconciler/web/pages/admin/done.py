"""What came of a form, read back from the audit log: that is written with the change itself."""

from typing import Annotated

from fastapi import Query

from reconciler.ports import AuditQuery, AuditStore
from reconciler.web.pages.admin.audit_words import AuditLine

#: The word in a page's address that says what was done before.
Did = Annotated[str, Query(max_length=30)]
#: The name of what it was done to.
Of = Annotated[str, Query(max_length=100)]


def done(store: AuditStore, action: str, subject: str) -> AuditLine | None:
    """Return the newest time that this was done; None: it was not, or ``action`` is empty."""
    if not action:
        return None
    found = store.list_audit(AuditQuery(subject=subject, action=action, limit=1))
    return AuditLine.of(found[0]) if found else None
