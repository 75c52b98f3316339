"""Opening: a first start makes a database; every other finds what there was, or says why."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import Vault
from reconciler.domain.errors import (
    InvalidInput,
    MasterKeyRefused,
    NotFound,
    PreconditionFailed,
    StoreCorrupt,
    StoreError,
)
from reconciler.store.backup import restore_backup, write_backup
from reconciler.store.data_lock import lock_data
from reconciler.store.opening import open_store
from reconciler.store.schema import CURRENT, VERSIONS
from reconciler.store.sql_store import SqlStore
from reconciler.store.sqlite_file import file_system_of
from reconciler.store.tables import METADATA
from tests.parts.stores import KEY, NOW, WEB, project


def opened(path: Path | str, key: bytes = KEY) -> SqlStore:
    return open_store(path, lambda _: Vault(key), SystemClock())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database will be."""
    return tmp_path / "data" / "reconciler.db"


@pytest.fixture
def used(path: Path) -> Path:
    """A database with a project in it, closed."""
    store = opened(path)
    store.create_project(project())
    store.close()
    return path


class TestFirstStart:
    def test_makes_what_only_we_can_read(self, path: Path) -> None:
        store = opened(path)
        store.check()
        modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
        store.close()
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert {modes[name] for name in modes if name.startswith(path.name)} == {0o600}

    def test_the_next_one_finds_it(self, used: Path) -> None:
        store = opened(used)
        assert store.get_project(WEB) == project()
        store.close()

    @pytest.mark.parametrize("location", ["mysql://h/db", "sqlite://", "://", "sqlite:///:memory:"])
    def test_other_databases_are_refused(self, location: str) -> None:
        with pytest.raises(InvalidInput):
            opened(location)

    def test_the_migrations_make_the_tables_that_the_code_knows(self, used: Path) -> None:
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext
        from alembic.script import ScriptDirectory

        from reconciler.store import schema

        engine = create_engine(f"sqlite:///{used}")
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, METADATA) == []
        engine.dispose()
        scripts = ScriptDirectory(str(Path(schema.__file__).parent / "migrations"))
        assert scripts.get_current_head() == CURRENT == VERSIONS[-1]

    def test_alembic_is_not_imported_once_it_is_there(self, used: Path) -> None:
        code = (
            "import sys; from tests.unit.store.test_opening import opened;"
            "known = set(sys.modules); opened(sys.argv[1]).close();"
            "sys.exit('alembic.command' in sys.modules)"
        )
        root = Path(__file__).parents[3]
        subprocess.run([sys.executable, "-c", code, str(used)], check=True, cwd=root, timeout=50)


class TestLossAndDamage:
    """Never a new database in silence over one that is lost."""

    def test_a_missing_one_is_not_replaced(self, used: Path) -> None:
        used.unlink()
        with pytest.raises(StoreCorrupt, match="missing"):
            opened(used)
        assert not used.exists()

    def test_an_emptied_one_is_not_used(self, used: Path) -> None:
        used.write_bytes(b"")
        with pytest.raises(StoreCorrupt, match="empty"):
            opened(used)

    def test_a_log_without_its_database_is_noticed(self, path: Path) -> None:
        path.parent.mkdir()
        path.with_name(path.name + "-wal").write_bytes(b"what was written last")
        with pytest.raises(StoreCorrupt, match="write-ahead log"):
            opened(path)

    def test_a_first_start_that_was_cut_short_starts_anew(self, path: Path) -> None:
        path.parent.mkdir()
        path.touch()
        opened(path).close()

    @pytest.mark.parametrize("where", ["head", "middle", "cut"])
    def test_damage_is_found_at_the_start(self, used: Path, where: str) -> None:
        content = bytearray(used.read_bytes())
        if where == "cut":
            del content[len(content) // 2 :]
        else:
            start = 0 if where == "head" else 4096
            content[start : start + 6000] = b"\xaa" * 6000
        used.write_bytes(content)
        with pytest.raises(StoreCorrupt):
            opened(used)
        assert used.read_bytes() == content

    @pytest.mark.parametrize(
        ("statement", "message"),
        [
            ("UPDATE alembic_version SET version_num = '9999'", "newer than this program"),
            ("DELETE FROM alembic_version", "0 versions"),
            ("DROP TABLE alembic_version", "not ours"),
        ],
        ids=["newer", "none", "not-ours"],
    )
    def test_another_version_is_left_alone(self, used: Path, statement: str, message: str) -> None:
        with closing(sqlite3.connect(used)) as connection:
            connection.execute(statement)
            connection.commit()
        with pytest.raises(StoreCorrupt, match=message):
            opened(used)


class TestComingBack:
    def newer(self, used: Path) -> Path:
        """Let a newer program change the tables; return the copy that it made before."""
        copy = used.with_name(f"{used.name}.before-9999-20300101T000000Z")
        write_backup(used, copy)
        with closing(sqlite3.connect(used)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.commit()
        return copy

    def test_the_tables_come_back_too(self, used: Path) -> None:
        """As they were before the newer program changed them; what that wrote is kept beside."""
        self.newer(used)
        with pytest.raises(StoreCorrupt, match="newer than this program"):
            opened(used)
        store = open_store(used, lambda _: Vault(KEY), SystemClock(), came_back=True)
        assert store.get_project(WEB) == project()
        store.close()
        assert list(used.parent.glob(f"{used.name}.replaced-*"))
        opened(used).close()

    def test_without_a_copy_nothing_is_replaced(self, used: Path) -> None:
        self.newer(used).unlink()
        before = used.read_bytes()
        with pytest.raises(StoreCorrupt, match="newer than this program"):
            open_store(used, lambda _: Vault(KEY), SystemClock(), came_back=True)
        assert used.read_bytes() == before

    def test_tables_of_ours_stay(self, used: Path) -> None:
        write_backup(used, used.with_name(f"{used.name}.before-{CURRENT}-20300101T000000Z"))
        open_store(used, lambda _: Vault(KEY), SystemClock(), came_back=True).close()
        assert not list(used.parent.glob(f"{used.name}.replaced-*"))


class TestKey:
    def test_another_key_is_refused(self, used: Path) -> None:
        with pytest.raises(StoreCorrupt, match="wrong key"):
            opened(used, bytes(32))
        opened(used).close()

    def test_a_key_is_made_for_a_new_database_only(self, path: Path) -> None:
        def start() -> None:
            open_store(
                path, lambda new: KeySources(path.parent).open(may_create=new), SystemClock()
            ).close()

        start()
        start()
        (path.parent / "master_key").unlink()
        with pytest.raises(MasterKeyRefused, match=r"is missing, and .* wants key \w{8}$"):
            start()
        assert not (path.parent / "master_key").exists()


class TestBackup:
    def test_there_and_back(self, used: Path, tmp_path: Path) -> None:
        backup = tmp_path / "backup.db"
        store = opened(used)
        store.backup(backup)
        store.remove_project(WEB)
        store.close()
        assert backup.stat().st_mode & 0o777 == 0o600
        kept = restore_backup(backup, used, NOW)
        store = opened(used)
        assert store.get_project(WEB) == project()
        store.close()
        assert kept
        with closing(sqlite3.connect(kept)) as replaced:
            assert replaced.execute("SELECT count(*) FROM project").fetchone() == (0,)

    def test_one_made_while_it_is_written_is_whole(self, used: Path, tmp_path: Path) -> None:
        store = opened(used)
        with store.transaction() as transaction:
            transaction.get_project(WEB)
            store.backup(tmp_path / "backup.db")
        store.backup(tmp_path / "backup.db")
        store.close()
        assert sorted(one.name for one in tmp_path.iterdir()) == ["backup.db", "data"]
        with closing(sqlite3.connect(tmp_path / "backup.db")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert copy.execute("SELECT name FROM project").fetchall() == [("web",)]

    def test_brings_back_one_that_was_lost(self, used: Path, tmp_path: Path) -> None:
        store = opened(used)
        store.backup(tmp_path / "backup.db")
        store.close()
        shutil.rmtree(used.parent)
        assert restore_backup(tmp_path / "backup.db", used, NOW) is None
        opened(used).close()

    @pytest.mark.parametrize("bad", ["damaged", "newer", "foreign", "text", "missing"])
    def test_a_bad_one_replaces_nothing(self, used: Path, tmp_path: Path, bad: str) -> None:
        backup = tmp_path / "backup.db"
        store = opened(used)
        store.backup(backup)
        store.close()
        _spoil(backup, bad)
        before = used.read_bytes()
        with pytest.raises(NotFound if bad == "missing" else StoreCorrupt):
            restore_backup(backup, used, NOW)
        assert used.read_bytes() == before
        opened(used).close()

    def test_not_under_a_running_daemon(self, used: Path, tmp_path: Path) -> None:
        store = opened(used)
        store.backup(tmp_path / "backup.db")
        store.close()
        with lock_data(used.parent), pytest.raises(PreconditionFailed, match="in use by process"):
            restore_backup(tmp_path / "backup.db", used, NOW)

    def test_an_unwritable_target_is_an_error_of_the_store(
        self, used: Path, tmp_path: Path
    ) -> None:
        store = opened(used)
        with pytest.raises(StoreError, match="could not be written"):
            store.backup(tmp_path / "nowhere" / "backup.db")
        store.close()


def _spoil(backup: Path, how: str) -> None:
    if how == "damaged":
        content = bytearray(backup.read_bytes())
        content[4096:12000] = b"\xaa" * (12000 - 4096)
        backup.write_bytes(content)
    elif how == "text":
        backup.write_text("not a database at all")
    elif how == "missing":
        backup.unlink()
    else:
        statement = "DROP TABLE alembic_version" if how == "foreign" else _NEWER
        with closing(sqlite3.connect(backup)) as connection:
            connection.execute(statement)
            connection.commit()


_NEWER = "UPDATE alembic_version SET version_num = '9999'"


def test_the_deepest_mount_says_the_file_system(tmp_path: Path) -> None:
    """Also with blanks in its name, and where one is mounted over another."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/a / ext4 rw 0 0\nhost:/x {str(tmp_path).replace(' ', chr(92) + '040')} nfs4 rw 0 0\n"
    )
    assert file_system_of(tmp_path, mounts) == "nfs4"
    assert file_system_of(Path("/"), mounts) == "ext4"
    assert file_system_of(Path("/"), tmp_path / "none") == ""
