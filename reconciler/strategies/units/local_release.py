"""What was built here becomes a release: the folder that a unit runs in."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.domain.deployment import Release
from reconciler.domain.errors import CommandFailed, PreconditionFailed
from reconciler.domain.references import CommitSha, Digest, RepositoryPath

_CHUNK_BYTES = 1 << 20
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class LocalRelease:
    """A release in a folder here."""

    release: Release
    folder: Path

    @property
    def size_bytes(self) -> int:
        """What it takes on a disk, about."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def release_name(origin: CommitSha | Digest, digest: Digest, content: str = "") -> str:
    """Return ``<commit>-<digest>``, 12 digits of each, so that another build is another release.

    Where no commit is known, it begins with the image's digest. ``content`` is a sha256 of all
    files where there are more than the binary; 8 digits of it follow.
    """
    made_of = origin.short if isinstance(origin, Digest) else origin.text[:12]
    return f"{made_of}-{digest.short}" + (f"-{content[:8]}" if content else "")


def assemble(
    built: Path,
    binary: RepositoryPath,
    more: Sequence[RepositoryPath],
    into: Path,
    origin: CommitSha | Digest,
) -> LocalRelease:
    """Copy the binary and ``more`` from the folder ``built`` into the empty folder ``into``.

    ``origin`` is the commit, or the image, that it is made of.

    Raises:
        CommandFailed: something is not there, is a link, or leads out.
    """
    root = built.resolve()
    program = built / binary
    if not program.is_file() or program.resolve() != root / binary:
        raise CommandFailed(f"the build left no file {binary}")
    for path in (binary, *more):
        _take(built, root, path, into)
    _refuse_links_out(into)
    _make_readable(into)
    (into / binary).chmod(0o755)
    digest = Digest(f"sha256:{sha256_of(into / binary)}")
    name = release_name(origin, digest, content_of(into) if more else "")
    return LocalRelease(Release(name, digest), into)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Say what is missing on this machine: space, most of all, or permission.

    Raises:
        PreconditionFailed: the block ended with an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        where = f" ({_letters(error.filename)})" if error.filename else ""
        reason = error.strerror or _letters(str(error))[:_LONGEST_REASON]
        raise PreconditionFailed(f"the build's folder can't be written: {reason}{where}") from error


def _take(built: Path, root: Path, path: RepositoryPath, into: Path) -> None:
    source, copy = built / path, into / path
    if not source.exists() and not source.is_symlink():
        raise CommandFailed(f"the build left no {path}")
    if _leads_out(source, root):
        raise CommandFailed(f"{path} leads out of the source folder")
    copy.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, copy, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, copy, follow_symlinks=False)


def _refuse_links_out(folder: Path) -> None:
    root = folder.resolve()
    for path in _all_below(folder):
        if path.is_symlink() and _leads_out(path, root):
            name = path.relative_to(folder)
            raise CommandFailed(f"{_letters(name)} is a link that leads out of the release")


def _leads_out(path: Path, root: Path) -> bool:
    try:
        return not path.resolve().is_relative_to(root)
    except RuntimeError:  # links that lead to one another lead nowhere
        return True


def _make_readable(folder: Path) -> None:
    """Let the unit's user read it, whatever the umask of the build was, and change nothing."""
    for path in (folder, *_all_below(folder)):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)


def content_of(folder: Path) -> str:
    """Return a sha256 of all files: their names, contents and links."""
    whole = hashlib.sha256()
    for path in sorted(_all_below(folder)):
        name = path.relative_to(folder)
        if path.is_symlink():
            whole.update(os.fsencode(f"{name} -> {path.readlink()}\n"))
        elif path.is_file():
            whole.update(os.fsencode(f"{sha256_of(path)}  {name}\n"))
    return whole.hexdigest()


def _letters(name: Path | str | bytes) -> str:
    """Return a name as text that can be written down: a file's may be any bytes."""
    return os.fsencode(name).decode(errors="replace")


def _all_below(folder: Path) -> Iterable[Path]:
    return folder.rglob("*")


def sha256_of(path: Path) -> str:
    """Return that of one file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
