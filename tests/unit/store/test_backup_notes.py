"""What is known of the last backup, and which copies lie beside the database."""

import os
from datetime import UTC, datetime
from pathlib import Path

from reconciler.store.backup import last_backup, list_copies, note_backup


def test_the_last_backup_is_remembered(tmp_path: Path) -> None:
    database = tmp_path / "state.db"
    assert last_backup(database) is None
    note_backup(database, Path("/srv/first.db"))
    note_backup(database, Path("/srv/second.db"))
    found = last_backup(database)
    assert found is not None
    assert found.target == "/srv/second.db"
    assert abs((datetime.now(UTC) - found.at).total_seconds()) < 60


def test_a_backup_that_cannot_be_noted_is_no_failure(tmp_path: Path) -> None:
    note_backup(tmp_path / "nowhere" / "state.db", Path("/srv/first.db"))
    assert last_backup(tmp_path / "nowhere" / "state.db") is None


def test_a_note_that_is_no_text_is_none(tmp_path: Path) -> None:
    (tmp_path / "last-backup").write_bytes(b"\xff\xfe")
    assert last_backup(tmp_path / "state.db") is None


def test_copies_are_listed_newest_first_without_what_belongs_to_them(tmp_path: Path) -> None:
    names = ("state.db.before-0008-a", "state.db.replaced-b", "state.db.replaced-b-wal", "other")
    for age, name in enumerate(("state.db", *names)):
        (tmp_path / name).write_bytes(b"1234")
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    copies = list_copies(tmp_path / "state.db")
    assert [one.name for one in copies] == ["state.db.before-0008-a", "state.db.replaced-b"]
    assert {one.size_bytes for one in copies} == {4}
