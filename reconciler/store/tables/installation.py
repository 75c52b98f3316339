"""What belongs to the whole daemon: settings, hosts, webhooks."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index
from sqlmodel import Field

from reconciler.store.tables.base import Json, Row, as_json


class SettingRow(Row, table=True):
    """A live setting that somebody changed."""

    __tablename__: ClassVar[str] = "setting"

    key: str = Field(primary_key=True)
    value: Json = as_json()
    changed_by: str
    changed_at: datetime | None = None
    reason: str


class HostRow(Row, table=True):
    """A machine that deployments run on."""

    __tablename__: ClassVar[str] = "host"

    name: str = Field(primary_key=True)
    created_at: datetime
    alias: str = ""
    address: str = ""
    user: str = ""
    port: int
    host_keys: Json = as_json()  #: pinned by a person
    sealed_key: str = ""  #: our private key for it; empty: the alias says which
    key_fingerprint: str = ""
    key_stored_at: datetime | None = None


class HostKeyRow(Row, table=True):
    """The key that an SSH server showed at first contact."""

    __tablename__: ClassVar[str] = "host_key"

    origin: str = Field(primary_key=True)
    key: str
    pinned_at: datetime


class WebhookRow(Row, table=True):
    """A way in for a forge, with its sealed secrets and what has been counted."""

    __tablename__: ClassVar[str] = "webhook"

    name: str = Field(primary_key=True)
    provider: str
    created_at: datetime
    project: str | None = None  #: by name alone: without it, the webhook must not wake others
    registry_host: str | None = None  #: whose images it speaks of
    matching: str = "repository"  #: how a push names its projects
    registration: Json = as_json(nullable=True)  #: where it was registered at the forge
    sealed_secret: str
    fingerprint: str
    sealed_previous: str = ""  #: empty: the present secret alone is taken
    previous_fingerprint: str = ""
    rotated_at: datetime | None = None
    verified: int = 0
    refused: int = 0
    last_at: datetime | None = None
    last_verdict: str | None = None


class DeliveryRow(Row, table=True):
    """One request to a webhook's address."""

    __tablename__: ClassVar[str] = "delivery"
    __table_args__: ClassVar[Any] = (
        Index(None, "webhook", "was_verified", "id"),
        Index(None, "delivery"),
        # Numbers grow for ever: what a later look records never meets another delivery.
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    webhook: str = Field(foreign_key="webhook.name", ondelete="CASCADE")
    at: datetime
    remote: str
    verdict: str
    was_verified: bool
    event: str
    delivery: str
    note: str
    led_to: Json = as_json()
    duplicate: bool
    hint: Json = as_json(nullable=True)  #: where it points, to look there again
    repeats: int | None = None  #: number of the one that a person had looked into again


class AnswerRow(Row, table=True):
    """What a request was answered, for when it comes again under the same key."""

    __tablename__: ClassVar[str] = "answer"

    principal: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request: str  #: hash of method, path and body
    at: datetime = Field(index=True)
    status: int | None = None  #: NULL: it is being worked on
    headers: Json = as_json()
    sealed_body: str = ""  #: an answer may hold a secret that is shown once


class RegistryTroubleRow(Row, table=True):
    """Why a registry is not asked about images for a while."""

    __tablename__: ClassVar[str] = "registry_trouble"

    host: str = Field(primary_key=True)
    code: str = Field(primary_key=True)
    username: str = Field(primary_key=True)  #: whom it asked to wait; empty: nobody in particular
    message: str
    since: datetime
    until: datetime | None = None


class FactRow(Row, table=True):
    """A fact about the database itself."""

    __tablename__: ClassVar[str] = "fact"

    key: str = Field(primary_key=True)
    value: str
