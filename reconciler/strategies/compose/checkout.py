"""A checkout of strangers' files: every path that compose would open, followed before it does."""

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Self

from reconciler.domain.compose import ComposeFile, Reach, ReachKind, merged
from reconciler.domain.errors import InvalidComposeFile
from reconciler.domain.interpolation import Unresolved, interpolate
from reconciler.ports import ComposeReader

#: Ours, beside their files, and ignored by git.
DEPLOY_FOLDER = ".deploy"

LIMIT_BYTES = 1 << 20
_MOST_FILES = 50
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
#: Compose has values of its own for these, and they win over a project's.
_COMPOSES_OWN = re.compile(r"PATH|PWD|LC_ALL|(COMPOSE|DOCKER|RECONCILER)_.*")


@dataclass(frozen=True, slots=True)
class Examined:
    """Compose files all of whose reach was followed and found inside their checkout."""

    file: ComposeFile  #: as they amount to together: of each service the last image that is named
    environment: Mapping[str, str]  #: what its variables resolve to: ``.env``, then the project's
    order: tuple[str, ...]  #: service names as the files name them, main file first
    host_files: tuple[tuple[str, str], ...]  #: (where, absolute path) that compose reads itself
    opened: tuple[str, ...] = ()  #: all that compose may open inside, paths below the root
    valued: tuple[str, ...] = ()  #: of those, what gives values: environment and label files


@dataclass(frozen=True, slots=True)
class Checkout:
    """The files of one commit at ``root``, and the compose files in it."""

    root: Path
    compose_path: str
    reader: ComposeReader
    extra_paths: tuple[str, ...] = ()  #: more compose files, later ones win
    borrowed: tuple[str, ...] = ()  #: files that are not in the commit

    @property
    def compose_file(self) -> Path:
        """The first compose file."""
        return self.root / self.compose_path

    @property
    def folder(self) -> Path:
        """Against which compose resolves relative paths: where the first compose file is."""
        return self.compose_file.parent

    def examine(self, variables: Mapping[str, str]) -> Examined:
        """Follow all that the compose files reach.

        Raises:
            InvalidComposeFile: something in them is no regular file, leaves the checkout, or
                breaks the reader's limits.
        """
        file = self._read_all()
        dotenv = self._find_file(self.folder, ".env")
        environment = dict(self.reader.read_environment(read_resolved(dotenv)) if dotenv else {})
        environment |= variables
        order = [service.name for service in file.services]
        # Also of what an extra file says: compose resolves it against the first one's folder.
        pending = [(self.compose_file, reach) for reach in file.reaches]
        seen = {self.root / path for path in (self.compose_path, *self.extra_paths)}
        opened = set(seen)
        host_files: list[tuple[str, str]] = []
        while pending:
            written_in, reach = pending.pop()
            _require_one_reading(reach, included=written_in != self.compose_file)
            path = self._follow(written_in.parent, reach, environment)
            if path is None:
                continue
            if not path.is_relative_to(self.root):
                host_files.append((reach.where, str(path)))
                continue
            opened.add(path)
            if reach.kind is ReachKind.COMPOSE and path not in seen:
                seen.add(path)
                more = self._read_further(path, len(seen))
                order += [service.name for service in more.services]
                pending += [(path, further) for further in more.reaches]
                self._find_file(path.parent, ".env")  # compose reads it with an included file
                opened.add(path.parent / ".env")
        names = tuple(dict.fromkeys(order))
        inside, valued = self._sorted(opened), self._sorted({*opened, self.folder / ".env"} - seen)
        return Examined(file, environment, names, tuple(host_files), inside, valued)

    def _sorted(self, paths: Collection[Path]) -> tuple[str, ...]:
        return tuple(sorted(str(path.relative_to(self.root)) for path in paths))

    def missing_environment(self, variables: Mapping[str, str]) -> tuple[str, ...]:
        """Return the environment files that are not in the commit, as paths below the root.

        An operator may keep them in the work tree, a ``.env`` say; they count as committed.
        """
        wanted = [".env"]
        for reach in self._read_all().reaches:
            if reach.kind is ReachKind.ENVIRONMENT and not reach.path.startswith(("/", "~")):
                try:
                    wanted.append(interpolate(reach.path, variables, missing=""))
                except Unresolved:
                    continue  # `examine` says so
        found = [resolve_inside(self.root, self.folder, path, "env_file") for path in wanted]
        missing = [str(path.relative_to(self.root)) for path in found if not path.exists()]
        return tuple(dict.fromkeys(missing))

    def borrow(self, files: Mapping[str, bytes]) -> Self:
        """Add files that are not in the commit; their paths are below the root."""
        for path, content in files.items():
            if len(content) > LIMIT_BYTES:
                raise InvalidComposeFile(f"{path} has more than {LIMIT_BYTES} bytes (1 MiB)")
            target = resolve_inside(self.root, self.root, path, "env_file")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return replace(self, borrowed=(*self.borrowed, *files))

    def give_back(self) -> None:
        """Remove what was borrowed: what is built is built from the commit alone."""
        for path in self.borrowed:
            (self.root / path).unlink(missing_ok=True)

    def _read_all(self) -> ComposeFile:
        """Return what the compose files say together."""
        first = self._read_own(self.compose_path)
        return merged([first, *(self._read_extra(path) for path in self.extra_paths)])

    def _read_extra(self, path: str) -> ComposeFile:
        try:
            return self._read_own(path)
        except InvalidComposeFile as error:
            if error.message.startswith(path):
                raise
            raise InvalidComposeFile(f"{path}: {error.message}") from None

    def _read_own(self, path: str) -> ComposeFile:
        content = self._read(self.root, path)
        if os.path.realpath(self.root / path) != str((self.root / path).absolute()):
            raise InvalidComposeFile(f"{path} is a symbolic link; it must be a file")
        return self.reader.read(content)

    def _read_further(self, path: Path, number: int) -> ComposeFile:
        if number > _MOST_FILES:
            raise InvalidComposeFile(f"the compose file reaches more than {_MOST_FILES} files")
        try:
            return self.reader.read(read_resolved(path))
        except InvalidComposeFile as error:
            name = path.relative_to(self.root)
            raise InvalidComposeFile(f"{name}: {error.message}") from None

    def _read(self, folder: Path, written: str) -> bytes:
        path = self._find_file(folder, written)
        if path is None:
            raise InvalidComposeFile(f"{written} is not in the repository at this commit")
        return read_resolved(path)

    def _find_file(self, folder: Path, written: str) -> Path | None:
        return _find_file(self.root, folder, written)

    def _follow(self, folder: Path, reach: Reach, environment: Mapping[str, str]) -> Path | None:
        """Return the file that ``reach`` leads to, if it is one that compose reads itself.

        One outside the checkout is the host's own, named by an absolute path.
        """
        missing = "" if reach.kind is ReachKind.MOUNT else None
        try:
            written = interpolate(reach.path, environment, missing=missing)
        except Unresolved as unresolved:
            raise _refusal(reach, f"has a variable that is not set: {unresolved.what}") from None
        if reach.kind is ReachKind.FOLDER:
            raise _refusal(reach, "is not supported; keep included files beside what they name")
        if written.startswith("~"):
            raise _refusal(reach, "names a home folder; write the path in full")
        if _is_remote(written, reach.kind):
            raise _refusal(reach, "is not in the repository; remote files are refused")
        if written.startswith("/"):
            if reach.kind is ReachKind.COMPOSE:
                raise _refusal(reach, "is not in the repository")
            return Path(written) if reach.kind is ReachKind.ENVIRONMENT else None
        path = resolve_inside(self.root, folder, written, reach.where)
        if reach.kind in {ReachKind.MOUNT, ReachKind.FILE} or (
            reach.optional and not path.exists()
        ):
            return None
        if self._find_file(folder, written) is None:
            raise _refusal(reach, "is not there at this commit")
        return path


def read_inside(root: Path, path: str) -> bytes | None:
    """Return the file at ``path`` below ``root``, cut behind the limit; None if it is not there.

    Raises:
        InvalidComposeFile: it is no regular file, or leads out of ``root``.
    """
    found = _find_file(root, root, path) if root.is_dir() else None
    return read_resolved(found) if found else None


def _find_file(root: Path, folder: Path, written: str) -> Path | None:
    """Return the regular file at ``written``, links followed; None if nothing is there."""
    path = resolve_inside(root, folder, written, written)
    if not path.exists():
        return None
    if not path.is_file():
        raise InvalidComposeFile(f"{written} is not a regular file")
    return path


def resolve_inside(root: Path, folder: Path, written: str, where: str) -> Path:
    """Return where ``written`` leads from ``folder``, symbolic links followed, inside ``root``.

    Raises:
        InvalidComposeFile: it leaves ``root``, on its way or at its end.
    """
    if "\0" in written or len(written) > 4096:
        raise InvalidComposeFile(f"{where}: {written[:80]!r} is not a path")
    steps = PurePosixPath(folder.relative_to(root)).joinpath(written).parts
    depth = 0
    for step in steps:
        depth += -1 if step == ".." else step not in {".", "/"}
        if depth < 0:
            raise InvalidComposeFile(f"{where}: {written!r} leaves the repository")
    real_root = os.path.realpath(root)
    real = os.path.realpath(os.path.join(real_root, *steps))  # noqa: PTH118  text, not yet trusted
    if real != real_root and not real.startswith(real_root + os.sep):
        raise InvalidComposeFile(f"{where}: {written!r} leaves the repository by a symbolic link")
    return Path(real)


def _is_remote(written: str, kind: ReachKind) -> bool:
    """Tell whether compose would fetch it, whatever file of that name there is."""
    is_compose = kind is ReachKind.COMPOSE
    return "://" in written or (is_compose and (":" in written or written.startswith("github.com")))


def _require_one_reading(reach: Reach, *, included: bool) -> None:
    """Refuse a path that compose itself opens and may resolve to another one than we do.

    It has an environment of its own, and one more for each included file: that folder's ``.env``.
    """
    if reach.kind not in {ReachKind.COMPOSE, ReachKind.ENVIRONMENT}:
        return  # judged by what compose made of it
    variables = _VARIABLE.findall(reach.path.replace("$$", ""))
    if variables and included:
        raise _refusal(reach, "has a variable; in an included file it must be written in full")
    for name in variables:
        if _COMPOSES_OWN.fullmatch(name):
            raise _refusal(reach, f"has the variable {name}, which is compose's own")


def read_resolved(path: Path) -> bytes:
    """Return the file's content, one byte more than allowed at most: the reader judges the size.

    Raises:
        OSError: among others, a link is there, at its end or on its way, that was put there since.
    """
    *folders, name = path.parts
    folder = os.open(path.anchor, os.O_PATH)
    try:
        for step in folders[1:]:
            there = os.open(step, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = there
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    with os.fdopen(opened, "rb") as file:
        return file.read(LIMIT_BYTES + 1)


def _refusal(reach: Reach, problem: str) -> InvalidComposeFile:
    return InvalidComposeFile(f"{reach.where}: {reach.path[:200]!r} {problem}")
