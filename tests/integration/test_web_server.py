"""The life of the server: its sockets, its start, its end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reconciler.adapters.listeners import listen_tcp, listen_unix, peer_uid
from reconciler.domain.errors import PreconditionFailed
from tests.parts.waiting import eventually
from tests.parts.web_client import WebDaemon

_ROOT = Path(__file__).parents[2]


class TestUnixSocket:
    def test_left_behind_is_replaced(self, tmp_path: Path) -> None:
        """A socket that a killed daemon left is taken over, private from its first moment."""
        path = tmp_path / "run" / "x.sock"
        listen_unix(path).close()
        assert path.is_socket()
        with listen_unix(path):
            assert path.stat().st_mode & 0o777 == 0o600
            assert path.parent.stat().st_mode & 0o777 == 0o700

    def test_one_that_answers_is_left_alone(self, tmp_path: Path) -> None:
        """Where another daemon answers, the second one says so and takes nothing away."""
        path = tmp_path / "run" / "x.sock"
        with listen_unix(path), pytest.raises(PreconditionFailed, match="another daemon answers"):
            listen_unix(path)
        assert path.is_socket()

    def test_what_is_no_socket_is_left_alone(self, tmp_path: Path) -> None:
        """A file in the socket's place is somebody's, and stays."""
        path = tmp_path / "x.sock"
        path.write_text("mine")
        with pytest.raises(PreconditionFailed, match="is no socket"):
            listen_unix(path)
        assert path.read_text() == "mine"

    def test_peer(self, tmp_path: Path) -> None:
        """Who connects is known by the kernel."""
        path = tmp_path / "run" / "x.sock"
        with listen_unix(path) as listener, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            accepted, _ = listener.accept()
            with accepted:
                assert peer_uid(accepted.fileno()) == os.getuid()


def test_a_taken_port_is_named() -> None:
    """A port that something else has is a clear error."""
    with listen_tcp("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(PreconditionFailed, match=f"127.0.0.1:{port}"):
            listen_tcp("127.0.0.1", port)


def test_killed_and_started_again(tmp_path: Path) -> None:
    """After a kill it starts again on what is there: the tokens and the projects."""
    with WebDaemon(tmp_path / "d") as first:
        token = first.admin_token
        first.local.post("/api/v1/projects", json={"name": "kept", "kind": "tunnel"})
        os.kill(first.child.pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{first.child.pid}/fd").exists() or _gone(first))
    with WebDaemon(tmp_path / "d") as second:
        listed = second.remote(token).get("/api/v1/projects").json()["items"]
        assert [item["name"] for item in listed] == ["kept"]


def test_a_folder_that_others_use_stays_open_to_them(tmp_path: Path) -> None:
    """Our socket in ``/tmp`` or ``/run`` is closed by its own mode, not by closing the folder."""
    tmp_path.chmod(0o1777)
    with listen_unix(tmp_path / "r.sock"):
        assert tmp_path.stat().st_mode & 0o7777 == 0o1777
        assert (tmp_path / "r.sock").stat().st_mode & 0o777 == 0o600
    with listen_unix(tmp_path / "new" / "r.sock"):
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def _gone(daemon: WebDaemon) -> bool:
    try:
        return (
            Path(f"/proc/{daemon.child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        )
    except OSError:
        return True


SLOW_DRAIN = """
import sys, threading
from tests.parts import web_daemon

class Slow(web_daemon.Idle):
    def drain(self):
        self.state = "draining"
        threading.Event().wait(float(sys.argv[2]))
        return True

web_daemon.Idle = Slow
sys.exit(web_daemon.main([sys.argv[1]]))
"""


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_draining_answers_503_and_then_ends(tmp_path: Path, number: signal.Signals) -> None:
    """From the signal on, health and readiness say 503, until what runs has ended."""
    daemon = _slow(tmp_path, drain_seconds=2.0)
    with daemon:
        os.kill(daemon.child.pid, number)
        answer = eventually(lambda: _not_ready(daemon), within=5)
        assert answer == {"status": "draining"}
        health = daemon.local.get("/api/healthz")
        assert (health.status_code, health.json()["status"]) == (503, "draining")
        assert daemon.local.get("/api/health").status_code == 503
        eventually(lambda: _gone(daemon), what="it ended")
        assert not daemon.socket.exists()


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Who insists does not wait."""
    daemon = _slow(tmp_path, drain_seconds=60)
    with daemon:
        os.kill(daemon.child.pid, signal.SIGTERM)
        eventually(lambda: _not_ready(daemon), within=5)
        started = time.monotonic()
        os.kill(daemon.child.pid, signal.SIGTERM)
        eventually(lambda: _gone(daemon), within=5, what="it ended")
        assert time.monotonic() - started < 5


def _slow(tmp_path: Path, *, drain_seconds: float) -> WebDaemon:
    script = tmp_path / "slow.py"
    script.write_text(SLOW_DRAIN)
    daemon = WebDaemon(tmp_path / "d")
    daemon.child.prepared = ""
    daemon.child.argv = [sys.executable, str(script), str(daemon.folder), str(drain_seconds)]
    daemon.child.env["PYTHONPATH"] = str(_ROOT)
    return daemon


def _not_ready(daemon: WebDaemon) -> dict[str, str] | None:
    answer = daemon.local.get("/api/ready")
    found: dict[str, str] = answer.json()
    return found if answer.status_code == 503 else None


def test_the_modules_load_nothing_heavy() -> None:
    """What is read to serve leaves out what only other work needs."""
    code = "import sys, json, reconciler.web.server; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"lightkube", "alembic", "oras", "jinja2", "sqlmodel", "playwright"}
