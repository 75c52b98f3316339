"""The store when processes die, disks fill and locks are held: nothing acknowledged is lost."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest

from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import Vault
from reconciler.domain.deployment import Stage
from reconciler.domain.errors import PreconditionFailed, StoreError
from reconciler.domain.settings import POLL_INTERVAL
from reconciler.store.data_lock import lock_data
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from tests.parts.postgres import Postgres
from tests.parts.stores import KEY, NOW, WEB, Site, ask, project, queue
from tests.parts.waiting import eventually

pytestmark = pytest.mark.fault
_ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param((1, 5, 21), id="three"),
        pytest.param((1, 2, 3, 5, 8, 13, 21, 34), id="eight", marks=pytest.mark.slow),
    ],
)
def test_a_writer_killed_at_any_moment_loses_nothing(site: Site, kills: Sequence[int]) -> None:
    """After each kill the database is whole and holds what was acknowledged."""
    for lines in kills:
        argv = [sys.executable, "-m", "tests.parts.store_worker", "write", site.location]
        with subprocess.Popen(argv, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            seen = [writer.stdout.readline() for _ in range(lines + 1)]
            writer.kill()
            seen += writer.stdout.readlines()
        acknowledged = [int(line) for line in seen[1:] if line.endswith("\n")]
        store = site.open()  # reads the whole file, and refuses what is damaged
        value = store.get_settings()[POLL_INTERVAL].value
        assert acknowledged[-1] <= value <= acknowledged[-1] + 1
        store.close()


class TestFullDisk:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        """A file system of 4 MB."""
        folder = tmp_path / "disk"
        folder.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True, timeout=10
        )
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=10)

    @pytest.mark.needs_namespaces
    def test_says_so_and_goes_on_when_there_is_space(self, small_disk: Path) -> None:
        store = _open(small_disk / "data" / "reconciler.db")
        store.create_project(project())
        waiting = queue(store, "a")
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"\0" * 4096):
                pass
        written, full = 0, None
        for number in range(2000):
            try:
                store.append_log(waiting.id, Stage.PREPARE, [f"{number} {'x' * 4000}"], NOW)
            except StoreError as error:
                full = error
                break
            written += 1
        assert full is not None
        assert "full" in str(full)
        assert store.get_state(WEB).queued == waiting
        filler.unlink()
        assert ask(store, "b").admitted
        assert len(store.read_log(waiting.id)) == written
        store.check()
        store.close()
        _open(small_disk / "data" / "reconciler.db").close()


class TestLocks:
    def test_one_daemon_a_folder_even_after_a_kill(self, tmp_path: Path) -> None:
        code = (
            "import sys, signal; from pathlib import Path;"
            "from reconciler.store.data_lock import lock_data;"
            "lock = lock_data(Path(sys.argv[1])); lock.__enter__();"
            "print('held', flush=True); signal.pause()"
        )
        argv = [sys.executable, "-c", code, str(tmp_path)]
        with subprocess.Popen(argv, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout
            assert holder.stdout.readline() == "held\n"
            refused = pytest.raises(PreconditionFailed, match=f"process {holder.pid};")
            with refused, lock_data(tmp_path):
                pass
            holder.kill()
        with lock_data(tmp_path):
            assert int((tmp_path / "lock").read_text()) == os.getpid()

    def test_a_database_that_stays_locked_is_an_error(self, tmp_path: Path) -> None:
        """A stranger in the file costs ten seconds and an error, no crash and no half write."""
        path = tmp_path / "data" / "reconciler.db"
        store = _open(path)
        store.create_project(project())
        with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
            stranger.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="locked"):
                queue(store, "a")
            assert store.get_state(WEB).latest is None
        assert queue(store, "a") == store.get_state(WEB).queued
        store.close()


@pytest.mark.needs_postgres
class TestLostServer:
    @pytest.fixture
    def own(self) -> Iterator[Postgres]:
        """A cluster of this test's own, to be stopped."""
        with Postgres() as running:
            yield running

    def test_comes_back_by_itself(self, own: Postgres) -> None:
        """Connections that are cut, and a server that is gone for a while, are errors that pass."""
        store = _open(own.create_database())
        store.create_project(project())
        own.disconnect_clients()
        assert eventually(lambda: _tries(lambda: queue(store, "a")))
        own.stop()
        with pytest.raises(StoreError):
            store.check()
        with pytest.raises(StoreError):
            store.get_state(WEB)
        own.start()
        assert eventually(lambda: _tries(lambda: ask(store, "b")))
        assert store.get_state(WEB).queued
        store.close()


def _tries(call: Callable[[], object]) -> object:
    try:
        return call()
    except StoreError:
        return None


def _open(location: Path | str) -> SqlStore:
    return open_store(location, lambda _: Vault(KEY), SystemClock())
