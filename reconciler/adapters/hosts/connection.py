"""One SSH connection to a host, opened when it is needed and shared by all that goes there."""

import copy
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import join
from typing import NewType, Protocol

from reconciler.adapters.hosts.access import OPENING_TIMEOUT, Access, Way
from reconciler.adapters.hosts.failures import CUT_OFF, connection_failure, key_mismatch
from reconciler.adapters.hosts.health import HealthRecord
from reconciler.adapters.hosts.offered import offered_keys
from reconciler.adapters.openssh import Trouble, end_kept_connection, find_trouble
from reconciler.domain.errors import (
    HostKeyMismatch,
    HostKeyUnconfirmed,
    HostRefused,
    Interrupted,
    PreconditionFailed,
    ReconcilerError,
    TargetUnreachable,
)
from reconciler.domain.failure import Failure
from reconciler.ports import Command, CommandResult

#: Identifies an open connection; another number is another connection.
ConnectionId = NewType("ConnectionId", int)

#: Below sshd's MaxSessions, 10 unless configured otherwise; what was cancelled still counts there
#: until it has ended. A session over the limit would be refused and get a connection of its own.
_SESSIONS = 8
_KEPT_SECONDS = 600
_LOOK_SECONDS = 0.25
#: Comes back unchanged from a POSIX shell that prints nothing of its own.
_GREETING = r"""it's "quoted" $HOME `\\` !"""
_GREET = join(["exec", "sh", "-c", 'printf %s "$1"', "sh", _GREETING])


class SharedConnection:
    """The way to one host. Threads may share it."""

    def __init__(self, access: Access, health: HealthRecord) -> None:
        self.access = access
        self._health = health
        self._sessions = threading.BoundedSemaphore(_SESSIONS)
        self._opening = threading.Lock()
        self._failures = 0
        self._error: ReconcilerError | None = None
        self._closed = False

    @property
    def current(self) -> ConnectionId | None:
        """The connection that is open now, if any."""
        return listener(self.access.files.control)

    @contextmanager
    def session(self, cancel: threading.Event | None = None) -> Iterator[ConnectionId]:
        """Lend a place on the open connection, as many as sshd allows; others wait for one.

        Raises:
            TargetUnreachable: there is no way to it now.
            HostKeyMismatch: it shows another key than the pinned ones.
            HostKeyUnconfirmed: no key of it was ever pinned.
            HostRefused: it does not let us in.
            Interrupted: ``cancel`` was set.
        """
        with _taken(self._sessions, cancel):
            yield self.open(cancel)

    def open(self, cancel: threading.Event | None = None) -> ConnectionId:
        """Return the open connection, opened if need be; see ``session``."""
        if self._closed:
            # Another may be open by now, to what is declared since.
            raise self._changed()
        if (current := self.current) is not None:
            return current
        failures = self._failures
        with _taken(self._opening, cancel):
            if (current := self.current) is not None:
                return current
            if self._error is not None and self._failures != failures:
                # It failed while we waited: nobody has to wait for the same again.
                raise copy.copy(self._error)
            return self._open(cancel)

    def is_lost(self, connection: ConnectionId) -> bool:
        """Tell whether a connection that was lent has ended; the next session opens another."""
        if self.current == connection:
            return False
        self.access.files.engine.unlink(missing_ok=True)
        return True

    def record_lost(self, error: ReconcilerError) -> None:
        """Note that the host went away in the middle of something."""
        self._health.record(Failure.of(error))

    def close(self) -> None:
        """End it for good, and remove what it was opened with. Safe to repeat."""
        self._closed = True
        self.access.files.remove()

    def _changed(self) -> TargetUnreachable:
        name = self.access.host.name
        return TargetUnreachable(f"host {name}: what is declared of it has changed", host=name)

    def _open(self, cancel: threading.Event | None) -> ConnectionId:
        try:
            with self._health.recorded():
                connection = self._connect(cancel)
        except Interrupted:
            raise
        except ReconcilerError as error:
            self._error = error
            self._failures += 1
            self._let_go()
            raise
        if self._closed:  # while it was opened
            self.close()
            raise self._changed()
        return connection

    def _connect(self, cancel: threading.Event | None) -> ConnectionId:
        host = self.access.host
        if not host.host_keys:
            raise HostKeyUnconfirmed(host.name, "confirm its key first")
        way = self.access.write()
        if not host.alias and not self.access.files.key.exists():
            problem = "there is no private key stored for it"
            refused = HostRefused(f"host {host.name}: {problem}", host=host.name)
            refused.remedy = f"`reconciler host key {host.name} --file KEY` stores one"
            raise refused
        result = self._greet(cancel)
        if not result.ok:
            raise self._failure(way, result)
        if result.stdout != _GREETING:
            raise PreconditionFailed(
                f"host {host.name}: the login shell there changes what it is given, or prints "
                "something of its own: give the user sh or bash, and let its startup files be "
                "silent where there is no terminal",
                host=host.name,
                stdout=result.stdout[:200],
            )
        if (current := self.current) is None:
            raise TargetUnreachable(f"host {host.name} closed the connection", host=host.name)
        return current

    def _greet(self, cancel: threading.Event | None) -> CommandResult:
        """Open the connection with a first session, which ends when it stands.

        The ssh that keeps it open has left our process group by then. It ends when nobody used it
        for a while, also if we are no more.
        """
        argv = self.access.opening_argv(
            _GREET, ControlMaster="auto", ControlPersist=str(_KEPT_SECONDS)
        )
        command = Command(argv, env=self.access.environment, timeout=OPENING_TIMEOUT)
        return self.access.runner.run(command, cancel=cancel)

    def _failure(self, way: Way, result: CommandResult) -> ReconcilerError:
        if not way.is_direct and find_trouble(result.stderr_tail) is Trouble.UNREACHABLE:
            # The ssh of a connection that will be kept silences the command that leads to it.
            again = self.access.knock()
            result = again if CUT_OFF in again.stderr_tail else result
        error = connection_failure(self.access, way, result)
        if not isinstance(error, HostKeyMismatch) or "no matching host key" not in (
            result.stderr_tail
        ):
            return error
        # It has no key of the pinned kinds at all, and ssh does not say which it has.
        observed: list[str] = []
        with suppress(ReconcilerError):
            observed = [key.fingerprint for key in offered_keys(self.access)]
        return key_mismatch(self.access, observed)

    def _let_go(self) -> None:
        """Leave nothing behind that the next attempt would take for a connection."""
        if self.access.files.control.exists():
            end_kept_connection(self.access.files.control, at_once=True)


class _Acquirable(Protocol):
    def acquire(self, *, timeout: float) -> bool: ...

    def release(self) -> None: ...


@contextmanager
def _taken(lock: _Acquirable, cancel: threading.Event | None) -> Iterator[None]:
    """Hold ``lock``, waiting for it until ``cancel`` is set."""
    while not lock.acquire(timeout=_LOOK_SECONDS):
        if cancel is not None and cancel.is_set():
            raise Interrupted("stopped while it waited for a connection")
    try:
        yield
    finally:
        lock.release()


def listener(path: Path) -> ConnectionId | None:
    """Return the id of the process that began to listen on a unix socket; None: nobody does.

    Source: ``unix(7)``, ``SO_PEERCRED``: of the time of ``listen``, so it is not the id of the ssh
    that runs now, which was forked later; but no two connections share it.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_LOOK_SECONDS)
        try:
            probe.connect(str(path))
        except OSError:
            return None
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return ConnectionId(struct.unpack("3i", credentials)[0])
