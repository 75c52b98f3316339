"""Channels, their sealed addresses, and how sending to each went."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from reconciler.domain.channel import Address, Channel, ChannelName
from reconciler.domain.errors import AlreadyExists, NotFound
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.ports import ChannelRecord, OutboxKind
from reconciler.store.codec import clean_text
from reconciler.store.family import SealedFamily, lock_project
from reconciler.store.tables import CHANNEL, OUTBOX
from reconciler.store.told import forget_told, wants_of
from reconciler.store.upsert import insert_if_absent


class SqlChannels(SealedFamily):
    """The part of ``ChannelStore`` that people change."""

    def create_channel(self, channel: Channel, address: Address) -> ChannelRecord:
        """Add it. Raises ``AlreadyExists``, or ``NotFound`` for its project."""
        values = {
            "project": channel.project,
            "created_at": channel.created_at,
            "created_by": channel.created_by,
            "last_error": "",
            **_chosen(channel),
            **self._sealed_columns(channel.name, address),
        }
        with self._database.writing() as connection:
            if channel.project is not None:
                lock_project(connection, channel.project)
            if not insert_if_absent(connection, CHANNEL, {"name": channel.name}, values):
                remedy = f"`reconciler channel set {channel.name}` changes it"
                raise AlreadyExists(f"there is a channel {channel.name!r} already", remedy)
            forget_told(connection, channel=channel.name)  # of an earlier one, of a removed project
            made = _get(connection, channel.name)
            self._tell(connection, "channel.create", None, made)
        return _record(made)

    def update_channel(self, channel: Channel, address: Address | None = None) -> ChannelRecord:
        """Replace what was chosen, and its address where one is given. Raises ``NotFound``."""
        values = _chosen(channel)
        if address is not None:
            values |= self._sealed_columns(channel.name, address)
        with self._database.writing() as connection:
            before = _get(connection, channel.name, locked=True)
            connection.execute(update(CHANNEL).where(CHANNEL.c.name == channel.name).values(values))
            after = _get(connection, channel.name)
            self._tell(connection, "channel.change", before, after)
        return _record(after)

    def remove_channel(self, name: ChannelName) -> None:
        """Delete it with what waits to be sent to it. Raises ``NotFound``."""
        with self._database.writing() as connection:
            before = _get(connection, name, locked=True)
            forget_told(connection, channel=name)
            connection.execute(delete(CHANNEL).where(CHANNEL.c.name == name))
            mine = (OUTBOX.c.kind == OutboxKind.NOTICE) & (OUTBOX.c.address == name)
            connection.execute(delete(OUTBOX).where(mine))
            self._tell(connection, "channel.remove", before, None)

    def get_channel(self, name: ChannelName) -> ChannelRecord:
        """Return it. Raises ``NotFound``."""
        with self._database.reading() as connection:
            return _record(_get(connection, name))

    def list_channels(self, projects: Collection[str] | None = None) -> Sequence[ChannelRecord]:
        """Return all, by name; or those of ``projects`` alone."""
        among = [] if projects is None else [CHANNEL.c.project.in_(projects)]
        with self._database.reading() as connection:
            rows = connection.execute(select(CHANNEL).where(*among)).all()
        return sorted(map(_record, rows), key=lambda record: record.channel.name)

    def get_channel_address(self, name: ChannelName) -> Address:
        """Return where its messages go. Raises ``NotFound``."""
        with self._database.reading() as connection:
            row = _get(connection, name)
        url, _, key = self._sealer.unseal(row.sealed_url, _context(name)).reveal().partition("\n")
        return Address(Secret.of(url), Secret.of(key) if key else None)

    def record_sending(self, name: ChannelName, at: datetime, error: str) -> None:
        """Record how the newest sending to it went; empty: well."""
        values = {"last_at": at, "last_error": clean_text(error)}
        with self._database.writing() as connection:
            connection.execute(update(CHANNEL).where(CHANNEL.c.name == name).values(values))

    def _sealed_columns(self, name: ChannelName, address: Address) -> dict[str, Any]:
        # One value, so that nobody can put one channel's key to another's address.
        key = f"\n{address.key.reveal()}" if address.key else ""
        whole = Secret.of(f"{address.url.reveal()}{key}")
        return {
            "sealed_url": self._sealer.seal(whole, _context(name)),
            "fingerprint": self._sealer.fingerprint(whole),
            "service": address.service,
        }

    def _tell(
        self,
        connection: Connection,
        action: str,
        before: Row[Any] | None,
        after: Row[Any] | None,
    ) -> None:
        row = after if after is not None else before
        assert row is not None  # noqa: S101  one of both is there
        subject = f"channel {row.name}"
        self._ledger.append(connection, action, subject, _shown(before), _shown(after))


def _context(name: ChannelName) -> str:
    """Return the place that a ciphertext belongs to."""
    return f"channel|{name}|url"


def _chosen(channel: Channel) -> dict[str, Any]:
    return {
        "events": sorted(channel.wants.events),
        "remind_after_seconds": int(channel.wants.remind_after.total_seconds()),
        "template": clean_text(channel.template),
    }


def _shown(row: Row[Any] | None) -> dict[str, Any] | None:
    kept = ("project", "service", "fingerprint", "events", "remind_after_seconds", "template")
    return None if row is None else {name: getattr(row, name) for name in kept}


def _get(connection: Connection, name: ChannelName, *, locked: bool = False) -> Row[Any]:
    statement = select(CHANNEL).where(CHANNEL.c.name == name)
    row = connection.execute(statement.with_for_update() if locked else statement).one_or_none()
    if row is None:
        raise NotFound(f"there is no channel {name!r}; `reconciler channel list` shows all")
    return row


def _record(row: Row[Any]) -> ChannelRecord:
    channel = Channel(
        ChannelName(row.name),
        row.created_at,
        ProjectName(row.project) if row.project is not None else None,
        wants_of(row),
        row.template,
        row.created_by,
    )
    return ChannelRecord(channel, row.service, row.fingerprint, row.last_at, row.last_error)
