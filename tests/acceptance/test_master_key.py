"""The master key as the operator meets it: a wrong one stops the start, another takes its place."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import key_id_of
from reconciler.domain.secret import Secret
from reconciler.ports import AuditQuery
from reconciler.store.backup import write_backup
from reconciler.store.data_lock import lock_data
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from tests.parts.daemon import PROGRAM, Said
from tests.parts.stores import NOW, WEB, project

WRONG_CONFIGURATION = 78


class Installation:
    """A data folder with a secret in it, and commands on it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.config = folder / "config.toml"
        self.config.write_text(f'data_folder = "{self.data}"\nlisten = ""\n')
        store = self.open(may_create=True)
        store.create_project(project())
        secret = Secret.of("hunter2")
        store.put_secret(WEB, "variable:A", secret, bound_to="", username="", now=NOW)
        store.close()

    @property
    def key(self) -> Path:
        return self.data / "master_key"

    def open(self, *, may_create: bool = False) -> SqlStore:
        keys = KeySources(self.data)
        return open_store(
            self.data / "state.db", lambda _: keys.open(may_create=may_create), SystemClock()
        )

    def run(self, *words: str, **environment: str) -> Said:
        done = subprocess.run(
            [PROGRAM, *words, "--config", str(self.config)],
            env={"PATH": os.environ["PATH"], "HOME": str(self.data), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def files(self) -> dict[str, bytes]:
        """Return what is kept, but for SQLite's own and the lock, which says who had it last."""
        left_out = ("lock", "life", "state.db-shm", "state.db-wal")
        return {
            path.name: path.read_bytes()
            for path in self.data.rglob("*")
            if path.is_file() and path.name not in left_out
        }


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.mark.slow
def test_a_wrong_key_refuses_to_start_and_says_which_is_wanted(installation: Installation) -> None:
    """Nothing is written before; another installation's, or none."""
    wanted, other = key_id_of(installation.key.read_bytes()), bytes(range(32))
    installation.key.write_bytes(other)
    before = installation.files()
    said = installation.run("serve")
    (line,) = [one for one in said.err.splitlines() if one.startswith("error:")]
    assert (said.status, "Traceback" in said.err) == (WRONG_CONFIGURATION, False)
    source = f"{installation.key} is master key {key_id_of(other)}"
    assert f"wrong key: {source}, and this database wants key {wanted}" in line
    installation.key.unlink()
    said = installation.run("serve", RECONCILER_MASTER_KEY="")
    assert said.status == WRONG_CONFIGURATION
    assert f"{installation.key} is missing, and this database wants key {wanted}" in said.err
    assert installation.files() == {
        name: text for name, text in before.items() if name != "master_key"
    }


@pytest.mark.slow
def test_another_key_takes_its_place(installation: Installation, tmp_path: Path) -> None:
    """Not while a daemon is at work. A backup from before says that it wants the old one."""
    write_backup(installation.data / "state.db", tmp_path / "backup.db")
    old = key_id_of(installation.key.read_bytes())
    with lock_data(installation.data):
        refused = installation.run("rotate-key")
    assert (refused.status, f"in use by process {os.getpid()}" in refused.err) == (1, True)
    rotated = installation.run("rotate-key", "--keep-old", "--json")
    assert rotated.status == 0, rotated.err
    new = key_id_of(installation.key.read_bytes())
    kept = installation.data / f"master_key.{old}"
    assert rotated.json == {"key": new, "old_key": old, "finished": True, "kept": str(kept)}
    status = json.loads(installation.run("rotate-key", "--status", "--json").out)
    assert (status["key"], status["wanted"], list(status["sealed"])) == (new, new, [new])
    store = installation.open()
    assert store.variables(WEB)["A"].reveal() == "hunter2"
    (entry,) = store.list_audit(AuditQuery(action="master-key"))
    assert entry.changes == {"id": (old, new)}
    store.close()
    restored = installation.run("restore", str(tmp_path / "backup.db"), "--yes")
    assert (restored.status, f"this database wants key {old}" in restored.err) == (0, True)
    kept.replace(installation.key)
    installation.open().close()
