"""What the store hands out and takes in, beside the values of the domain."""

from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.deployment import (
    Cause,
    Deployment,
    DeploymentId,
    Stage,
)
from reconciler.domain.gate import Reason
from reconciler.domain.project import ExternalSource
from reconciler.domain.references import (
    CommitSha,
    ProjectName,
)
from reconciler.domain.revision import Fingerprint, Revision
from reconciler.domain.state import SourceHealth
from reconciler.domain.wish import Wish


@dataclass(frozen=True, slots=True)
class PollTask:
    """One external source that is due for a look."""

    project: ProjectName
    source: ExternalSource
    tracked: CommitSha | None
    health: SourceHealth  #: as the last look left it
    has_credentials: bool  #: whether any are stored for its source
    wish: Wish | None = None  #: who asked for this very look; None: its time had come
    due_at: datetime | None = None  #: when its time came; None: somebody made it due at once


@dataclass(frozen=True, slots=True)
class PollResult:
    """What one look gave."""

    project: ProjectName
    health: SourceHealth
    #: Whether a move that it found was announced; None: it found none that counts.
    announced: bool | None = None


@dataclass(frozen=True, slots=True)
class TriggerRecord:
    """One call of ``trigger_deployment``, and what became of it."""

    project: ProjectName
    cause: Cause
    revision: Revision
    outcome: str  #: ``admitted``, ``coalesced``, ``held`` or ``refused``
    reasons: tuple[Reason, ...]
    deployment: DeploymentId | None
    at: datetime
    count: int = 1  #: equal calls in a row are one record
    last_at: datetime | None = None
    number: int = 0  #: grows with each; 0 before it is kept
    correlation: str = ""  #: id of what asked; of several equal calls, the first
    override: str = ""  #: why it goes past windows and a freeze; told to the audit log alone


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """What stands before a deployment that waits, in all projects."""

    running: int  #: deployments that are under way
    ahead: int  #: that wait, are older, and whose time has come


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a deployment's output, secrets already taken out; colours are in it."""

    number: int  #: from 1, growing; it jumps where output over the limit was left out
    at: datetime
    stage: Stage
    text: str


@dataclass(frozen=True, slots=True)
class LogExtent:
    """Which lines of a log there are; those between the two parts were left out."""

    head: int = 0  #: number of the last line of the first part
    tail: int = 1  #: number of the first line of the second part
    last: int = 0  #: number of the newest line

    @property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """The first and the last number of each part that has lines."""
        found = ((1, self.head), (self.tail, self.last))
        return tuple((first, last) for first, last in found if first <= last)

    @property
    def count(self) -> int:
        """How many lines there are."""
        return sum(last - first + 1 for first, last in self.parts)

    def number_at(self, place: int) -> int:
        """Return the number of the line that is at ``place``, the first one at 1."""
        return place if place <= self.head else self.tail + place - self.head - 1

    def place_of(self, number: int) -> int:
        """Return at which place a line is, or the one before those that were left out."""
        return number if number <= self.head else max(number - self.tail + 1, 0) + self.head


@dataclass(frozen=True, slots=True)
class SettingRecord:
    """One live setting."""

    key: str
    value: bool | int
    changed_by: str = ""
    changed_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """What may be shown of a stored secret."""

    name: str  #: ``git-token``, ``git-ssh-key``, ``forge-token``, ``registry:HOST``, …
    fingerprint: str  #: first 8 hex digits of a keyed hash; tells equal from different, no more
    bound_to: str  #: origin or host it is sent to; empty for variables
    username: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """That a person approved the pending migration of one revision."""

    project: ProjectName
    fingerprint: Fingerprint
    deployment: DeploymentId  #: the one that stopped for it
    approved_by: str
    approved_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on one deployment. Every write with it is refused once it is lost."""

    deployment: Deployment
    owner: str
    fence: int
    resumed: bool  #: an earlier worker left it in the middle
