"""Whether the moves of a project's branch came announced, or a poll had to find them."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler.domain.references import CommitSha
from reconciler.domain.webhook import WebhookName

#: Moves that are kept of a project.
MOST_MOVES = 20
#: A poll may find a move a moment before its delivery comes; later than this it was lost.
LATE_BY = timedelta(seconds=60)
_JUDGED = 5
_SUSPICIOUS = 2


@dataclass(frozen=True, slots=True)
class Move:
    """A tip that a look found where there was another one before."""

    commit: CommitSha
    at: datetime
    announced: bool


@dataclass(frozen=True, slots=True)
class Announcements:
    """A project's last moves, and the last delivery that concerned it."""

    moves: tuple[Move, ...] = ()  #: oldest first
    announced_by: WebhookName | None = None
    announced_at: datetime | None = None

    def with_move(self, commit: CommitSha, at: datetime, *, announced: bool) -> "Announcements":
        """Return this with one more move."""
        moves = (*self.moves, Move(commit, at, announced))
        return replace(self, moves=moves[-MOST_MOVES:])

    def with_delivery(self, webhook: WebhookName, at: datetime) -> "Announcements":
        """Return this with a delivery, which may be that of the newest move without one."""
        moves = list(self.moves)
        for number in reversed(range(len(moves))):
            if not moves[number].announced:
                if at - moves[number].at <= LATE_BY:
                    moves[number] = replace(moves[number], announced=True)
                break
        return Announcements(tuple(moves), webhook, at)

    @property
    def judged(self) -> int:
        """How many moves say how it goes lately."""
        return len(self.moves[-_JUDGED:])

    @property
    def missed(self) -> int:
        """How many of these came without a delivery."""
        return sum(not move.announced for move in self.moves[-_JUDGED:])

    @property
    def suspicious(self) -> bool:
        """Whether that is more than a chance."""
        return self.missed >= _SUSPICIOUS

    @property
    def missed_at(self) -> datetime | None:
        """When the newest move without a delivery was found."""
        return max((move.at for move in self.moves if not move.announced), default=None)
