"""What lies between two commits."""

from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.references import CommitSha

#: How many commits are shown.
MOST_COMMITS = 100


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """One commit, as people know it. Its texts are one line each, safe to show, and bounded."""

    commit: CommitSha
    subject: str  #: the message's first line
    author: str  #: the name alone
    at: datetime  #: when it was committed, as the committer's clock said


@dataclass(frozen=True, slots=True)
class History:
    """The commits that lead from a base to a tip.

    Neither ``base_found`` nor ``more``: the base is no ancestor of the tip.
    """

    commits: tuple[CommitInfo, ...]  #: newest first, without the base and what led to it
    base_found: bool  #: whether the base is among the tip's ancestors, or is the tip
    more: bool  #: whether there are more than these
