"""What we know of a project: observed, attempted and deployed are three facts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.domain.deployment import Deployment
from reconciler.domain.failure import Failure
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, Digest, ProjectName
from reconciler.domain.revision import Fingerprint, Revision
from reconciler.domain.rules import Freeze


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
    note: str = ""  #: what its services' labels ask for besides, and don't get


@dataclass(frozen=True, slots=True)
class RegistryTrouble:
    """Why a registry is not asked about images now."""

    host: str
    code: ReasonCode  #: ``registry-cooled`` or ``registry-unreachable``
    message: str
    since: datetime
    until: datetime | None = None  #: None: until it answers
    username: str = ""  #: whom it asked to wait; empty: everybody, or nobody in particular

    def goes_on(self, now: datetime) -> bool:
        """Tell whether it is so at ``now``."""
        return self.until is None or self.until > now


@dataclass(frozen=True, slots=True)
class ImageLook:
    """What a look at the registries gave of one project."""

    project: ProjectName
    followed: Collection[str]  #: all images that it follows now
    seen: Mapping[str, Digest]  #: those whose look-up gave a digest; one that failed is left out
    #: What was tracked when the look began. An image that is tracked at something else by now was
    #: acted on by a later look, or one beside this: what this one saw of it may be out of date.
    since: Mapping[str, Digest]
    #: When the digest of each was seen first; an image that is left out was seen just now.
    first_seen: Mapping[str, datetime] = field(default_factory=dict)

    def valid_after(self, tracked: Mapping[str, Digest]) -> Mapping[str, Digest]:
        """Return what was seen of the images that nobody acted on since it began."""
        return {
            image: digest
            for image, digest in self.seen.items()
            if tracked.get(image) == self.since.get(image)
        }


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
class Drift:
    """That what runs is not what was deployed, and nobody deployed anything since."""

    since: datetime
    differences: tuple[str, ...]  #: each in words, e.g. ``web runs …, deployed was …``; not empty


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A tip that was looked at and is not deployed by itself: the next move is compared anew."""

    commit: CommitSha
    code: str  #: of the reason, e.g. ``path-untouched``
    text: str
    at: datetime
    base: CommitSha  #: what it was compared with; once that counts no more, it is undecided again


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
    toggled_by: str = ""  #: who switched auto-deploy last, or declared it; empty: nobody knows
    toggled_at: datetime | None = None
    freeze: Freeze | None = None  #: the last one, over or not; None: never, or lifted
    drift: Drift | None = None  #: None: what runs is what was deployed, as far as anybody knows

    def newest_wanted(self, observed: CommitSha | None) -> CommitSha | None:
        """Return the newest commit that should run, of a branch that was seen at ``observed``."""
        if observed is None or self.passed_over_at(observed):
            return self.tracked_commit
        return observed

    def passed_over_at(self, observed: CommitSha | None) -> PassedOver | None:
        """Return why ``observed``, where the branch was seen, does not run; None: it should."""
        passed = self.passed_over
        return passed if passed and passed.commit == observed else None
