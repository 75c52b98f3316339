"""The unit that the daemon itself is, wherever and under whichever name it is declared."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self


@dataclass(frozen=True, slots=True)
class Myself:
    """What systemd told this process when it started it; empty where it did not.

    A unit is known as ours by its invocation: no two starts of any unit have the same one.
    Source: systemd.exec(5), ``$INVOCATION_ID``.
    """

    invocation: str = ""
    deployment: str = ""  #: whose release we are; empty: of none of ours
    #: How long a new version may take to prove itself, where its target does not say.
    patience: timedelta = timedelta(minutes=5)

    @classmethod
    def of(cls, environment: Mapping[str, str], patience: timedelta) -> Self:
        """Return what ``environment``, our own, says."""
        invocation = environment.get("INVOCATION_ID", "")
        return cls(invocation, environment.get("RECONCILER_DEPLOYMENT", ""), patience)
