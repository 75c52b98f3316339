"""Commits that are made here: of files that nobody pushed."""

import os
import stat
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from dulwich.file import FileLocked
from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

from reconciler.adapters.git.refs import PROTOCOL_ERRORS
from reconciler.domain.errors import SourceProtocolError
from reconciler.domain.references import CommitSha, RepositoryPath
from reconciler.log import shorten

_AUTHOR = b"reconciler <reconciler@localhost>"
_FILE = stat.S_IFREG | 0o644
#: Two that look at one folder at the same time record the same: then the second finds it there.
_TRIES = 3


def record_files(
    repository: Path,
    ref: str,
    files: Mapping[RepositoryPath, bytes],
    message: str,
    at: datetime,
) -> CommitSha:
    """Make ``ref`` hold exactly ``files``, by a commit on top; return its tip.

    None is made where it holds them already. What was written when it ended midway is garbage
    that git collects: the ref moves last, in one step, and only if nobody moved it meanwhile.

    Raises:
        SourceProtocolError: somebody did, again and again, or pushed there; or the repository is
            damaged or gone.
    """
    try:
        with Repo(str(repository)) as repo:
            return _record(repo, ref, files, message, at)
    except (*PROTOCOL_ERRORS, OSError) as error:
        # Damaged, removed at this moment, or a full disk: the trouble of this repository alone.
        told = f"{type(error).__name__}: {shorten(str(error), 200)}"
        raise SourceProtocolError(f"{repository.name} can't be written: {told}") from error


def _record(
    repo: Repo, ref: str, files: Mapping[RepositoryPath, bytes], message: str, at: datetime
) -> CommitSha:
    name, tree = Ref(ref.encode()), _write(repo, files)
    for _ in range(_TRIES):
        found = repo.refs.read_ref(name)
        tip = ObjectID(found) if found else None
        before = repo[tip] if tip else None
        if tip and isinstance(before, Commit):
            if before.tree == tree:
                return CommitSha.parse(tip.decode())
            _require_ours(repo, before)
        commit = _commit(tree, [tip] if tip else [], message, at)
        repo.object_store.add_object(commit)
        if _move(repo, name, tip, commit.id):
            return CommitSha.parse(commit.id.decode())
    raise SourceProtocolError(f"{ref} of {Path(repo.path).name} was moved at the same moment")


def _write(repo: Repo, files: Mapping[RepositoryPath, bytes]) -> ObjectID:
    """Write the files, and return the tree that has them."""
    blobs = {path: Blob.from_string(content) for path, content in files.items()}
    for blob in blobs.values():
        repo.object_store.add_object(blob)
    entries = [(path.encode(), blob.id, _FILE) for path, blob in blobs.items()]
    return commit_tree(repo.object_store, entries)


def _move(repo: Repo, name: Ref, old: ObjectID | None, new: ObjectID) -> bool:
    try:
        return repo.refs.set_if_equals(name, old, new) if old else repo.refs.add_if_new(name, new)
    except FileLocked as error:
        lock = os.fsdecode(error.lockfilename)
        raise SourceProtocolError(
            f"somebody else moves {name.decode()} now, or was killed while doing so: "
            f"remove {lock} if it stays"
        ) from None


def _require_ours(repo: Repo, commit: Commit) -> None:
    if commit.author != _AUTHOR:
        raise SourceProtocolError(
            f"{Path(repo.path).name} has what somebody pushed, and nothing is recorded over it: "
            "take the target's base away, or have the project follow another repository"
        )


def _commit(tree: ObjectID, parents: list[ObjectID], message: str, at: datetime) -> Commit:
    made = Commit()
    made.tree, made.parents = tree, parents
    made.author = made.committer = _AUTHOR
    made.author_time = made.commit_time = int(at.timestamp())
    made.author_timezone = made.commit_timezone = 0
    made.encoding = b"UTF-8"
    made.message = f"{message}\n".encode()
    return made
