"""A process of a test's own: started in its own group, logged to a file, ended by its own id."""

import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.parts.prepared import Forked
from tests.parts.waiting import eventually


class Child:
    """A running program, ready when ``ready`` says so, and gone when the block ends.

    Raises:
        ChildFailed: on entering, when the program ends or stays silent before it is ready.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        prepared: str = "",
    ) -> None:
        """Keep what to run; ``env`` is added to the environment, ``user`` needs root.

        With ``prepared``, the module of its ``main``, it is forked where that is imported already.
        """
        self.argv = [str(part) for part in argv]
        self.log = log
        self._ready = ready
        self.env = {**os.environ, **(env or {})}
        self._user = user
        self.prepared = prepared
        self._process: subprocess.Popen[bytes] | Forked | None = None

    @property
    def pid(self) -> int:
        """The process id, also its process group's."""
        if self._process is None:
            raise ChildFailed(f"{self.argv[0]} is not running")
        return self._process.pid

    def __enter__(self) -> Self:
        if self.prepared:
            self._process = Forked(self.prepared, self.argv, env=self.env, log=self.log)
        else:
            self._process = self._spawned()
        try:
            eventually(self._ended_or_ready, within=20, what=f"{self.argv[0]} is ready")
        except AssertionError:
            self.end()
            raise ChildFailed(f"{self.argv[0]} was not ready:\n{self.output()[-2000:]}") from None
        if (status := self._process.poll()) is not None:
            raise ChildFailed(f"{self.argv[0]} ended with {status}:\n{self.output()[-2000:]}")
        return self

    def _spawned(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env,
                cwd=self.log.parent,
                start_new_session=True,
                user=self._user,
                group=self._user and _group_of(self._user),
                extra_groups=() if self._user else None,
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def output(self) -> str:
        """Return what it has written so far, both streams."""
        return self.log.read_text(errors="replace")

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and everything it started, e.g. SIGSTOP or SIGKILL."""
        os.killpg(self.pid, number)

    def end(self, *, within: float = 5.0, politely: signal.Signals = signal.SIGTERM) -> None:
        """End it, by force if it does not go by itself. Safe to repeat."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(politely)
            try:
                process.wait(within)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # Helpers that it left behind share its group.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def _ended_or_ready(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None or self._ready()


class ChildFailed(Exception):
    """A component did not start; the message holds the end of its log."""


def free_port() -> int:
    """Return a loopback TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts_connections(port: int) -> bool:
    """Tell whether something listens on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid
