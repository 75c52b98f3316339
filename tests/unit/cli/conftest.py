"""One command line and one daemon that says what it is told."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.cli.main import main
from tests.unit.cli.daemon_stub import DaemonStub


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[DaemonStub]:
    """Give a daemon at the socket that commands look at."""
    # pytest's own folders have paths that are too long for a socket.
    with tempfile.TemporaryDirectory() as folder, DaemonStub(Path(folder, "s")) as stub:
        monkeypatch.setenv("RECONCILER_SOCKET", str(stub.socket))
        yield stub


@pytest.fixture
def home() -> Iterator[Path]:
    """Give an empty home folder, with a path that is short enough for a socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path) -> Run:
    """Run a command as from an empty home; its output is no terminal."""
    monkeypatch.setenv("HOME", str(home))
    for name in ("RECONCILER_URL", "RECONCILER_TOKEN", "RECONCILER_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Ended:
        status = main(arguments)
        captured = capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    return run
