"""Which paths of a repository concern a project: folders, files, and globs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.domain.errors import InvalidInput

_LONGEST = 256
_FORM = re.compile(r"[^\x00-\x1f\x7f\\]+")


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A folder, a file or a glob, from the repository's root: ``apps/shop``, ``**/*.sql``.

    ``*`` stands for anything within one part of a path, ``**`` for any number of parts, and what
    fits stands for everything below it, too.
    """

    text: str

    @classmethod
    def parse(cls, text: str, field: str = "watch_paths") -> "PathPattern":
        """Return the pattern. Raises ``InvalidInput``."""
        form = text.removesuffix("/")
        parts = form.split("/")
        if not _FORM.fullmatch(text) or len(text) > _LONGEST or not all(parts):
            problem = "must be a path below the repository's root, like 'apps/shop' or '**/*.sql'"
            raise InvalidInput(field, text, problem)
        if {".", ".."} & set(parts):
            raise InvalidInput(field, text, "must not have '.' or '..' in it")
        if any("**" in part and part != "**" for part in parts):
            raise InvalidInput(field, text, "has '**' beside other letters; it must stand alone")
        if sum(part == "**" for part in parts) > 2 or max(part.count("*") for part in parts) > 4:
            raise InvalidInput(field, text, "has too many '*'")
        return cls(form)

    def __str__(self) -> str:
        """Return it as it was written, without a slash at its end."""
        return self.text

    def fits(self, path: str) -> bool:
        """Tell whether ``path`` is what it names, or is below that."""
        patterns, parts = self.text.split("/"), path.split("/")
        #: How many of the path's parts the patterns so far may have taken.
        taken = {0}
        for pattern in patterns:
            if pattern == "**":
                taken = set(range(min(taken), len(parts) + 1))
            else:
                taken = {n + 1 for n in taken if n < len(parts) and _part_fits(pattern, parts[n])}
            if not taken:
                return False
        return True


def _part_fits(pattern: str, part: str) -> bool:
    """Tell whether ``*`` in ``pattern`` can stand for what makes it ``part``; never tries twice."""
    first, *others = pattern.split("*")
    if not others:
        return pattern == part
    *middle, last = others
    if not part.startswith(first):
        return False
    at = len(first)
    for piece in middle:
        found = part.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(part) - at >= len(last) and part.endswith(last)


def any_fits(patterns: Iterable[PathPattern], paths: Iterable[str]) -> bool:
    """Tell whether one of ``paths`` concerns who watches ``patterns``."""
    known = tuple(patterns)
    return any(pattern.fits(path) for path in paths for pattern in known)
