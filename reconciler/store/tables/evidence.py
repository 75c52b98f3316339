"""What deployments leave behind: signed receipts, and what is still to be told to others."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from reconciler.store.tables.base import Json, Row, as_json


class ReceiptRow(Row, table=True):
    """The receipt of one deployment. It outlives its project. Triggers keep it as it is."""

    __tablename__: ClassVar[str] = "receipt"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("deployment"),
        Index(None, "project", "number"),
    )

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    deployment: int
    project: str
    status: str  #: how the deployment ended
    at: datetime
    body: str  #: the very text that was signed
    signature: str


class ChannelRow(Row, table=True):
    """A way to tell people: an address, and what they want to hear of."""

    __tablename__: ClassVar[str] = "channel"

    name: str = Field(primary_key=True)
    #: NULL: of all projects
    project: str | None = Field(
        default=None, foreign_key="project.name", ondelete="CASCADE", index=True
    )
    sealed_url: str  #: with the key of a signed webhook, where it is one
    fingerprint: str
    service: str  #: the URL's scheme, e.g. ``ntfy``
    events: Json = as_json()
    remind_after_seconds: int
    template: str = ""
    created_at: datetime
    created_by: str = ""
    last_at: datetime | None = None  #: when something was sent to it, or tried, last
    last_error: str = ""  #: empty: it went well


class OutboxRow(Row, table=True):
    """Something to tell to a channel or a forge: kept until it was told, or nobody can any more."""

    __tablename__: ClassVar[str] = "outbox"
    __table_args__: ClassVar[Any] = (
        Index(None, "settled_at", "not_before", "id"),
        Index(None, "project", "id"),
        Index(None, "address", "settled_at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    kind: str  #: ``notice`` or ``commit-status``
    address: str  #: to whom: a channel's name; for a commit status, ``project@commit``
    project: str
    deployment: int | None = None
    body: Json = as_json()
    created_at: datetime
    not_before: datetime
    attempts: int = 0
    owner: str = ""
    settled_at: datetime | None = None  #: told, or given up
    error: str = ""  #: of the last attempt; empty: it went well


class ToldRow(Row, table=True):
    """What a channel was told of one project, so that the same is not told again at once."""

    __tablename__: ClassVar[str] = "told"
    __table_args__: ClassVar[Any] = (Index(None, "project"), Index(None, "due_at"))

    channel: str = Field(primary_key=True)
    project: str = Field(primary_key=True)  #: empty: of what belongs to none, such as a host
    body: Json = as_json()
    in_trouble: bool  #: whether anything of it is
    due_at: datetime | None = None  #: when something is told by itself
