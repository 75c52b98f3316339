"""What every family of methods stands on."""

from typing import TYPE_CHECKING

from sqlalchemy import Column, ColumnElement, Connection, Row, select, true

from reconciler.domain.errors import ChangedMeanwhile, NotFound
from reconciler.domain.references import ProjectName
from reconciler.ports import Sealer
from reconciler.store.audit import Ledger
from reconciler.store.database import Database
from reconciler.store.tables import PROJECT

if TYPE_CHECKING:  # what follows from a deployment's way is made of families
    from reconciler.store.aftermath import Aftermath


class Family:
    """Some of the store's methods; each method is one transaction."""

    def __init__(self, database: Database, ledger: Ledger, aftermath: "Aftermath") -> None:
        self._database = database
        self._ledger = ledger
        self._aftermath = aftermath


class SealedFamily(Family):
    """Some of them that keep secrets."""

    def __init__(
        self, database: Database, ledger: Ledger, aftermath: "Aftermath", sealer: Sealer
    ) -> None:
        super().__init__(database, ledger, aftermath)
        self._sealer = sealer


def lock_project(connection: Connection, name: ProjectName) -> Row[tuple[object, ...]]:
    """Return the project's row, locked: whoever changes anything of the project comes this way.

    On SQLite the transaction itself is the lock. On PostgreSQL the lock lets foreign keys through,
    so that output can be kept while a stage is recorded.

    Raises:
        NotFound: no such project.
    """
    statement = select(PROJECT).where(PROJECT.c.name == name).with_for_update(key_share=True)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise no_such_project(name)
    return row


def require_same(found: object, seen: object | None) -> None:
    """Compare what is there, its row locked, with what the caller has seen, if anything.

    Raises:
        ChangedMeanwhile: that is another declaration.
    """
    if seen is not None and found != seen:
        raise ChangedMeanwhile


def below(number: Column[int], limit: int | None) -> ColumnElement[bool]:
    """Return what is so of the rows of a further page of the newest; of all, without a limit."""
    return true() if limit is None else number < limit


def no_such_project(name: ProjectName) -> NotFound:
    """Return the error that says so."""
    return NotFound(f"there is no project {name!r}; `reconciler project list` shows all")
