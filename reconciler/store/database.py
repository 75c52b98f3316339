"""Connections: how SQLite and PostgreSQL are opened, locked and asked, and how they fail.

SQLite: one connection writes (and checkpoints), others only read. ``synchronous=FULL`` because
what was acknowledged must outlive a power cut; ``BEGIN IMMEDIATE`` because a read that later wants
to write fails at once, whatever the busy timeout. A single writer also keeps clear of the WAL-reset
bug of SQLite before 3.51.3. Source: sqlite.org, ``wal.html``, ``pragma.html``, ``rescode.html``.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    create_engine,
    event,
    func,
    literal,
    make_url,
)
from sqlalchemy import exc as failures
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from reconciler.domain.errors import InvalidInput, StoreCorrupt, StoreError
from reconciler.ports import UNMETERED, Clock, Metering

#: How long anything waits for a lock or a connection before it gives up.
LONGEST_WAIT = timedelta(seconds=10)
_READERS = 8
_REPLICA_CONNECTIONS = 12

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    f"PRAGMA busy_timeout={LONGEST_WAIT // timedelta(milliseconds=1)}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA mmap_size=0",
    "PRAGMA journal_size_limit=67108864",
)
_SQLITE_READER_PRAGMAS = ("PRAGMA wal_autocheckpoint=0", "PRAGMA query_only=ON")

_POSTGRES_OPTIONS = (
    "-c timezone=UTC -c synchronous_commit=on -c lock_timeout=10s -c statement_timeout=30s "
    "-c idle_in_transaction_session_timeout=60s"
)


class Database:
    """Transactions on one database, for any thread. Every failure leaves as a ``StoreError``."""

    def __init__(self, writer: Engine, reader: Engine, clock: Clock) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self.metering: Metering = UNMETERED

    @property
    def is_sqlite(self) -> bool:
        """Whether it is the embedded one."""
        return self._writer.dialect.name == "sqlite"

    @property
    def path(self) -> Path | None:
        """The file of the embedded one."""
        return Path(self._writer.url.database or "") if self.is_sqlite else None

    def writing(self) -> AbstractContextManager[Connection]:
        """Open a transaction that may write; on SQLite it is alone from its first statement on."""
        return self._transaction(self._writer, "write")

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a transaction that only reads, from one snapshot on SQLite."""
        return self._transaction(self._reader, "read")

    @contextmanager
    def _transaction(self, engine: Engine, kind: str) -> Iterator[Connection]:
        began = time.perf_counter()
        try:
            with failures_as_store_errors(), engine.begin() as connection:
                yield connection
        except StoreError as error:
            self.metering.failed("store", error.code)
            raise
        finally:
            self.metering.stored(kind, time.perf_counter() - began)

    def now(self) -> datetime:
        """Return the instant, for records whose caller has none at hand."""
        return self._clock.now()

    def lease_end(self, lease: timedelta) -> ColumnElement[datetime]:
        """Return when a lease taken now is over, by the clock that leases go by."""
        if self.is_sqlite:
            return literal(self._clock.now() + lease)
        return func.clock_timestamp() + literal(lease)

    def lease_clock(self, now: datetime) -> ColumnElement[datetime]:
        """Return what leases are compared with: the database's clock where replicas share it."""
        return literal(now) if self.is_sqlite else func.clock_timestamp()

    def close(self) -> None:
        """Let go of every connection; the writer goes last, for the last one checkpoints."""
        self._reader.dispose()
        self._writer.dispose()


#: Before every instant that anyone means.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def parse_location(location: str | Path) -> URL:
    """Return a database URL; a plain path is an SQLite file.

    Raises:
        InvalidInput: another database than SQLite in a file or PostgreSQL.
    """
    text = str(location)
    if "://" not in text:
        return URL.create("sqlite", database=str(Path(text).absolute()))
    try:
        url = make_url(text)
    except failures.ArgumentError:
        raise InvalidInput("database", "…", "is not a path or a postgresql:// URL") from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database and url.database != ":memory:":
        return URL.create("sqlite", database=str(Path(url.database).absolute()))
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    raise InvalidInput("database", backend, "is neither a path nor a postgresql:// URL")


def connect(url: URL, clock: Clock) -> Database:
    """Return the database behind ``url``; nothing is opened before it is used."""
    if url.get_backend_name() == "sqlite":
        return Database(
            _sqlite_engine(url, readers=0), _sqlite_engine(url, readers=_READERS), clock
        )
    engine = create_engine(
        url,
        pool_size=_REPLICA_CONNECTIONS,
        max_overflow=0,
        pool_timeout=LONGEST_WAIT.total_seconds(),
        pool_pre_ping=True,
        connect_args={
            "options": _POSTGRES_OPTIONS,
            "connect_timeout": int(LONGEST_WAIT.total_seconds()),
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,  # or a silent partition holds a statement for 15 minutes
            "application_name": "reconciler",
        },
        hide_parameters=True,
    )
    return Database(engine, engine, clock)


def _sqlite_engine(url: URL, *, readers: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=readers or 1,
        max_overflow=0,
        pool_timeout=LONGEST_WAIT.total_seconds(),
        connect_args={"check_same_thread": False},
        hide_parameters=True,  # a failing statement must not print what it was to write
    )
    pragmas = _SQLITE_PRAGMAS + (_SQLITE_READER_PRAGMAS if readers else ())
    begin = "BEGIN" if readers else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        assert isinstance(connection, sqlite3.Connection)  # noqa: S101  for the type checker
        connection.isolation_level = None  # transactions begin where we say, below
        for pragma in pragmas:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


@contextmanager
def failures_as_store_errors() -> Iterator[None]:
    """Turn what a driver raises when the database can't do its part into ours, once.

    A statement that is wrong (a bug) or breaks a constraint stays what it is.
    """
    try:
        yield
    except (failures.OperationalError, failures.InterfaceError, failures.InternalError) as error:
        raise _store_error(str(error.orig)) from error
    except failures.TimeoutError as error:
        raise StoreError(
            f"no connection was free within {LONGEST_WAIT.total_seconds():.0f} s"
        ) from error
    except failures.DatabaseError as error:
        if isinstance(
            error, failures.IntegrityError | failures.ProgrammingError | failures.DataError
        ):
            raise
        raise _store_error(str(error.orig)) from error


_DAMAGED = ("malformed", "not a database", "unsupported file format")


def _store_error(problem: str) -> StoreError:
    first_line = problem.strip().partition("\n")[0]
    if any(sign in problem for sign in _DAMAGED):
        return StoreCorrupt(f"the database is damaged: {first_line}")
    return StoreError(f"the database did not answer: {first_line}")
