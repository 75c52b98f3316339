"""A machine that is reached over SSH."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shlex import quote

from reconciler.adapters.hosts.access import Access
from reconciler.adapters.hosts.command_line import check_started, remote_line
from reconciler.adapters.hosts.connection import ConnectionId, SharedConnection
from reconciler.adapters.hosts.engine import ForwardedEngine
from reconciler.adapters.hosts.facts import ASK_FACTS, parse_facts
from reconciler.adapters.hosts.failures import lost
from reconciler.adapters.hosts.health import HealthRecord
from reconciler.adapters.hosts.transfer import (
    check_pushed,
    check_sent,
    check_written,
    push,
    rsync,
    write_command,
)
from reconciler.adapters.openssh import find_trouble
from reconciler.domain.errors import CommandFailed, Interrupted
from reconciler.domain.host import HostHealth, HostName, HostPath
from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.ports import Clock, Command, CommandResult, Engine, HostFacts, LineSink

#: ssh's own failures; a command may end so as well.
_SSH_FAILED = 255
#: What ssh says when sshd takes no more sessions, before it opens a connection for this one.
_NO_PLACE = "mux_client_request_session"


class RemoteMachine:
    """``Machine`` over one shared SSH connection."""

    def __init__(self, access: Access, clock: Clock) -> None:
        """Open nothing yet."""
        self._access = access
        self._health = HealthRecord(clock)
        self._connection = SharedConnection(access, self._health)
        self._engine = ForwardedEngine(self._connection, self.run)

    @property
    def name(self) -> HostName:
        """Its name here."""
        return self._access.host.name

    @property
    def access(self) -> Access:
        """How it is reached."""
        return self._access

    @property
    def health(self) -> HostHealth:
        """How reaching it went last; see ``Machine``."""
        return self._health.last

    def check(self) -> HostFacts:
        """Ask what it is; see ``Machine``."""
        with self._health.recorded():
            return parse_facts(self.name, self.run(ASK_FACTS))

    def run(
        self,
        command: Command,
        *,
        on_line: LineSink | None = None,
        cancel: threading.Event | None = None,
        fresh: bool = False,
    ) -> CommandResult:
        """Run ``command`` there; see ``Machine``. A signal's number is added to 128."""
        there = Command(
            argv=self._argv(command, fresh=fresh),
            env=self._access.environment,
            stdin=command.stdin,
            timeout=command.timeout,
            output_limit_bytes=command.output_limit_bytes,
        )
        program = command.argv[0]
        with self._connection.session(cancel) as connection, self._named("ssh", program):
            result = self._access.runner.run(there, on_line=on_line, cancel=cancel)
            if result.exit_status == _SSH_FAILED:
                self._check_connection(connection, result, f"`{program}` ran")
        return check_started(self.name, replace(result, argv=command.argv))

    def send(
        self,
        source: Path,
        into: HostPath,
        *,
        log: LineSink | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        """Make a folder there hold what one here does; see ``Machine``."""
        # rsync splits this at spaces: from its own folder the file has a name without any.
        shell = f"--rsh=ssh -F {self._access.files.config.name}"
        destination = f"{self._access.destination}:{into}"
        with self._connection.session(cancel) as connection:
            command = rsync(source, destination, shell, cwd=self._access.files.folder)
            command = replace(command, env=self._access.environment)
            result = self._access.runner.run(command, on_line=log, cancel=cancel)
            self._check_connection(connection, result, f"files were sent to {into}")
        check_sent(self.name, into, result)

    def write(self, path: HostPath, content: Secret, *, mode: int = 0o600) -> None:
        """Write one file whole, or not at all; see ``Machine``."""
        check_written(self.name, path, self.run(write_command(path, content, mode)))

    def push(self, repository: Path, commit: CommitSha, into: HostPath) -> None:
        """Bring a commit into a repository there; see ``Machine``."""
        env = {
            **self._access.environment,
            # git gives it to a shell.
            "GIT_SSH_COMMAND": f"ssh -F {quote(str(self._access.files.config))}",
            "GIT_SSH_VARIANT": "ssh",
        }
        destination = f"{self._access.destination}:{into}"
        with self._connection.session() as connection:
            result = push(self._access.runner, repository, commit, destination, env)
            self._check_connection(connection, result, f"a commit was pushed to {into}")
        check_pushed(self.name, into, result)

    def engine(self) -> Engine:
        """Return the Docker engine of the host; see ``Machine``."""
        return self._engine

    def close(self) -> None:
        """End the connection, and remove what it was opened with. Safe to repeat."""
        self._engine.close()
        self._connection.close()

    def _argv(self, command: Command, *, fresh: bool) -> tuple[str, ...]:
        line = remote_line(command)
        if fresh:
            return self._access.opening_argv(line, ControlPath="none")
        return self._access.argv(line)

    def _check_connection(self, connection: ConnectionId, result: CommandResult, what: str) -> None:
        """Do nothing if what went wrong did not go wrong because the connection was lost.

        ssh does not say so: it ends with 255, as the command itself may have done.

        Raises:
            TargetUnreachable: it was lost.
        """
        if result.ok or result.timed_out:
            return
        said = result.stderr_tail
        # Of a connection of its own ssh does say what became of it.
        own_lost = _NO_PLACE in said and find_trouble(said) is not None
        if self._connection.is_lost(connection) or own_lost:
            error = lost(self.name, what, said)
            self._connection.record_lost(error)
            raise error

    @contextmanager
    def _named(self, local: str, program: str) -> Iterator[None]:
        """Speak of the program that runs there, not of the one here that speaks with it."""
        try:
            yield
        except (CommandFailed, Interrupted) as error:
            message = error.message.replace(f"`{local}`", f"`{program}`")
            raise type(error)(f"host {self.name}: {message}", **error.evidence) from error
