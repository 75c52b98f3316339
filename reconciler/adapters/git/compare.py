"""How two commits differ: which paths, and what the newer one's message says.

No file is looked into, and of two equal folders none. Names are only ever compared with patterns;
what is not UTF-8 in them is replaced, so that such a name fits a folder or a ``*`` above it.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from stat import S_ISDIR

from dulwich.object_format import SHA1, SHA256
from dulwich.object_store import MemoryObjectStore
from dulwich.objects import ObjectID

from reconciler.adapters.git.binary import Git, object_format_of, split_z
from reconciler.adapters.git.fetch import Fetcher, Wanted
from reconciler.adapters.git.pack import PackedFiles, PackTooLarge
from reconciler.adapters.process import check
from reconciler.domain.errors import CommandFailed, RevisionNotFound, SourceProtocolError
from reconciler.domain.references import CommitSha
from reconciler.ports import CommandResult, Comparison

MOST_PATHS = 20_000
_MESSAGE_BYTES = 64 << 10
#: A larger commit is not read: nobody writes so much.
_COMMIT_BYTES = 1 << 20
#: Entries of folders that are looked at; a few small ones may be nested to billions.
_MOST_ENTRIES = 200_000
_LONGEST_PATH = 4096
#: Of all paths together; a longer list would take a while to look through.
_MOST_LETTERS = 4 << 20
_TIME = timedelta(seconds=20)
_TOO_MANY = f"over {MOST_PATHS:,} paths differ"
_TOO_MUCH = "it would take too long"


def compare_on_disk(git: Git, before: CommitSha, after: CommitSha) -> Comparison:
    """Return how ``after`` differs from ``before``; see ``Repositories.compare``."""
    sizes = _sizes(git, before, after)
    if after not in sizes:
        raise RevisionNotFound(f"{git.repository.name} has no commit {after.short}")
    message = ""
    if sizes[after] <= _COMMIT_BYTES:
        message = _answer(git.run("cat-file", "commit", after.text)).partition("\n\n")[2]
    message = _shortened(message.encode())
    if before not in sizes:
        return Comparison(None, message, _gone(before))
    options = ("-r", "-z", "--name-only", "--no-renames", "--ignore-submodules=none")
    try:
        listed = git.run("diff-tree", *options, before.text, after.text, "--", timeout=_TIME)
    except CommandFailed:  # it wrote more than would be taken
        return Comparison(None, message, _TOO_MANY)
    if listed.timed_out:
        return Comparison(None, message, _TOO_MUCH)
    return _told(sorted(split_z(_answer(listed))), message)


def compare_elsewhere(fetcher: Fetcher, wanted: Wanted, before: CommitSha) -> Comparison:
    """Return how the wanted commit differs from ``before``; see ``GitRemote.compare``.

    Where a server sends all files although none was asked for, and they are too much for memory,
    both commits are fetched to the disk for a moment.
    """
    try:
        return _compare_in_memory(fetcher, wanted, before)
    except PackTooLarge:
        with fetcher.on_disk(wanted, before) as git:
            return compare_on_disk(git, before, wanted.commit)


def _compare_in_memory(fetcher: Fetcher, wanted: Wanted, before: CommitSha) -> Comparison:
    old, new = _id(before), _id(wanted.commit)
    if old == new:
        return Comparison((), _message(_receive(fetcher, wanted, new), new))
    try:
        files = _receive(fetcher, wanted, old, new)
    except RevisionNotFound:
        # Asked again for the newer one alone: if it is that which is gone, this says so.
        return Comparison(None, _message(_receive(fetcher, wanted, new), new), _gone(before))
    message = _message(files, new)
    paths = changed_paths(files, files.root(old), files.root(new))
    try:
        found = sorted(path.decode(errors="replace") for path in islice(paths, MOST_PATHS + 1))
    except TooMuch:
        return Comparison(None, message, _TOO_MUCH)
    return _told(found, message)


def _receive(fetcher: Fetcher, wanted: Wanted, *commits: ObjectID) -> PackedFiles:
    """Return the commits, with their folders where there are two to compare."""
    sha256 = object_format_of(wanted.commit) == "sha256"
    files = PackedFiles(MemoryObjectStore(object_format=SHA256 if sha256 else SHA1))
    filter_spec = b"blob:none" if len(commits) > 1 else b"tree:0"
    pack = fetcher.receive(wanted, list(commits), filter_spec=filter_spec, depth=1)
    files.add(pack)
    return files


class TooMuch(Exception):
    """The folders are nested as nobody nests them."""


def changed_paths(files: PackedFiles, before: ObjectID, after: ObjectID) -> Iterator[bytes]:
    """Yield what is not the same in both trees; a folder only stands for what is in it.

    Raises:
        TooMuch: after so many entries that it would take for ever.
    """
    waiting: list[tuple[bytes, bytes, ObjectID | None, ObjectID | None]] = [
        (b"", b"", before, after)
    ]
    room = _MOST_ENTRIES
    while waiting:
        above, own, *trees = waiting.pop()
        folder = above + own
        old, new = (files.folder(tree) if tree else {} for tree in trees)
        room -= 1 + len(old) + len(new)
        if room < 0 or len(folder) > _LONGEST_PATH:
            raise TooMuch
        for name in old.keys() | new.keys():
            entries = old.get(name), new.get(name)
            if entries[0] == entries[1]:
                continue
            inner = [one[1] if one and S_ISDIR(one[0]) else None for one in entries]
            if any(inner):
                waiting.append((folder, name + b"/", inner[0], inner[1]))
            if any(one and not S_ISDIR(one[0]) for one in entries):
                yield folder + name


def _sizes(git: Git, *commits: CommitSha) -> dict[CommitSha, int]:
    """Return commit → bytes, of those that are there."""
    asked = "".join(f"{commit.text}\n" for commit in commits)
    answer = _answer(git.run("cat-file", "--batch-check", stdin=asked))
    told = (line.split() for line in answer.splitlines())
    return {CommitSha(words[0]): int(words[2]) for words in told if words[1] == "commit"}


def _answer(result: CommandResult) -> str:
    try:
        return check(result).stdout
    except CommandFailed as error:
        raise SourceProtocolError(f"the commits can't be read: {error.message}") from error


def _told(paths: list[str], message: str) -> Comparison:
    if len(paths) > MOST_PATHS:
        return Comparison(None, message, _TOO_MANY)
    if sum(map(len, paths)) > _MOST_LETTERS:
        return Comparison(None, message, _TOO_MUCH)
    return Comparison(tuple(paths), message)


def _message(files: PackedFiles, commit: ObjectID) -> str:
    return _shortened(files.message(commit))


def _shortened(message: bytes) -> str:
    return message[:_MESSAGE_BYTES].decode(errors="replace")


def _gone(commit: CommitSha) -> str:
    return f"commit {commit.short} is not there any more"


def _id(commit: CommitSha) -> ObjectID:
    return ObjectID(commit.text.encode())
