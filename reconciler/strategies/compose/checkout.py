"""A checkout of strangers' files: every path that compose would open, followed before it does."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from reconciler.domain.compose import ComposeFile, Reach, ReachKind
from reconciler.domain.errors import InvalidComposeFile
from reconciler.domain.interpolation import Unresolved, interpolate
from reconciler.ports import ComposeReader

#: Ours, beside their files, and ignored by git.
DEPLOY_FOLDER = ".deploy"

_LIMIT_BYTES = 1 << 20
_MOST_FILES = 50
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
#: Compose has values of its own for these, and they win over a project's.
_COMPOSES_OWN = re.compile(r"PATH|PWD|LC_ALL|(COMPOSE|DOCKER|RECONCILER)_.*")


@dataclass(frozen=True, slots=True)
class Examined:
    """A compose file all of whose reach was followed and found inside its checkout."""

    file: ComposeFile
    environment: Mapping[str, str]  #: what its variables resolve to: ``.env``, then the project's
    order: tuple[str, ...]  #: service names as the files name them, main file first
    host_files: tuple[tuple[str, str], ...]  #: (where, absolute path) that compose reads itself


@dataclass(frozen=True, slots=True)
class Checkout:
    """The files of one commit at ``root``, and the compose file in it."""

    root: Path
    compose_path: str
    reader: ComposeReader

    @property
    def compose_file(self) -> Path:
        """The compose file."""
        return self.root / self.compose_path

    @property
    def folder(self) -> Path:
        """Against which compose resolves relative paths: where the compose file is."""
        return self.compose_file.parent

    def examine(self, variables: Mapping[str, str]) -> Examined:
        """Follow all that the compose file reaches.

        Raises:
            InvalidComposeFile: something in it is no regular file, leaves the checkout, or breaks
                the reader's limits.
        """
        main = self._read(self.root, self.compose_path)
        if os.path.realpath(self.compose_file) != str(self.compose_file.absolute()):
            raise InvalidComposeFile(f"{self.compose_path} is a symbolic link; it must be a file")
        dotenv = self._find_file(self.folder, ".env")
        environment = dict(self.reader.read_environment(_content(dotenv)) if dotenv else {})
        environment |= variables
        file = self.reader.read(main)
        order = [service.name for service in file.services]
        pending = [(self.compose_file, reach) for reach in file.reaches]
        seen = {self.compose_file}
        host_files: list[tuple[str, str]] = []
        while pending:
            written_in, reach = pending.pop()
            _require_one_reading(reach, included=written_in != self.compose_file)
            path = self._follow(written_in.parent, reach, environment)
            if path is not None and not path.is_relative_to(self.root):
                host_files.append((reach.where, str(path)))
            elif path is None or reach.kind is not ReachKind.COMPOSE or path in seen:
                continue
            else:
                seen.add(path)
                more = self._read_further(path, len(seen))
                order += [service.name for service in more.services]
                pending += [(path, further) for further in more.reaches]
                self._find_file(path.parent, ".env")  # compose reads it with an included file
        names = tuple(dict.fromkeys(order))
        return Examined(file, environment, names, tuple(host_files))

    def borrow_untracked(self, tree: Path, variables: Mapping[str, str]) -> None:
        """Copy in the environment files that are not in the commit, but in the work tree.

        An operator may keep a ``.env`` there that was never committed; it counts as committed.
        """
        wanted = [".env"]
        for reach in self.reader.read(self._read(self.root, self.compose_path)).reaches:
            if reach.kind is ReachKind.ENVIRONMENT and not reach.path.startswith(("/", "~")):
                try:
                    wanted.append(interpolate(reach.path, variables, missing=""))
                except Unresolved:
                    continue  # `examine` says so
        own = Checkout(tree, self.compose_path, self.reader)
        for written in wanted:
            target = resolve_inside(self.root, self.folder, written, "env_file")
            if target.exists() or not own.folder.is_dir():
                continue
            if source := own._find_file(own.folder, written):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target, follow_symlinks=False)

    def _read_further(self, path: Path, number: int) -> ComposeFile:
        if number > _MOST_FILES:
            raise InvalidComposeFile(f"the compose file reaches more than {_MOST_FILES} files")
        try:
            return self.reader.read(_content(path))
        except InvalidComposeFile as error:
            name = path.relative_to(self.root)
            raise InvalidComposeFile(f"{name}: {error.message}") from None

    def _read(self, folder: Path, written: str) -> bytes:
        path = self._find_file(folder, written)
        if path is None:
            raise InvalidComposeFile(f"{written} is not in the repository at this commit")
        return _content(path)

    def _find_file(self, folder: Path, written: str) -> Path | None:
        """Return the regular file at ``written``, links followed; None if nothing is there."""
        path = resolve_inside(self.root, folder, written, written)
        if not path.exists():
            return None
        if not path.is_file():
            raise InvalidComposeFile(f"{written} is not a regular file")
        return path

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


def _content(path: Path) -> bytes:
    """Return the file's content, one byte more than allowed at most: the reader judges the size."""
    # The path was resolved; a link put there since is not followed.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        return file.read(_LIMIT_BYTES + 1)


def _refusal(reach: Reach, problem: str) -> InvalidComposeFile:
    return InvalidComposeFile(f"{reach.where}: {reach.path[:200]!r} {problem}")
