"""Registries that are not asked about images for a while."""

from collections.abc import Sequence

from sqlalchemy import delete, select

from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.state import RegistryTrouble
from reconciler.store.codec import clean_text
from reconciler.store.family import Family
from reconciler.store.tables import REGISTRY_TROUBLE
from reconciler.store.upsert import upsert


class SqlRegistries(Family):
    """``RegistryStore``."""

    def put_registry_trouble(self, trouble: RegistryTrouble) -> None:
        """Record it; where the same goes on already, its ``since`` stays."""
        table = REGISTRY_TROUBLE
        key = {"host": trouble.host, "code": trouble.code, "username": clean_text(trouble.username)}
        same = [table.c[name] == value for name, value in key.items()]
        with self._database.writing() as connection:
            found = connection.execute(select(table).where(*same)).one_or_none()
            goes_on = found and (found.until is None or found.until >= trouble.since)
            since = found.since if found and goes_on else trouble.since
            values = {"message": clean_text(trouble.message), "since": since}
            upsert(connection, table, key, {**values, "until": trouble.until})

    def drop_registry_trouble(self, host: str, code: ReasonCode) -> None:
        """Note that it is over."""
        table = REGISTRY_TROUBLE
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.host == host, table.c.code == code))

    def list_registry_troubles(self) -> Sequence[RegistryTrouble]:
        """Return all that were recorded, by host."""
        table = REGISTRY_TROUBLE
        with self._database.reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.host, table.c.code)).all()
        return [
            RegistryTrouble(
                row.host, ReasonCode(row.code), row.message, row.since, row.until, row.username
            )
            for row in rows
        ]
