"""Versions of what was declared, so that nobody overwrites a change that they have not seen."""

import hashlib
from dataclasses import dataclass

from reconciler.domain.errors import ChangedMeanwhile


def version_of(declared: object) -> str:
    """Return what tells this declaration from every other of the same thing."""
    return hashlib.sha256(repr(declared).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a change is meant for; it is not made to anything else."""

    versions: frozenset[str] | None = None  #: one of these; None: whatever is declared now

    def require(self, declared: object) -> None:
        """Pass what is expected. Raises ``ChangedMeanwhile``."""
        if self.versions is not None and version_of(declared) not in self.versions:
            raise ChangedMeanwhile


#: A change is made to whatever is there.
ANYTHING = Expected()
