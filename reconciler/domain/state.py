"""What we know of a project: observed, attempted and deployed are three facts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.domain.deployment import Deployment
from reconciler.domain.failure import Failure
from reconciler.domain.references import CommitSha, Digest, ProjectName
from reconciler.domain.revision import Fingerprint, Revision


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How looking at a source has gone lately."""

    looked_at: datetime | None = None  #: last completed look, good or bad; None before the first
    next_look_at: datetime | None = None
    observed: CommitSha | None = None  #: branch tip of the last good look
    observed_at: datetime | None = None
    branch_gone: bool = False  #: the server answered, and the branch was not there
    failures: int = 0  #: in a row
    error: Failure | None = None  #: of the last look, None if it was good

    def after_failure(self, error: Failure, at: datetime, next_look_at: datetime) -> "SourceHealth":
        """Return this after one more look, ``at``, that failed: what was seen before stays."""
        return replace(
            self,
            looked_at=at,
            next_look_at=next_look_at,
            failures=self.failures + 1,
            error=error,
        )


@dataclass(frozen=True, slots=True)
class WatchedImage:
    """One image of a project, as its compose file names it at the tracked commit."""

    image: str  #: as ``ImageReference`` writes it; the file's own text where it is unwatched
    services: tuple[str, ...]
    unwatched_because: str = ""  #: empty while it is watched
    digest: Digest | None = None  #: last one that a look-up gave
    first_seen_at: datetime | None = None  #: of that digest
    looked_at: datetime | None = None
    error: Failure | None = None  #: of the last look-up


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A revision that failed where it may have left something, and is not tried again by itself."""

    revision: Revision
    deployment: int
    since: datetime
    reason: str

    @property
    def fingerprint(self) -> Fingerprint:
        """The revision's identity."""
        return self.revision.fingerprint

    @property
    def story(self) -> str:
        """What happened to it, in words."""
        return f"quarantined since it failed in deployment {self.deployment}: {self.reason}"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A tip that was looked at and is not deployed by itself: the next move is compared anew."""

    commit: CommitSha
    code: str  #: of the reason, e.g. ``path-untouched``
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ProjectState:
    """The recorded facts that decisions are made from."""

    name: ProjectName
    #: Commit of the newest deployment that was admitted (``last_tracked_commit_sha``).
    tracked_commit: CommitSha | None = None
    #: Image → digest of the newest look that was acted on (``last_tracked_image_digests``).
    tracked_images: Mapping[str, Digest] = field(default_factory=dict)
    images_seeded: bool = False  #: whether the first watch tick has been
    queued: Deployment | None = None
    running: Deployment | None = None
    live: Deployment | None = None  #: whose prepared revision was verified last
    latest: Deployment | None = None  #: the newest of all, whatever became of it
    quarantined: tuple[Quarantine, ...] = ()
    passed_over: PassedOver | None = None  #: the newest tip, where it was not to be deployed
    toggled_by: str = ""  #: who switched auto-deploy last; empty: nobody since it was declared
    toggled_at: datetime | None = None
