"""What lies between two commits: walked in memory, or read from disk by git itself."""

import heapq
import re
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime

from dulwich.object_format import SHA1, SHA256
from dulwich.object_store import MemoryObjectStore
from dulwich.objects import Commit, ObjectID

from reconciler.adapters.git.binary import Git, object_format_of, split_z
from reconciler.adapters.git.pack import PackedFiles, PackTooLarge
from reconciler.domain.errors import RevisionNotFound, SourceProtocolError
from reconciler.domain.history import MOST_COMMITS, CommitInfo, History
from reconciler.domain.references import CommitSha
from reconciler.log import plain

#: How far back is asked for; less where a server sends files along, and they are too many.
_DEPTHS = (MOST_COMMITS + 1, 11, 2)
_LONGEST_SUBJECT = 200
_LONGEST_AUTHOR = 100
#: Git leaves it out where a commit has none, or one before 1970.
_SECONDS = re.compile("[0-9]{1,20}")
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)
# Cut by git itself: a hundred messages may be larger than what we read of its output.
_FORMAT = f"%H%x00%ct%x00%<({_LONGEST_AUTHOR},trunc)%an%x00%<({_LONGEST_SUBJECT},trunc)%s"

#: Takes commits and a depth; returns a checked pack of them. May raise ``PackTooLarge``.
Receive = Callable[[list[ObjectID], int], bytes]


def receive_history(receive: Receive, tip: CommitSha, base: CommitSha) -> History:
    """Return what lies between, with the least transfer; see ``GitRemote.history``."""
    for depth in _DEPTHS:
        try:
            return _walk(_receive_both(receive, tip, base, depth), tip, base)
        except PackTooLarge:
            continue
    raise SourceProtocolError(f"the history of {tip.short} is too large: the server sends files")


def read_history(git: Git, tip: CommitSha, base: CommitSha) -> History:
    """Return what lies between, from disk; see ``Repositories.history``."""
    if not _has(git, tip):
        raise RevisionNotFound(f"{git.repository.name} has no commit {tip.short}")
    known = _has(git, base)
    without = (f"^{base}",) if known else ()
    listed = git.output(
        *("log", "-z", f"--max-count={MOST_COMMITS + 1}", f"--format=tformat:{_FORMAT}"),
        *(tip.text, *without, "--"),
    )
    parts = split_z(listed)
    found = [_info(*parts[at : at + 4]) for at in range(0, len(parts), 4)]
    return History(
        tuple(found[:MOST_COMMITS]),
        base_found=known and git.run("merge-base", "--is-ancestor", base.text, tip.text).ok,
        more=len(found) > MOST_COMMITS,
    )


def read_commit(git: Git, commit: CommitSha) -> CommitInfo:
    """Return one commit of a repository on disk. Raises ``RevisionNotFound``."""
    if not _has(git, commit):
        raise RevisionNotFound(f"{git.repository.name} has no commit {commit.short}")
    listed = git.output(
        *("log", "-z", "--max-count=1", f"--format=tformat:{_FORMAT}"), *(commit.text, "--")
    )
    return _info(*split_z(listed)[:4])


def _receive_both(
    receive: Receive, tip: CommitSha, base: CommitSha, depth: int
) -> MemoryObjectStore:
    """Return the commits that lead to either, as far back as ``depth``."""
    sha256 = object_format_of(tip) == "sha256"
    objects = MemoryObjectStore(object_format=SHA256 if sha256 else SHA1)
    wanted = [_id(tip), _id(base)]
    try:
        pack = receive(wanted, depth)
    except RevisionNotFound:  # after a forced push nothing may lead to the base any more
        pack = receive(wanted[:1], depth)
    PackedFiles(objects).add(pack)
    return objects


def _walk(objects: MemoryObjectStore, tip: CommitSha, base: CommitSha) -> History:
    before = set(_ancestors(objects, _id(base)))
    queue = [(0, _id(tip))]
    seen, found = {_id(tip)}, list[CommitInfo]()
    more = False
    while queue:
        _, name = heapq.heappop(queue)
        if name in before:
            continue
        commit = _find(objects, name)
        if commit is None:
            more = True  # it was not asked for, or the server has no more than that
            continue
        found.append(_told(commit))
        for parent in commit.parents:
            if parent not in seen:
                seen.add(parent)
                heapq.heappush(queue, (-_time_of(objects, parent), parent))
    return History(
        tuple(found[:MOST_COMMITS]),
        base_found=_id(base) in seen,
        more=more or len(found) > MOST_COMMITS,
    )


def _ancestors(objects: MemoryObjectStore, name: ObjectID) -> Iterator[ObjectID]:
    """Yield ``name`` and those of its ancestors that are here."""
    waiting, seen = [name], {name}
    while waiting:
        name = waiting.pop()
        yield name
        commit = _find(objects, name)
        new: Collection[ObjectID] = set(commit.parents) - seen if commit else ()
        seen.update(new)
        waiting.extend(new)


def _find(objects: MemoryObjectStore, name: ObjectID) -> Commit | None:
    if name not in objects:
        return None
    found = objects[name]
    if not isinstance(found, Commit):
        raise SourceProtocolError(f"{name.decode()} is no commit")
    return found


def _time_of(objects: MemoryObjectStore, name: ObjectID) -> int:
    commit = _find(objects, name)
    return (commit.commit_time or 0) if commit else 0


def _told(commit: Commit) -> CommitInfo:
    name = (commit.author or b"").partition(b"<")[0]
    first = (commit.message or b"").lstrip(b"\n").partition(b"\n")[0]
    return _info(commit.id.decode(), str(commit.commit_time), _text(name), _text(first))


def _text(raw: bytes) -> str:
    return raw[: 4 * _LONGEST_SUBJECT].decode(errors="replace")


def _info(name: str, seconds: str, author: str, subject: str) -> CommitInfo:
    return CommitInfo(
        CommitSha.parse(name),
        plain(subject.strip())[:_LONGEST_SUBJECT],
        plain(author.strip())[:_LONGEST_AUTHOR],
        _instant(int(seconds) if _SECONDS.fullmatch(seconds) else 0),
    )


def _instant(seconds: int) -> datetime:
    """Return the instant; a clock that was far off is taken for the nearest that can be told."""
    latest = int(_LATEST.timestamp())
    return datetime.fromtimestamp(min(max(seconds, 0), latest), UTC)


def _has(git: Git, commit: CommitSha) -> bool:
    return git.run("cat-file", "-e", f"{commit}^{{commit}}").ok


def _id(commit: CommitSha) -> ObjectID:
    return ObjectID(commit.text.encode())
