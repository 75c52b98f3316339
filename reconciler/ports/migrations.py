"""What runs an app's own migration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from reconciler.domain.deployment import DeploymentId, PreparedTarget
from reconciler.domain.migration import Migration
from reconciler.ports.work import Work


@dataclass(frozen=True, slots=True)
class MigrationRun:
    """One run of a migration on one host."""

    migration: Migration
    #: An earlier worker began it: it is taken up, or its end is gone; it never begins again.
    begun: bool
    #: Called right before it begins; what it raises keeps it from beginning.
    on_begin: Callable[[], None]
    approved_by: str = ""  #: who approved what is pending; empty: nobody
    #: An earlier deployment whose end nobody saw, and which may still be at it.
    earlier: DeploymentId | None = None


@dataclass(frozen=True, slots=True)
class MigrationEnd:
    """How a migration ended."""

    exit_status: int | None  #: None: it was stopped, or it could not even begin
    last_lines: tuple[str, ...] = ()  #: that it wrote
    problem: str = ""  #: why it has no exit status, or what its exit status comes from


class Migrator(Protocol):
    """Runs migrations on the hosts of projects that run containers.

    Every method may raise what ``Machine`` raises.
    """

    def migrate(self, work: Work, prepared: PreparedTarget, run: MigrationRun) -> MigrationEnd:
        """Run it in what was prepared, with nothing switched yet, and see its end.

        What it needs, e.g. a database that was never started, is started first. What ends us
        does not end it. It is safe to call again with ``begun``: that only looks.

        Raises:
            MigrationUnfinished: it was begun, and no trace of it is left; or the ``earlier`` one
                is still at it.
            ReconcilerError: it did not begin, or nobody can tell yet how it ended.
        """
        ...

    def forget(self, work: Work) -> None:
        """Remove what is left of it once its end is on record. Safe to repeat."""
        ...
