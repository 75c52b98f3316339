"""People, their sessions, tokens, and what was tried with a password."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from reconciler.store.tables.base import Json, Row, as_json


class TokenRow(Row, table=True):
    """An access token, as its SHA-256."""

    __tablename__: ClassVar[str] = "token"
    __table_args__: ClassVar[Any] = (UniqueConstraint("digest"),)

    name: str = Field(primary_key=True)
    scopes: Json = as_json()
    projects: Json = as_json(nullable=True)  #: NULL: bound to none, it holds on all
    digest: str
    created_at: datetime
    created_by: str = ""
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    last_used_from: str = ""


class PersonRow(Row, table=True):
    """Somebody who signs in."""

    __tablename__: ClassVar[str] = "person"

    name: str = Field(primary_key=True)
    role: str | None = None  #: NULL: only what ``roles`` says
    roles: Json = as_json()  #: project → role
    password_hash: str = ""  #: argon2id, in its own text form; empty: signs in elsewhere
    blocked: bool = False
    created_at: datetime
    last_seen_at: datetime | None = None


class SessionRow(Row, table=True):
    """A browser that a person signed in with; its cookie as its SHA-256."""

    __tablename__: ClassVar[str] = "session"
    __table_args__: ClassVar[Any] = (UniqueConstraint("digest"),)

    id: str = Field(primary_key=True)
    digest: str
    person: str = Field(foreign_key="person.name", ondelete="CASCADE", index=True)
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    remote: str
    agent: str
    way: str


class SignInAttemptRow(Row, table=True):
    """How often signing in failed, for one person from one place."""

    __tablename__: ClassVar[str] = "sign_in_attempt"

    subject: str = Field(primary_key=True)
    failures: int
    last_at: datetime = Field(index=True)
    not_before: datetime | None = None  #: no further try is looked at before
