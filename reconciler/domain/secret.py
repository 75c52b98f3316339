"""Text that never prints itself."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A password, token or key. ``reveal()`` is the only way to its text."""

    _text: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Return ``text`` as a secret."""
        return cls(text)

    def reveal(self) -> str:
        """Return the clear text, for the one call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return "…"
