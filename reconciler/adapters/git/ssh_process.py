"""The system's ssh as dulwich's transport: bounded in time and bytes, ended as a whole group."""

import os
import select
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from dulwich.client import SSHVendor, SubprocessWrapper

from reconciler.adapters.deadline import Deadline
from reconciler.domain.errors import PreconditionFailed, SourceProtocolError, SourceUnreachable

_CHUNK_BYTES = 1 << 16
_TAIL_BYTES = 4096
_LEAVE_SECONDS = 1.0


class SshProcess:
    """One ssh that carries one conversation; looks to dulwich like a socket."""

    def __init__(
        self,
        argv: Sequence[str],
        environment: dict[str, str],
        stderr_path: Path,
        deadline: Deadline,
        limit_bytes: int,
    ) -> None:
        """Start it. What it says goes to a file: a kept connection would hold a pipe open."""
        self._deadline = deadline
        self._room = limit_bytes
        self._limit_bytes = limit_bytes
        self._stderr_path = stderr_path
        self._received = bytearray()
        try:
            with stderr_path.open("wb") as stderr:
                self._process = subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=environment,
                    bufsize=0,
                    start_new_session=True,
                )
        except OSError as error:
            raise PreconditionFailed(f"ssh can't be started: {error.strerror}") from error
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._stdout = cast("IO[bytes]", self._process.stdout)
        self._waiter = select.poll()
        self._waiter.register(self._stdout, select.POLLIN)

    @property
    def stderr(self) -> IO[bytes] | None:
        """None: what it says is read by `said`, once it has ended."""
        return None

    def read(self, size: int = -1) -> bytes:
        """Return ``size`` bytes, fewer only at the end.

        Raises:
            SourceUnreachable: they did not come in time.
            SourceProtocolError: the answer is over its limit.
        """
        while size < 0 or len(self._received) < size:
            if not (chunk := self._receive()):
                break
            self._received += chunk
        count = len(self._received) if size < 0 else size
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    def write(self, data: bytes) -> int:
        """Send ``data``; our requests are smaller than a pipe's buffer."""
        with suppress(BrokenPipeError):
            self._stdin.write(data)
        return len(data)

    def can_read(self) -> bool:
        """Tell whether something has come."""
        return bool(self._received or self._waiter.poll(0))

    def said(self) -> str:
        """Return the end of what it said on stderr, once it has ended or is made to."""
        self.close()
        return self._stderr_path.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip()

    def close(self) -> None:
        """End it: by itself in a moment, else by force. Safe to repeat."""
        with suppress(OSError):
            self._stdin.close()
        self._stdout.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_SECONDS)
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _receive(self) -> bytes:
        try:
            ready = self._waiter.poll(self._deadline.seconds_left() * 1000)
        except TimeoutError:
            ready = []
        if not ready:
            limit = self._deadline.limit.total_seconds()
            raise SourceUnreachable(f"the SSH server gave no whole answer within {limit:g} s")
        chunk = os.read(self._stdout.fileno(), _CHUNK_BYTES)
        self._room -= len(chunk)
        if self._room < 0:
            raise SourceProtocolError(f"the answer is over {self._limit_bytes} bytes")
        return chunk


class SshVendor(SSHVendor):
    """Starts ssh for dulwich with our own argument list. One conversation each."""

    def __init__(
        self, argv: Sequence[str], folder: Path, deadline: Deadline, limit_bytes: int
    ) -> None:
        """Keep what to start: ``argv`` ends before ``--``, host and command."""
        self._argv = tuple(argv)
        self._folder = folder
        self._deadline = deadline
        self._limit_bytes = limit_bytes
        self.process: SshProcess | None = None

    def run_command(  # noqa: PLR0913, PLR0917 - the base class's signature
        self,
        host: str,
        command: bytes,
        username: str | None = None,  # noqa: ARG002 - it stands in our own list
        port: int | None = None,  # noqa: ARG002
        password: str | None = None,  # noqa: ARG002
        key_filename: str | None = None,  # noqa: ARG002
        ssh_command: str | None = None,  # noqa: ARG002
        protocol_version: int | None = None,  # noqa: ARG002
    ) -> SubprocessWrapper:
        """Start the conversation."""
        self.end()
        path = os.environ.get("PATH", os.defpath)
        self.process = SshProcess(
            (*self._argv, "--", host, command.decode()),
            {"PATH": path, "LC_ALL": "C"},
            self._folder / "stderr",
            self._deadline,
            self._limit_bytes,
        )
        return self.process  # type: ignore[return-value]  # dulwich uses it as a socket

    def end(self) -> None:
        """End the conversation, if there was one."""
        if self.process:
            self.process.close()
