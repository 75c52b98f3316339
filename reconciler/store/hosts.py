"""Machines that deployments run on, and our keys to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from reconciler.domain.errors import Conflict, NotFound
from reconciler.domain.host import LOCAL, Host, HostName
from reconciler.domain.secret import Secret
from reconciler.store.audit import Ledger
from reconciler.store.family import SealedFamily, require_same
from reconciler.store.host_names import projects_on, take_host_name
from reconciler.store.sealed import HOST_PRIVATE_KEY
from reconciler.store.tables import HOST
from reconciler.store.told import forget_subject


class SqlHosts(SealedFamily):
    """``HostStore``."""

    def create_host(self, host: Host) -> None:
        """Add it. Raises ``AlreadyExists``, also where a cluster has that name."""
        with self._database.writing() as connection:
            take_host_name(connection, host.name)
            connection.execute(insert(HOST).values(name=host.name, **_columns(host)))
            _tell(self._ledger, connection, "host.create", None, host)

    def update_host(self, host: Host, seen: Host | None = None) -> None:
        """Replace the declaration that was ``seen``; our key for it stays."""
        with self._database.writing() as connection:
            before = _lock(connection, host.name, seen)
            connection.execute(update(HOST).where(HOST.c.name == host.name).values(_columns(host)))
            _tell(self._ledger, connection, "host.change", before, host)

    def remove_host(self, name: HostName, seen: Host | None = None) -> None:
        """Delete it with our key.

        Raises:
            NotFound: no such host.
            Conflict: a project has a target on it.
        """
        with self._database.writing() as connection:
            before = _lock(connection, name, seen)
            if users := projects_on(connection, name):
                named = ", ".join(users)
                raise Conflict(f"{name} is a target of {named}; remove those targets first")
            connection.execute(delete(HOST).where(HOST.c.name == name))
            forget_subject(connection, "", f"host {name}", self._database.now())
            _tell(self._ledger, connection, "host.remove", before, None)

    def get_host(self, name: HostName) -> Host:
        """Return it. Raises ``NotFound``."""
        with self._database.reading() as connection:
            return _host(_get(connection, name))

    def list_hosts(self) -> Sequence[Host]:
        """Return all, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(HOST)).all()
        return sorted((_host(row) for row in rows), key=lambda host: host.name)

    def put_host_secret(
        self, name: HostName, key: Secret, now: datetime, seen: Host | None = None
    ) -> str:
        """Store our private key for it; return its fingerprint. Raises ``NotFound``."""
        fingerprint = self._sealer.fingerprint(key)
        sealed = self._sealer.seal(key, HOST_PRIVATE_KEY.context(name))
        with self._database.writing() as connection:
            before = _lock(connection, name, seen)
            connection.execute(
                update(HOST)
                .where(HOST.c.name == name)
                .values(sealed_key=sealed, key_fingerprint=fingerprint, key_stored_at=now)
            )
            self._ledger.append(
                connection,
                "host.key",
                f"host {name}",
                {"key": before.key_fingerprint},
                {"key": fingerprint, "stored_at": now.isoformat()},
            )
        return fingerprint

    def find_host_secret(self, name: HostName) -> Secret | None:
        """Return our private key for it; None where there is none. Raises ``NotFound``."""
        with self._database.reading() as connection:
            row = _get(connection, name)
        return (
            self._sealer.unseal(row.sealed_key, HOST_PRIVATE_KEY.context(name))
            if row.sealed_key
            else None
        )


def _columns(host: Host) -> dict[str, Any]:
    return {
        "created_at": host.created_at,
        "alias": host.alias,
        "address": host.address,
        "user": host.user,
        "port": host.port,
        "host_keys": list(host.host_keys),
    }


def _declared(host: Host) -> dict[str, Any]:
    return {name: value for name, value in _columns(host).items() if name != "created_at"}


def _host(row: Row[Any]) -> Host:
    return Host(
        name=HostName(row.name),
        created_at=row.created_at,
        alias=row.alias,
        address=row.address,
        user=row.user,
        port=row.port,
        host_keys=tuple(row.host_keys),
        key_fingerprint=row.key_fingerprint,
        key_stored_at=row.key_stored_at,
    )


def _get(connection: Connection, name: HostName) -> Row[Any]:
    row = connection.execute(select(HOST).where(HOST.c.name == name)).one_or_none()
    if row is None:
        raise _no_such_host(name)
    return row


def _lock(connection: Connection, name: HostName, seen: Host | None) -> Host:
    """Lock the host's row, and return it where it is what the caller has seen."""
    row = connection.execute(
        select(HOST).where(HOST.c.name == name).with_for_update()
    ).one_or_none()
    if row is None:
        raise _no_such_host(name)
    host = _host(row)
    require_same(host, seen)
    return host


def _no_such_host(name: HostName) -> NotFound:
    if name == LOCAL:
        return NotFound(f"{LOCAL} is the daemon's own machine: it is always there, as it is")
    return NotFound(f"there is no host {name!r}; `reconciler host list` shows all")


def _tell(
    ledger: Ledger,
    connection: Connection,
    action: str,
    before: Host | None,
    after: Host | None,
) -> None:
    """Have the audit log tell what was declared otherwise."""
    (name,) = {one.name for one in (before, after) if one}
    ledger.append(
        connection,
        action,
        f"host {name}",
        _declared(before) if before else None,
        _declared(after) if after else None,
    )
