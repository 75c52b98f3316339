"""Single files at a commit: what counts as one, and reading them from a repository on disk."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from stat import S_ISLNK, S_ISREG

from dulwich.object_format import SHA1, SHA256, ObjectFormat
from dulwich.object_store import DiskObjectStore
from dulwich.objects import Blob, ObjectID

from reconciler.adapters.git.binary import Git, split_z
from reconciler.domain.errors import CommitNotFound, InvalidComposeFile, SourceProtocolError
from reconciler.domain.references import CommitSha, RepositoryPath

FILE_LIMIT_BYTES = 1 << 20
_SUBMODULE = 0o160000


def check_mode(path: RepositoryPath, mode: int) -> bool:
    """Tell whether the entry at ``path`` is a regular file; a folder is not.

    Raises:
        InvalidComposeFile: it is a symlink or a submodule, which could lead anywhere.
    """
    if S_ISLNK(mode) or mode == _SUBMODULE:
        kind = "symlink" if S_ISLNK(mode) else "submodule"
        raise InvalidComposeFile(f"{path} is a {kind}; it must be a regular file", path=path)
    return S_ISREG(mode)


def too_large(path: RepositoryPath) -> InvalidComposeFile:
    """Return the error of a file over its limit."""
    limit = str(FILE_LIMIT_BYTES)
    return InvalidComposeFile(f"{path} is over {FILE_LIMIT_BYTES >> 20} MiB", limit_bytes=limit)


def read_files(
    git: Git, commit: CommitSha, paths: Sequence[RepositoryPath]
) -> Mapping[RepositoryPath, bytes]:
    """Return those of ``paths`` that are regular files at ``commit``, from disk.

    Sizes are asked for first: an object is unpacked only when it is known to be small.

    Raises:
        CommitNotFound: the repository does not have the commit.
        InvalidComposeFile: a file is over 1 MiB, a symlink or a submodule.
    """
    listed = git.run("ls-tree", "-z", "--long", "--full-tree", commit.text, "--", *paths)
    if not listed.ok:
        raise CommitNotFound(f"{git.repository.name} has no commit {commit.short}")
    blobs = {}
    for line in split_z(listed.stdout):
        facts, _, name = line.partition("\t")
        mode, _, blob, size = facts.split()
        path = RepositoryPath(name)
        if not check_mode(path, int(mode, 8)):
            continue
        if int(size) > FILE_LIMIT_BYTES:
            raise too_large(path)
        blobs[path] = ObjectID(blob.encode())
    return _contents(git.repository, blobs) if blobs else {}


def _contents(
    repository: Path, blobs: Mapping[RepositoryPath, ObjectID]
) -> Mapping[RepositoryPath, bytes]:
    # The object store alone: opening it as a repository would read every packed ref.
    store = DiskObjectStore(repository / "objects", object_format=_format_of(blobs.values()))
    contents = {}
    with closing(store):
        for path, name in blobs.items():
            blob = store[name]
            if not isinstance(blob, Blob):
                raise SourceProtocolError(f"{path} is no file")
            contents[path] = blob.data
    return contents


def _format_of(names: Iterable[ObjectID]) -> ObjectFormat:
    return SHA256 if any(len(name) == 64 for name in names) else SHA1
