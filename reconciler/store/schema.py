"""Which version the tables are of, and bringing them up to ours."""

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from reconciler.domain.errors import StoreCorrupt

#: Every version there has been, oldest first; the last is what this program needs.
VERSIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
CURRENT = VERSIONS[-1]

_MIGRATIONS = Path(__file__).parent / "migrations"
#: Replicas that start together migrate one after another. The number is ours alone.
_MIGRATION_LOCK = 0x7265636F6E63696C


def find_version(connection: Connection) -> str | None:
    """Return the version of the tables; None where there are none.

    Raises:
        StoreCorrupt: there are tables, but none of ours, or of no version.
    """
    names = set(inspect(connection).get_table_names())
    if not names:
        return None
    if "alembic_version" not in names:
        raise StoreCorrupt("the database holds tables that are not ours")
    return _one(connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all())


def read_version(connection: sqlite3.Connection) -> str:
    """Return the version of a copy of the embedded database. Raises ``StoreCorrupt``."""
    try:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.DatabaseError as error:
        raise StoreCorrupt(f"it is no database of ours: {error}") from error
    return _one([row[0] for row in rows])


def check_version(version: str) -> None:
    """Raise ``StoreCorrupt`` for a version that only a newer program knows."""
    if version not in VERSIONS:
        raise StoreCorrupt(
            f"the database is of version {version}, which is newer than this program ({CURRENT}); "
            "install the newer program, or restore a backup made before it"
        )


def migrate(connection: Connection, to: str = CURRENT) -> None:
    """Bring the tables to a version, inside the caller's transaction. Safe to repeat."""
    # Slow to import, and needed on the first start after an installation only.
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _one(versions: "list[str] | object") -> str:
    found = list(versions) if isinstance(versions, list | tuple) else []
    if len(found) != 1:
        raise StoreCorrupt(f"the database says {len(found)} versions of itself")
    return str(found[0])
