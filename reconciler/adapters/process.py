"""Processes on this machine: an argument list, a group of its own, a deadline, bounded output."""

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from reconciler.adapters.confine import REFUSED, REFUSED_STATUS
from reconciler.domain.errors import CommandFailed, Interrupted, PreconditionFailed
from reconciler.ports import Command, CommandResult, LineSink

#: A mark in the environment of every child, by which a later life of the daemon finds them.
LIFE_VARIABLE = "RECONCILER_LIFE"

_TERM_GRACE_SECONDS = 10.0
_TAIL_BYTES = 4096
_LONGEST_LINE_BYTES = 8192
#: Reads nothing of ours, neither the environment's settings nor our packages.
_CONFINE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("confine.py")))
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LocalRunner:
    """``CommandRunner`` on this machine.

    A child sees only the environment that its command names, plus ``PATH``, ``LC_ALL`` and the
    mark of this runner's ``life``, which names the installation, not the process: `end_orphans`
    of a later start finds what an earlier one left at work.
    """

    def __init__(
        self, life: str, hidden: Sequence[Path] = (), *, allow_unconfined: bool = False
    ) -> None:
        """Hide ``hidden``, files and folders, from commands that are confined.

        Where the system can't hide them such a command is refused, or run all the same if the
        operator said so.
        """
        self._life = life
        self._where_not = "allow" if allow_unconfined else "refuse"
        self._hidden = tuple(map(str, hidden))

    def run(
        self,
        command: Command,
        *,
        on_line: LineSink | None = None,
        cancel: threading.Event | None = None,
    ) -> CommandResult:
        """Run ``command`` to its end; see ``CommandRunner``."""
        started = time.monotonic()
        try:
            child = subprocess.Popen(
                self._argv(command),
                cwd=command.cwd,
                env=self._environment(command.env),
                stdin=subprocess.PIPE if command.stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                # Services of other users read what is checked out and built, however private the
                # daemon keeps its own files; the folders around it are closed.
                umask=0o022,
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise PreconditionFailed(f"{command.argv[0]} can't be started: {reason}") from error
        with child:
            reader = _Reader(child, command, on_line)
            try:
                timed_out = reader.read(started + command.timeout.total_seconds(), cancel)
            finally:
                _end_group(child)
        if command.confined_to and child.returncode == REFUSED_STATUS:
            _refuse_unconfined(reader.stderr_tail.decode(errors="replace"))
        return CommandResult(
            argv=command.argv,
            exit_status=child.returncode,
            stdout=reader.stdout.decode(errors="replace"),
            stderr_tail=reader.stderr_tail.decode(errors="replace"),
            duration=timedelta(seconds=time.monotonic() - started),
            timed_out=timed_out,
        )

    def _argv(self, command: Command) -> tuple[str, ...]:
        if not command.confined_to:
            return command.argv
        kept = map(str, command.confined_to)
        return (*_CONFINE, self._where_not, *self._hidden, "--", *kept, "--", *command.argv)

    def _environment(self, wanted: Mapping[str, str]) -> dict[str, str]:
        path = os.environ.get("PATH", _PATH)
        return {"PATH": path, "LC_ALL": "C.UTF-8", LIFE_VARIABLE: self._life, **wanted}

    def end_orphans(self) -> int:
        """End what an earlier life left at work; return how many process groups that were."""
        mark = f"{LIFE_VARIABLE}={self._life}".encode()
        groups = {
            group for process in Path("/proc").glob("[0-9]*") if (group := _group(process, mark))
        }
        groups.discard(os.getpgrp())
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        return len(groups)


def check(result: CommandResult) -> CommandResult:
    """Return ``result`` if the command succeeded.

    Raises:
        CommandFailed: with the end of what it said on stderr.
    """
    if result.ok:
        return result
    how = "ran out of time" if result.timed_out else f"ended with exit status {result.exit_status}"
    program = " ".join(result.argv[:2])
    said = result.stderr_tail.strip().splitlines()[-1:] or [""]
    raise CommandFailed(
        f"`{program}` {how}" + (f": {said[0]}" if said[0] else ""),
        exit_status=str(result.exit_status),
        stderr=result.stderr_tail.strip(),
    )


def _refuse_unconfined(said: str) -> None:
    last = said.strip().splitlines()[-1:]
    if last and last[0].startswith(REFUSED):
        raise PreconditionFailed(
            "a build can't be kept from the daemon's own files here: "
            f"{last[0].removeprefix(REFUSED)}; build on the host instead (strategy "
            "systemd-remote), let this user have user namespaces, or set unconfined_builds"
        )


def _group(process: Path, mark: bytes) -> int | None:
    try:
        if mark not in (process / "environ").read_bytes().split(b"\0"):
            return None
        return os.getpgid(int(process.name))
    except (OSError, ValueError):
        return None


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End whatever is left of the child's group, its own children included."""
    for sign, grace in ((signal.SIGTERM, _TERM_GRACE_SECONDS), (signal.SIGKILL, None)):
        if child.poll() is not None and not _alive(child.pid):
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            child.wait(grace)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


class _Reader:
    """Reads both pipes of a child, line by line, within its limits."""

    def __init__(
        self, child: subprocess.Popen[bytes], command: Command, on_line: LineSink | None
    ) -> None:
        self._child = child
        self._command = command
        self._on_line = on_line
        self.stdout = bytearray()
        self.stderr_tail = bytearray()
        self._partial: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}

    def read(self, deadline: float, cancel: threading.Event | None) -> bool:
        """Read to the end of both pipes; return whether time ran out before it."""
        feeder = self._feed()
        with selectors.DefaultSelector() as selector:
            for name in ("stdout", "stderr"):
                selector.register(getattr(self._child, name), selectors.EVENT_READ, name)
            while selector.get_map():
                if cancel is not None and cancel.is_set():
                    raise Interrupted(f"`{self._command.argv[0]}` was stopped")
                left = deadline - time.monotonic()
                if left <= 0:
                    return True
                for key, _ in selector.select(min(left, 0.25)):
                    chunk = os.read(key.fd, 65536)
                    self._take(key.data, chunk)
                    if not chunk:
                        selector.unregister(key.fileobj)
        if feeder:
            feeder.join(max(deadline - time.monotonic(), 0))
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(max(deadline - time.monotonic(), 0))
        return self._child.poll() is None

    def _feed(self) -> threading.Thread | None:
        """Write stdin beside the reading, so that neither side waits for the other."""
        if self._command.stdin is None or self._child.stdin is None:
            return None
        pipe, text = self._child.stdin, self._command.stdin.reveal().encode()

        def write() -> None:
            with suppress(OSError), pipe:
                pipe.write(text)

        thread = threading.Thread(target=write, name="stdin", daemon=True)
        thread.start()
        return thread

    def _shorten(self) -> None:
        """Keep the end of what a caller follows line by line; refuse what one wants whole."""
        limit = self._command.output_limit_bytes
        if self._on_line is None:
            raise CommandFailed(f"`{self._command.argv[0]}` wrote more than {limit} bytes")
        del self.stdout[: -limit // 2]

    def _take(self, name: str, chunk: bytes) -> None:
        if name == "stdout":
            self.stdout += chunk
            if len(self.stdout) > self._command.output_limit_bytes:
                self._shorten()
        else:
            self.stderr_tail = (self.stderr_tail + chunk)[-_TAIL_BYTES:]
        if self._on_line is None:
            return
        partial = self._partial[name]
        partial += chunk
        *lines, rest = bytes(partial).split(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES or (not chunk and rest):
            lines, rest = [*lines, rest], b""
        self._partial[name] = bytearray(rest)
        for line in lines:
            self._on_line(line[:_LONGEST_LINE_BYTES].decode(errors="replace").rstrip("\r"))
