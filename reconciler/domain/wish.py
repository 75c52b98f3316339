"""A look that somebody asked for out of turn."""

from dataclasses import dataclass

from reconciler.domain.deployment import Trigger


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants a source looked at now; what comes of the look is in that name."""

    trigger: Trigger
    actor: str
    delivery: int | None = None  #: number of the webhook's delivery that it goes back to
    correlation: str = ""  #: id of the request that it came with; empty: none
