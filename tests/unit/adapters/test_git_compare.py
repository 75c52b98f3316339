"""Trees of strangers, compared: those that lie, and those that would take for ever."""

import io
from datetime import UTC, datetime

import pytest
from dulwich.object_format import SHA1
from dulwich.object_store import MemoryObjectStore
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree
from dulwich.pack import write_pack_objects

from reconciler.adapters.git.compare import TooMuch, changed_paths
from reconciler.adapters.git.history import receive_history
from reconciler.adapters.git.pack import PackedFiles
from reconciler.domain.errors import SourceProtocolError
from reconciler.domain.references import CommitSha

FOLDER, FILE, LINK = 0o040000, 0o100644, 0o120000


def holding(files: PackedFiles, *entries: tuple[str, int, ObjectID]) -> ObjectID:
    """Return the id of a tree of ``entries``, which is kept."""
    tree = Tree()
    for name, mode, entry in entries:
        tree.add(name.encode(), mode, entry)
    return keep(files, tree)


def keep(files: PackedFiles, one: ShaFile) -> ObjectID:
    files.objects.add_object(one)
    return one.id


@pytest.fixture
def files() -> PackedFiles:
    return PackedFiles(MemoryObjectStore())


@pytest.fixture
def blob(files: PackedFiles) -> ObjectID:
    return keep(files, Blob.from_string(b"x"))


def test_folders_nested_to_billions_end(files: PackedFiles) -> None:
    """A few hundred bytes that stand for 2^40 empty folders, of which no path is ever told."""
    tree = holding(files)
    for _ in range(40):
        tree = holding(files, ("a", FOLDER, tree), ("b", FOLDER, tree))
    with pytest.raises(TooMuch):
        for _ in changed_paths(files, holding(files), tree):
            pass


@pytest.mark.parametrize("rest", [b"", b"author \ncommitter A <a@b>\n\nx"], ids=["bare", "no-time"])
def test_a_commit_that_lacks_what_commits_have_is_told_all_the_same(
    files: PackedFiles, rest: bytes
) -> None:
    """No server has to refuse it."""
    made = ShaFile.from_raw_string(1, b"tree " + holding(files) + b"\n" + rest)
    assert isinstance(made, Commit)
    tip = CommitSha(keep(files, made).decode())
    assert files.message(made.id) in {b"", b"x"}
    pack = io.BytesIO()
    write_pack_objects(pack, [(made, None)], object_format=SHA1)
    history = receive_history(lambda _wanted, _depth: pack.getvalue(), tip, CommitSha("1" * 40))
    (told,) = history.commits
    assert (told.commit, told.author, told.at) == (tip, "", datetime(1970, 1, 1, tzinfo=UTC))


def test_a_path_without_an_end_ends(files: PackedFiles, blob: ObjectID) -> None:
    """Folders one within the other, far below what any system can open."""
    tree = holding(files, ("file", FILE, blob))
    for _ in range(30):
        tree = holding(files, ("n" * 255, FOLDER, tree))
    with pytest.raises(TooMuch):
        list(changed_paths(files, holding(files), tree))


def test_equal_folders_are_not_looked_into(files: PackedFiles, blob: ObjectID) -> None:
    """They need not even be there."""
    away = ObjectID(b"1" * 40)
    before = holding(files, ("same", FOLDER, away), ("mode", FILE, blob))
    after = holding(files, ("same", FOLDER, away), ("mode", LINK, blob))
    assert list(changed_paths(files, before, after)) == [b"mode"]


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(ObjectID(b"1" * 40), id="nothing"),
        pytest.param(Blob.from_string(b"no tree").id, id="a-file"),
    ],
)
def test_folders_that_are_none_are_a_broken_server(files: PackedFiles, lie: ObjectID) -> None:
    """What calls itself a folder and is not there, or is something else."""
    keep(files, Blob.from_string(b"no tree"))
    with pytest.raises(SourceProtocolError):
        list(changed_paths(files, holding(files), holding(files, ("apps", FOLDER, lie))))
