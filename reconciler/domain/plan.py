"""What deploying now would change."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.errors import InvalidInput
from reconciler.domain.history import CommitInfo, History
from reconciler.domain.host import HostName
from reconciler.domain.references import CommitSha, Digest, ProjectName
from reconciler.domain.revision import Revision

_ID = re.compile("[0-9a-f]{16}")


class Direction(StrEnum):
    """How the commit that would be taken stands to the one that is live."""

    FIRST = "first"  #: nothing is live
    SAME = "same"
    FORWARD = "forward"
    BACK = "back"  #: it is an ancestor of what is live
    REWRITTEN = "rewritten"  #: what is live is no ancestor of it
    UNKNOWN = "unknown"  #: what is live was not found among the commits that were looked at


class ImageFate(StrEnum):
    """What a deployment does with the image of a service."""

    PINNED = "pinned"  #: to the digest behind its tag
    FIXED = "fixed"  #: the file names its digest
    BUILT = "built"  #: from the commit
    LEFT = "left"  #: as it is: it is stateful, or a label says so
    GONE = "gone"  #: the service is in the files no more


@dataclass(frozen=True, slots=True)
class ExactImage:
    """One exact image, and what its registry tells of it; None where that is not known."""

    name: str  #: with the tag that was followed
    digest: Digest
    built: bool = False  #: it was built here, or is a unit's release: no registry knows it
    size_bytes: int | None = None  #: of its layers, as they are sent
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ImageStep:
    """What becomes of one service's image on hosts that run the same of it."""

    service: str
    name: str  #: as the files name it
    fate: ImageFate
    hosts: tuple[HostName, ...]
    before: ExactImage | None  #: None: nothing of it runs, or nobody pinned it
    after: ExactImage | None  #: None: not known before it is deployed
    note: str = ""

    @property
    def changes(self) -> bool:
        """Whether something else is known to run afterwards."""
        if self.fate is ImageFate.LEFT:
            return False
        return self.after is None or self.before is None or self.before.digest != self.after.digest


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One file that differs between two commits."""

    path: str  #: safe to show
    change: str  #: ``added``, ``changed`` or ``removed``


@dataclass(frozen=True, slots=True)
class ChangedFiles:
    """The files that differ between two commits, as many as are shown."""

    files: tuple[ChangedFile, ...] = ()
    more: int = 0  #: that are not shown


@dataclass(frozen=True, slots=True)
class Difference:
    """How the rendered compose file differs, as a unified diff without secrets."""

    lines: tuple[str, ...] = ()
    note: str = ""  #: why there is none, or not all of it


class Weight(StrEnum):
    """What a finding means for the deployment."""

    REFUSES = "refuses"  #: it would not start
    FAILS = "fails"  #: it would start, and fail
    TELLS = "tells"  #: it happens besides, or is good to know


@dataclass(frozen=True, slots=True)
class Finding:
    """What would stop it, or would happen besides."""

    weight: Weight
    code: str  #: the same as a deployment's own error or reason
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class PlanBasis:
    """What a plan was made from; what is deployed by its id is exactly that."""

    live: DeploymentId | None
    revision: Revision

    @property
    def id(self) -> str:
        """The plan's identity: 16 hex digits."""
        canonical = json.dumps([self.live, self.revision.fingerprint])
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def parse_plan_id(text: str, field: str = "plan") -> str:
    """Return ``text`` as the id of a plan. Raises ``InvalidInput``."""
    if not _ID.fullmatch(text):
        raise InvalidInput(field, text, "is not the id of a plan (16 hex digits)")
    return text


@dataclass(frozen=True, slots=True)
class Plan:
    """What deploying now would change, as far as it could be found out in time."""

    project: ProjectName
    basis: PlanBasis
    live_commit: CommitSha | None
    direction: Direction
    hosts: tuple[HostName, ...]
    verdict: str  #: one plain sentence
    changes: bool  #: whether a deployment would start, and change something
    history: History | None = None  #: None: there is nothing between, or it is not known
    images: tuple[ImageStep, ...] = ()
    files: ChangedFiles | None = None  #: None: not known
    difference: Difference = field(default_factory=Difference)
    findings: tuple[Finding, ...] = ()
    #: Host → the commit that runs there, where that is another than the live one.
    elsewhere: Mapping[HostName, CommitSha] = field(default_factory=dict)

    @property
    def commits(self) -> tuple[CommitInfo, ...]:
        """The commits between, newest first."""
        return self.history.commits if self.history else ()
