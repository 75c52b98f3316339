"""Who did what. Triggers keep rows from being changed or taken away."""

from datetime import datetime
from typing import ClassVar

from sqlmodel import Field

from reconciler.store.tables.base import Json, Row, as_json


class AuditRow(Row, table=True):
    """One entry of the audit log, sealed together with the one before it."""

    __tablename__: ClassVar[str] = "audit_entry"

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime
    actor: str = Field(index=True)
    remote: str
    request: str
    action: str
    subject: str = Field(index=True)
    changes: Json = as_json()
    seal: str
