"""Daemons from a process that has imported everything: forked, they are ready in half the time.

``python -m tests.parts.prepared`` is that process. Each line of its standard input is a request,
each line of its output the answer. What it forks is a process like any other, with a session of
its own; only `/proc/PID/cmdline` and `environ` still show where it comes from.
"""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_ROOT = Path(__file__).parents[2]
_HEAVY = (
    "alembic.command",
    "alembic.context",
    "anyio._backends._asyncio",
    "apscheduler.schedulers.background",
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.kdf.hkdf",
    "h2.connection",
    "httpcore2",
    "reconciler.app.wiring",
    "reconciler.cli.main",
    "reconciler.cli.client",
    "httpx2",
    "multiprocessing.queues",
    "rich.table",
    "reconciler.web.server",
    "tests.parts.web_daemon",
    "truststore",
    "typer._adapters",
    "tzlocal",
    "uvicorn.lifespan.off",
    "uvloop",
)


class Forked:
    """One of them, as `subprocess.Popen` shows a process."""

    def __init__(
        self, module: str, argv: Sequence[str], *, env: Mapping[str, str], log: Path
    ) -> None:
        """Start ``module.main`` with the words after ``argv[0]``, in the folder of ``log``."""
        with log.open("ab"):  # there from the beginning, for who reads it
            self.pid: int = _start(module, argv, env, (os.devnull, str(log), str(log)))
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return its exit status; None while it runs."""
        if self._status is None:
            self._status = _ask({"poll": self.pid})
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises ``subprocess.TimeoutExpired``."""
        if self._status is None:
            self._status = _wait(self.pid, 3600 if timeout is None else timeout)
        return self._status

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def run(
    argv: Sequence[str], *, env: Mapping[str, str], stdin: str = "", timeout: float = 60
) -> "subprocess.CompletedProcess[str]":
    """Run `reconciler` to its end. Raises ``subprocess.TimeoutExpired``, and ends it."""
    with TemporaryDirectory() as folder:
        given, out, err = (Path(folder, name) for name in ("in", "out", "err"))
        given.write_text(stdin)
        files = (str(given), str(out), str(err))
        pid = _start(CLI, argv, env, files)
        try:
            status = _wait(pid, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(pid, signal.SIGKILL)
            _wait(pid, timeout)
            raise
        return subprocess.CompletedProcess(argv, status, out.read_text(), err.read_text())


CLI = "reconciler.cli.main"
_lock = threading.Lock()
_prepared: list["subprocess.Popen[str]"] = []


def _start(
    module: str, argv: Sequence[str], env: Mapping[str, str], files: tuple[str, str, str]
) -> int:
    asked = {"module": module, "argv": list(argv), "env": dict(env), "files": files}
    pid: int = _ask({"start": asked})
    return pid


def _wait(pid: int, timeout: float) -> int:
    by = time.monotonic() + timeout
    while (status := _ask({"poll": pid})) is None:
        if time.monotonic() > by:
            raise subprocess.TimeoutExpired("reconciler", timeout)
        time.sleep(0.01)
    found: int = status
    return found


def _ask(request: Mapping[str, object]) -> Any:
    with _lock:
        if not _prepared:
            _prepared.append(_prepare())
        process = _prepared[0]
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{json.dumps(request)}\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())


def _prepare() -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.parts.prepared"],
        cwd=_ROOT,
        # What is read while modules are imported, e.g. by rich.
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def end() -> None:
        assert process.stdin
        process.stdin.close()
        process.wait()

    atexit.register(end)
    return process


# ── In the process itself ─────────────────────────────────────────────────────────────────────


def _serve() -> None:
    for module in _HEAVY:
        import_module(module)
    import_module(CLI).command_line()
    web = import_module("reconciler.web.asgi")
    web.open_paths(web.routes())
    # What is looked through for garbage in a child is copied for it.
    gc.collect()
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")
    with open(os.devnull) as nothing:  # noqa: PTH123  a descriptor is what is wanted
        requests = os.fdopen(os.dup(0))
        os.dup2(nothing.fileno(), 0)
    for line in requests:
        request = json.loads(line)
        if "poll" in request:
            answer = _status_of(request["poll"])
        elif (answer := os.fork()) == 0:
            requests.close()
            answers.close()
            _become(**request["start"])
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()


def _status_of(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _become(module: str, argv: list[str], env: dict[str, str], files: list[str]) -> None:
    """Be that program; never returns."""
    status = 70
    try:
        os.setsid()
        for number, file in enumerate(files):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY
            opened = os.open(file, flags, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        os.chdir(Path(files[1]).parent)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = argv
        status = import_module(module).main(argv[1:]) or 0
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001  the process ends here, whatever it was
        traceback.print_exc()
    os._exit(status)


if __name__ == "__main__":
    _serve()
