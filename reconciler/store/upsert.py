"""Insert, or change what is there: one statement that both databases know."""

from collections.abc import Mapping

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(
    connection: Connection, table: Table, key: Mapping[str, object], values: Mapping[str, object]
) -> None:
    """Make the row named by ``key`` hold ``values``. Atomic; safe to repeat."""
    statement = insert_of(connection, table).values({**key, **values})
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=dict(values)))


def insert_if_absent(
    connection: Connection, table: Table, key: Mapping[str, object], values: Mapping[str, object]
) -> bool:
    """Add a row unless ``key`` is taken; tell whether it was added. Atomic."""
    statement = insert_of(connection, table).values({**key, **values})
    unless_taken = statement.on_conflict_do_nothing(index_elements=list(key))
    # What comes back tells; the count of an insert means nothing to some drivers.
    return connection.execute(unless_taken.returning(*table.primary_key)).first() is not None


def insert_of(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that knows ON CONFLICT."""
    # Both spell it the same way, but SQLAlchemy has a class for each.
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)
