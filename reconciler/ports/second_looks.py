"""Looking again, as soon as it may go, at what was held for a time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from reconciler.domain.references import ProjectName


class SecondLookStore(Protocol):
    """When to look again at what was held for a time: a closed window, a freeze, a young image."""

    def look_again(self, name: ProjectName, at: datetime, now: datetime) -> None:
        """Have the project's source and images looked at once it is ``at``.

        Of several such times the first counts that is still to come.
        """
        ...

    def list_looks_due(self, now: datetime) -> Mapping[ProjectName, datetime]:
        """Return the projects whose time has come, and which time that is."""
        ...

    def looked_again(self, name: ProjectName, at: datetime) -> None:
        """Note that the look of that time was made; one that was asked for meanwhile stays."""
        ...
