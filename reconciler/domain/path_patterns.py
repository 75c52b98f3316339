"""Which paths of a repository concern a project: folders, files, and globs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.domain.errors import InvalidInput

_LONGEST = 256
_MOST = 50
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
        return any_fits((self,), (path,))

    @property
    def expression(self) -> str:
        """It as a regular expression for the beginning of a path that ends in a slash.

        What a star stands for is tried once, the shortest first, and kept: nothing that follows
        could be better off with more. So no path takes longer than its length.
        """
        sections = [""]
        for part in self.text.split("/"):
            if part == "**":
                sections.append("")
            else:
                sections[-1] += f"{_of_part(part)}/"
        first, *others = sections
        return first + "".join(f"(?>(?:[^/]*/)*?{section})" for section in others if section)


def _of_part(part: str) -> str:
    """Return a regular expression for a part of a path, in which ``*`` stays within it."""
    first, *others = map(re.escape, part.split("*"))
    if not others:
        return first
    *middle, last = others
    return first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + f"[^/]*{last}"


def parse_patterns(texts: Sequence[str], field: str = "watch_paths") -> tuple[PathPattern, ...]:
    """Return the patterns, each once. Raises ``InvalidInput``, which names the first wrong one."""
    if len(texts) > _MOST:
        raise InvalidInput(field, len(texts), f"patterns are more than {_MOST}")
    return tuple(
        dict.fromkeys(PathPattern.parse(text, f"{field}.{at}") for at, text in enumerate(texts))
    )


def any_fits(patterns: Iterable[PathPattern], paths: Iterable[str]) -> bool:
    """Tell whether one of ``paths`` concerns who watches ``patterns``."""
    expression = re.compile("|".join(pattern.expression for pattern in patterns))
    return any(expression.match(f"{path}/") for path in paths)
