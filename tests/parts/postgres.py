"""A throw-away PostgreSQL cluster, run by an unprivileged user."""

import os
import pwd
import shutil
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import psycopg

from tests.parts.child import Child, free_port

USER = "tests"


class Postgres:
    """An empty cluster on a free port; every test makes its own database in it."""

    def __init__(self) -> None:
        """Take a free port; nothing starts before the block is entered."""
        self.port = free_port()
        self._databases = 0
        self._owner = _unprivileged_user()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.directory = Path(stack.enter_context(TemporaryDirectory(prefix="postgres-")))
            if self._owner:
                shutil.chown(self.directory, self._owner)
            self._make_cluster()
            self._child = stack.enter_context(self._server())
            stack.callback(self.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def child(self) -> Child:
        """The server process itself, e.g. to stop it with a signal."""
        return self._child

    def create_database(self) -> str:
        """Make an empty database; return its URL for SQLAlchemy with psycopg 3."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str) -> None:
        """Run one statement as the superuser, outside a transaction."""
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute(statement.encode())

    def disconnect_clients(self) -> None:
        """End every other connection, as a failover does."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )

    def stop(self) -> None:
        """Shut the server down at once, rolling back what is open. Safe to repeat."""
        self._child.end(politely=signal.SIGINT)

    def start(self) -> None:
        """Start it again, on the same port and with the same data."""
        self._child = self._server().__enter__()

    @property
    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user={USER} dbname=postgres connect_timeout=5"

    def _make_cluster(self) -> None:
        subprocess.run(
            [
                *(_program("initdb"), "--pgdata", self.directory / "data"),
                *("--username", USER, "--auth", "trust", "--encoding", "UTF8"),
                *("--locale", "C.UTF-8", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            timeout=120,
            cwd=self.directory,
            user=self._owner,
        )

    def _server(self) -> Child:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            # Nobody needs this data after a power cut.
            "fsync": "off",
            "max_connections": "100",
            "log_min_messages": "warning",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Child(
            [_program("postgres"), "-D", self.directory / "data", *options],
            log=self.directory / "postgres.log",
            ready=self._answers,
            user=self._owner,
        )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._conninfo).close()
        except psycopg.OperationalError:
            return False
        return True


def _unprivileged_user() -> str | None:
    """Return whom to become: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def find_program(name: str) -> Path | None:
    """Find one of PostgreSQL's programs; Debian keeps them off PATH, one folder a version."""
    installed = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(installed, key=lambda path: int(path.parts[-3]), default=None)
    found = newest or shutil.which(name)
    return Path(found) if found else None


def _program(name: str) -> Path:
    if found := find_program(name):
        return found
    raise FileNotFoundError(f"PostgreSQL's {name} is not installed")
