"""The first start needs nothing; a later one never starts over something that it can't use."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import pytest

from tests.parts.child import ChildFailed
from tests.parts.daemon import PROGRAM, Daemon, as_toml
from tests.parts.scratch import short_folder
from tests.parts.waiting import eventually

UNAVAILABLE, BAD_CONFIGURATION = 75, 78


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon() as running:
        yield running


def _refused(daemon: Daemon) -> str:
    """Start a daemon that must not come up; return what it said."""
    before = len(daemon.log)
    with pytest.raises(ChildFailed):
        daemon.start()
    return daemon.log[before:]


def test_nothing_is_needed() -> None:
    """No configuration, an empty home: ready, and it says where it listens and what to do next."""
    home = Path(mkdtemp(prefix="rcl-", dir=short_folder()))
    with socket.socket() as taken:
        # The default port may be somebody's on this machine; then another is asked for.
        free = taken.connect_ex(("127.0.0.1", 8484)) != 0
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": "dumb", "COLUMNS": "200"}
    if not free:
        env["RECONCILER_LISTEN"] = "127.0.0.1:0"
    # A person's terminal, because only a person is greeted.
    command = f"{PROGRAM} serve"
    started = time.monotonic()
    process = subprocess.Popen(
        ["script", "--quiet", "--flush", "--return", "--command", command, "/dev/null"],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=home,
        start_new_session=True,
    )
    said: list[str] = []
    assert process.stdout
    try:
        os.set_blocking(process.stdout.fileno(), False)

        def greeted() -> bool:
            said.append((process.stdout.read() or b"").decode())  # type: ignore[union-attr]
            return "Ctrl-C ends it." in "".join(said)

        eventually(greeted, within=20, what="it greets")
        ready_after = time.monotonic() - started
        text = "".join(said)
        data = home / ".local/state/reconciler"
        assert "reconciler is ready" in text
        assert "http://127.0.0.1:" in text
        assert str(data / "run/reconciler.sock") in text
        assert "reconciler project add" in text
        assert (data / "state.db").exists()
        token = data / "set-up-token"
        assert token.stat().st_mode & 0o777 == 0o600
        assert f"/set-up#{token.read_text().strip()}\r\n" in text
        assert data.stat().st_mode & 0o777 == 0o700
        status = subprocess.run(
            [PROGRAM, "status"], env=env, capture_output=True, text=True, timeout=30, check=False
        )
        assert status.returncode == 0, status.stderr
        assert ready_after < 20
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        _end(home)
        process.wait(30)
        process.stdout.close()
        shutil.rmtree(home, ignore_errors=True)


def _end(home: Path) -> None:
    """End the daemon itself: its terminal's program may have gone before it."""
    lock = home / ".local/state/reconciler/lock"
    pid = int(lock.read_text()) if lock.exists() else 0
    if pid and Path(f"/proc/{pid}").exists():
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not Path(f"/proc/{pid}").exists(), within=20, what="it has ended")


def test_without_docker_it_starts_and_says_what_it_can_not_deploy() -> None:
    """Everything else works; a deployment asked for all the same says what is missing."""
    with Daemon({"docker_socket": "/tmp/there-is-no-engine.sock"}) as daemon:
        assert daemon.probe("healthz")[0] == 200
        engine = daemon.get("status")["engine"]
        assert engine["ok"] is False
        assert "/tmp/there-is-no-engine.sock" in engine["error"]
        assert "/tmp/there-is-no-engine.sock" in daemon.cli("status").out


def test_a_bad_configuration_names_every_wrong_key_at_once() -> None:
    """Exit 78 from `serve` and `check-config` alike; nothing is made before that."""
    wrong = {
        "listen": "here",
        "polls_at_once": 0,
        "stability_healthy_seconds": "long",
        "no_such_key": 1,
        "settings": {"auto_deploy_poll_interval_seconds": 9},
    }
    folder = Path(mkdtemp(prefix="rcl-", dir=short_folder()))
    try:
        file = folder / "config.toml"
        file.write_text(as_toml({"data_folder": str(folder / "data"), **wrong}))
        for command in ("serve", "check-config"):
            done = subprocess.run(
                [PROGRAM, command, "--config", file],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
                env={"HOME": str(folder), "PATH": os.environ["PATH"], "COLUMNS": "200"},
            )
            assert done.returncode == BAD_CONFIGURATION, done
            for key in wrong:
                named = "auto_deploy_poll_interval_seconds" if key == "settings" else key
                assert named in done.stderr, f"{named} is not named:\n{done.stderr}"
        assert not (folder / "data").exists()
    finally:
        shutil.rmtree(folder)


def test_nothing_travels_in_clear_text_between_machines() -> None:
    """Exit 78 and one line that names the setting, its value and three ways to do it right."""
    with TemporaryDirectory(prefix="rcl-", dir=short_folder()) as home:
        done = subprocess.run(
            [PROGRAM, "serve"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={"HOME": home, "PATH": os.environ["PATH"], "RECONCILER_LISTEN": "0.0.0.0:8484"},
        )
        assert not list(Path(home).iterdir())
    assert done.returncode == BAD_CONFIGURATION, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: listen: 0.0.0.0:8484 can be reached from other machines")
    for remedy in ("tls_certificate and tls_key_file", "trusted_proxies", "127.0.0.1:8484"):
        assert remedy in line


def test_a_database_that_is_gone_or_damaged_is_never_started_over(daemon: Daemon) -> None:
    """It refuses to start, says what helps, and leaves the file exactly as it is."""
    daemon.post("projects", {"name": "precious", "kind": "tunnel"})
    for number in range(60):
        daemon.post("projects", {"name": f"more-{number}", "kind": "tunnel"})
    daemon.stop()
    file = daemon.data / "state.db"
    for beside in daemon.data.glob("state.db-*"):
        beside.unlink()
    content = file.read_bytes()
    page = 4096
    damages = {
        "missing": None,
        "empty": b"",
        "not a database": b"this is no database\n" * 100,
        "truncated": content[: len(content) // 2],
        "bit rot": content[: 3 * page] + os.urandom(len(content) - 5 * page) + content[-2 * page :],
    }
    for damage, damaged in damages.items():
        file.unlink(missing_ok=True)
        if damaged is not None:
            file.write_bytes(damaged)
        said = _refused(daemon)
        assert "state.db" in said, damage
        assert "reconciler restore" in said, damage
        assert "Traceback" not in said, damage
        assert (file.read_bytes() if file.exists() else None) == damaged, damage


def test_a_second_daemon_on_the_same_data_is_refused(daemon: Daemon) -> None:
    """It names the process that has the folder, and disturbs nothing."""
    done = daemon.cli("serve", "--config", str(daemon.folder / "config.toml"))
    assert done.status != 0
    assert f"in use by process {daemon.pid}" in done.err
    assert daemon.is_ready()
    assert daemon.get("projects")["items"] == []
    # A kill leaves no lock behind.
    daemon.kill()
    daemon.start()


def test_what_was_backed_up_is_there_again_after_a_restore(daemon: Daemon) -> None:
    """Made while the daemon runs, restored while it does not; what was there is kept beside it."""
    daemon.post("projects", {"name": "kept", "kind": "tunnel"})
    file = daemon.folder / "copy.db"
    copy = str(file)
    config = ("--config", str(daemon.folder / "config.toml"))
    made = daemon.cli("backup", copy, *config)
    assert made.status == 0, made
    assert file.stat().st_mode & 0o077 == 0
    daemon.post("projects", {"name": "later", "kind": "tunnel"})
    running = daemon.cli("restore", copy, "--yes", *config)
    assert running.status != 0, "not under a running daemon"
    assert {one["name"] for one in daemon.get("projects")["items"]} == {"kept", "later"}

    daemon.stop()
    (daemon.data / "state.db").write_bytes(b"damaged")
    restored = daemon.cli("restore", copy, "--yes", *config)
    assert restored.status == 0, restored
    daemon.start()
    assert [one["name"] for one in daemon.get("projects")["items"]] == ["kept"]
    assert any(path.read_bytes() == b"damaged" for path in daemon.data.glob("state.db*"))


def test_a_restore_of_something_else_is_refused(daemon: Daemon) -> None:
    """A file that is no backup of ours replaces nothing."""
    daemon.stop()
    before = (daemon.data / "state.db").read_bytes()
    strange = daemon.folder / "strange.db"
    with sqlite3.connect(strange) as other:
        other.execute("CREATE TABLE notes (text)")
    other.close()
    config = ("--config", str(daemon.folder / "config.toml"))
    for source in (strange, daemon.folder / "config.toml", daemon.folder / "not-there"):
        said = daemon.cli("restore", str(source), "--yes", *config)
        assert said.status != 0, source
        assert (daemon.data / "state.db").read_bytes() == before
    daemon.start()


def test_environment_variables_override_the_file() -> None:
    """`RECONCILER_…` wins over the file, and what is not valid there is named by its variable."""
    with Daemon(
        {"polls_at_once": 3}, env={"RECONCILER_AUTO_DEPLOY_MASTER_ENABLED": "false"}
    ) as daemon:
        assert daemon.get("status")["master_switch"]["enabled"] is False
        daemon.env["RECONCILER_POLLS_AT_ONCE"] = "none"
        said = daemon.cli("check-config", "--config", str(daemon.folder / "config.toml"))
        assert said.status == BAD_CONFIGURATION
        assert "RECONCILER_POLLS_AT_ONCE" in said.err
