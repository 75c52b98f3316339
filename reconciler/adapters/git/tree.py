"""What a commit holds, and whether it may be written to a disk of ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from reconciler.adapters.git.binary import Git, split_z
from reconciler.domain.errors import (
    CommandFailed,
    CommitNotFound,
    InvalidComposeFile,
    PreconditionFailed,
)
from reconciler.domain.references import CommitSha

#: Where we keep what is ours in a work tree; no commit may bring files of that name.
OWN_FOLDER = ".deploy"
_SYMLINK, _SUBMODULE = "120000", "160000"
_LONGEST_LINK_BYTES = 4096
#: What stands in a child's output for bytes that are no UTF-8.
_NOT_TEXT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class TreeLimits:
    """How much of a commit is written to disk."""

    files: int = 100_000
    size_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or symlink of a commit."""

    mode: str
    blob: str
    size_bytes: int


#: Path → entry. Submodules are left out: nothing is ever fetched for them.
Tree = Mapping[str, Entry]
EMPTY_TREE: Tree = {}


def list_tree(git: Git, commit: CommitSha) -> Tree:
    """Return the files of ``commit``.

    Raises:
        CommitNotFound: it is not in the repository.
        PreconditionFailed: its list of files alone is larger than we read.
        InvalidComposeFile: a name in it is not UTF-8.
    """
    try:
        listed = git.run("ls-tree", "-r", "-z", "--long", "--full-tree", commit.text, "--")
    except CommandFailed as error:
        raise PreconditionFailed(f"commit {commit.short} has too many files to list") from error
    if not listed.ok:
        raise CommitNotFound(f"{git.repository.name} has no commit {commit.short}")
    if _NOT_TEXT in listed.stdout:
        # Different names would look alike, and one entry stand for another.
        raise InvalidComposeFile(f"commit {commit.short} has a file whose name is not UTF-8")
    tree = {}
    for line in split_z(listed.stdout):
        facts, _, path = line.partition("\t")
        mode, _, blob, size = facts.split()
        if mode != _SUBMODULE:
            tree[path] = Entry(mode, blob, int(size))
    return tree


def check_tree(git: Git, commit: CommitSha, tree: Tree, limits: TreeLimits) -> None:
    """Make sure that writing ``tree`` is safe, before a byte of it is.

    Raises:
        PreconditionFailed: more files or bytes than allowed.
        InvalidComposeFile: a symlink that leads out of the checkout, or a file in ``.deploy``.
    """
    size = sum(entry.size_bytes for entry in tree.values())
    if len(tree) > limits.files or size > limits.size_bytes:
        message = (
            f"commit {commit.short} has {len(tree)} files of {size >> 20} MiB;"
            f" at most {limits.files} of {limits.size_bytes >> 20} MiB are written"
        )
        raise PreconditionFailed(message, files=str(len(tree)), size_bytes=str(size))
    for path, entry in tree.items():
        if path.split("/", 1)[0] == OWN_FOLDER:
            raise InvalidComposeFile(f"{path}: {OWN_FOLDER}/ is ours; no commit may hold it")
        if entry.mode == _SYMLINK:
            _check_link(git, path, entry)


def leads_out(path: str, target: str) -> bool:
    """Tell whether a symlink at ``path`` could lead out of the checkout, or is unclear.

    Only ``..`` at the very beginning is allowed, and not past the root. Then each link leads
    inside on its own, whatever other links its way leads through.
    """
    parts = target.split("/")
    climbs = 0
    while climbs < len(parts) and parts[climbs] == "..":
        climbs += 1
    depth = len(PurePosixPath(path).parts) - 1
    return not target or target.startswith("/") or climbs > depth or ".." in parts[climbs:]


def _check_link(git: Git, path: str, entry: Entry) -> None:
    target = (
        "" if entry.size_bytes > _LONGEST_LINK_BYTES else git.output("cat-file", "blob", entry.blob)
    )
    if leads_out(path, target):
        message = f"{path} is a symlink that leads out of the repository"
        raise InvalidComposeFile(message, path=path, target=target)
