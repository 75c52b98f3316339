"""Files below one folder, reached without ever following a symlink.

Containers may write to a work tree through their bind mounts; a symlink planted there must not
lead our writes elsewhere. So each folder on the way is opened by its name in the one before.
"""

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TreeFiles:
    """The files of ``root`` while the block is open. Paths are relative, with forward slashes."""

    def __init__(self, root: Path) -> None:
        """Keep what to open."""
        self._root = root
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def exists(self, path: str) -> bool:
        """Tell whether there is anything but a folder at ``path``."""
        mode = self._mode(path)
        return mode is not None and not stat.S_ISDIR(mode)

    def in_the_way(self, paths: Iterable[str], known: Collection[str]) -> Sequence[str]:
        """Return what keeps files from being put at ``paths``, sorted; ``known`` ones don't."""
        return sorted({b for path in paths if (b := self._find_blocking(path, known)) is not None})

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files; folders stay, for they may be mounted into containers."""
        for path in paths:
            if self.exists(path):
                with self._parent(path) as (folder, name):
                    os.unlink(name, dir_fd=folder)

    def replace(self, path: str, ready: Path) -> None:
        """Move the file ``ready`` to ``path``, in one step, making folders on the way.

        Raises:
            OSError: something is in the way after all.
        """
        with self._parent(path, make=True) as (folder, name):
            with suppress(FileNotFoundError, NotADirectoryError):
                self._remove_empty(folder, name)
            os.rename(ready, name, dst_dir_fd=folder)

    def _find_blocking(self, path: str, known: Collection[str]) -> str | None:
        parts = path.split("/")
        for count in range(1, len(parts)):
            above = "/".join(parts[:count])
            mode = self._mode(above)
            if mode is None or not stat.S_ISDIR(mode):
                return None if mode is None or above in known else above
        mode = self._mode(path)
        if mode is None or (path in known and not stat.S_ISDIR(mode)):
            return None
        if not stat.S_ISDIR(mode):
            return path
        return next((file for file in self._files_below(path) if file not in known), None)

    def _files_below(self, path: str) -> Iterator[str]:
        with self._parent(path) as (folder, name):
            below = os.open(name, _FOLDER, dir_fd=folder)
        try:
            names = _names(below)
        finally:
            os.close(below)
        for name in names:
            inner = f"{path}/{name}"
            if self.exists(inner):
                yield inner
            else:
                yield from self._files_below(inner)

    def _mode(self, path: str) -> int | None:
        """Return the mode of what is at ``path``, None if nothing is, or nothing can be."""
        try:
            with self._parent(path) as (folder, name):
                return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _remove_empty(self, folder: int, name: str) -> None:
        """Remove the folder ``name`` if there is nothing but empty folders in it."""
        inner = os.open(name, _FOLDER, dir_fd=folder)
        try:
            for entry in _names(inner):
                self._remove_empty(inner, entry)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=folder)

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Give the open folder that ``path`` is in, and its name there.

        Raises:
            FileNotFoundError: a folder on the way is missing.
            NotADirectoryError: something on the way is a file or a symlink.
        """
        *folders, name = path.split("/")
        current = os.dup(self._descriptor)
        try:
            for part in folders:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=current)
                below = os.open(part, _FOLDER, dir_fd=current)
                os.close(current)
                current = below
            yield current, name
        finally:
            os.close(current)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]
