"""Naming all that is wrong with a declaration at once."""

from collections.abc import Callable
from typing import TypeVar

from reconciler.domain.errors import InvalidInput, SeveralInvalid

Parsed = TypeVar("Parsed")


class Problems:
    """Collects what is wrong, so that every wrong field is named at once."""

    def __init__(self) -> None:
        self.found: list[InvalidInput] = []

    def collect(self, parse: Callable[[], Parsed]) -> Parsed | None:
        """Return what ``parse`` does; None where it raises, which is kept."""
        try:
            return parse()
        except InvalidInput as problem:
            self.found.append(problem)
        except SeveralInvalid as several:
            self.found.extend(several.problems)
        return None

    def error(self) -> InvalidInput | SeveralInvalid:
        """Return one error for all that was found; there is something."""
        return self.found[0] if len(self.found) == 1 else SeveralInvalid(self.found)
