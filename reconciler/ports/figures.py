"""How things stand at one moment, in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from reconciler.domain.references import ProjectName
from reconciler.ports.registries import RegistryStatus


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """What the store counts."""

    queued: int  #: deployments that wait
    oldest_queued_at: datetime | None  #: when the one was asked for that waits longest
    running: int
    messages_waiting: Mapping[str, int]  #: by kind
    messages_given_up: Mapping[str, int]  #: by kind, of those that are kept
    audit_entries: int
    sessions: int  #: that are not over
    size_bytes: int
    #: When each project's source, or an image of it, was last looked at with success.
    looked_at: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProjectFigures:
    """Where a project stands."""

    name: ProjectName
    standing: str
    reason: str  #: code of what explains it first
    in_sync: bool
    since: datetime | None  #: when that reason began to hold, where that is known


@dataclass(frozen=True, slots=True)
class Shared:
    """What replicas have in common."""

    store: StoreFigures
    master_switch: bool
    projects: Sequence[ProjectFigures]
    #: Git servers that asked to be left alone, and until when.
    git_hosts: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Own:
    """What this process alone knows."""

    version: str
    commit: str  #: that it was built of; empty: nobody knows
    ready: bool
    stuck_loops: Mapping[str, bool]
    registries: Sequence[RegistryStatus]


class FigureStore(Protocol):
    """The store in numbers."""

    def read_figures(self, now: datetime) -> StoreFigures:
        """Return what it counts, in a few statements. Raises ``StoreError``."""
        ...
