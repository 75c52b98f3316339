"""What the web needs of the application; ``reconciler.app.Application`` is it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from reconciler.config.declaration import Config
from reconciler.domain.deployment import DeploymentId, Failure
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.pipeline.explain import Explanation, ProjectSummary
from reconciler.pipeline.trigger import TriggerResult
from reconciler.ports import Checkouts, Clock, Repositories, Store


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One line of a push: where a ref was, and where it is."""

    old: CommitSha | None  #: None: it is new
    new: CommitSha | None  #: None: it is gone
    ref: str  #: in full, e.g. ``refs/heads/main``


class LoopHealth(Protocol):
    """How one of the daemon's loops is doing."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def last_progress_at(self) -> datetime | None: ...  # noqa: D102
    @property
    def late(self) -> timedelta: ...  # noqa: D102
    @property
    def ok(self) -> bool: ...  # noqa: D102


class RegistryStatus(Protocol):
    """How a registry answered last."""

    @property
    def host(self) -> str: ...  # noqa: D102
    @property
    def reachable(self) -> bool | None: ...  # noqa: D102
    @property
    def error(self) -> Failure | str | None: ...  # noqa: D102
    @property
    def cooling_until(self) -> datetime | None: ...  # noqa: D102
    @property
    def limit_remaining(self) -> int | None: ...  # noqa: D102


class Daemon(Protocol):
    """The loops and workers."""

    @property
    def state(self) -> str:
        """``starting``, ``ready`` or ``draining``."""
        ...

    def loops(self) -> Sequence[LoopHealth]:
        """Return how each loop is doing."""
        ...

    def start(self) -> None:
        """Begin the work."""
        ...

    def drain(self) -> object:
        """Begin nothing more, and return when what runs has ended or reached a safe point."""
        ...

    def look_now(self, name: ProjectName) -> object:
        """Look at the project's source and images without waiting for their time."""
        ...


class Engine(Protocol):
    """The container engine."""

    def ping(self) -> str | Failure:
        """Return its version, or why it does not answer."""
        ...


class Application(Protocol):
    """The wired daemon. Every method may be called from any thread."""

    @property
    def config(self) -> Config: ...  # noqa: D102
    @property
    def clock(self) -> Clock: ...  # noqa: D102
    @property
    def store(self) -> Store: ...  # noqa: D102
    @property
    def repositories(self) -> Repositories: ...  # noqa: D102
    @property
    def checkouts(self) -> Checkouts: ...  # noqa: D102
    @property
    def daemon(self) -> Daemon: ...  # noqa: D102
    @property
    def engine(self) -> Engine: ...  # noqa: D102
    @property
    def started_at(self) -> datetime: ...  # noqa: D102

    def registries(self) -> Sequence[RegistryStatus]:
        """Return how each registry in use answered last."""
        ...

    def deploy(
        self, name: ProjectName, *, commit: CommitSha | None, force: bool, actor: str, reason: str
    ) -> TriggerResult:
        """Ask for a deployment in a person's name."""
        ...

    def roll_back(self, name: ProjectName, *, to: DeploymentId | None, actor: str) -> TriggerResult:
        """Ask for an earlier revision in a person's name."""
        ...

    def received(self, repository: ProjectName, updates: Sequence[RefUpdate]) -> Sequence[str]:
        """Act on an accepted push; return lines for the pusher's terminal."""
        ...

    def why(self, name: ProjectName) -> Explanation:
        """Return why the project stands where it does."""
        ...

    def summaries(self) -> Sequence[ProjectSummary]:
        """Return all projects, by name."""
        ...

    def summary(self, name: ProjectName) -> ProjectSummary:
        """Return one project."""
        ...

    def switch(self) -> MasterSwitch:
        """Return the master switch, the emergency file included."""
        ...
