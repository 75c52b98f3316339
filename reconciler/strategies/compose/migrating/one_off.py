"""A container that runs one command beside a project's own, and outlives whoever waits."""

import time
from dataclasses import dataclass
from datetime import timedelta

from reconciler.domain.errors import Interrupted, MigrationUnfinished, TargetUnreachable
from reconciler.domain.references import ProjectName
from reconciler.domain.verification import RunState, Sample
from reconciler.ports import Engine, Work
from reconciler.strategies.compose.cli import ComposeCli

_EVERY_SECONDS = 0.25
_STOP_SECONDS = 10
_QUOTED_LINES = 20
ENDED = frozenset({RunState.EXITED, RunState.DEAD})


@dataclass(frozen=True, slots=True)
class OneOff:
    """One container by its name, which the engine gives to no second one."""

    project: ProjectName
    name: str
    engine: Engine
    cli: ComposeCli  #: one that waits for nobody else's command

    def find(self) -> Sample | None:
        """Return what the engine says of it; None where it is not there."""
        return self.engine.find_one_off(self.project, self.name)

    def remove(self) -> bool:
        """Remove it unless it runs, and tell whether it is gone."""
        if self.find() is not None:
            self.cli.docker("rm", "--volumes", "--", self.name)
        return self.find() is None

    def wait(self, work: Work, allowed: timedelta) -> Sample | None:
        """Write its lines into the log, as they come, until it has ended; None: it takes too long.

        Raises:
            MigrationUnfinished: it is not there.
            Interrupted: the work was cancelled; it goes on.
            TargetUnreachable: the engine does not answer.
        """
        until = time.monotonic() + allowed.total_seconds()
        if self.find() is not None:
            # Where the engine keeps no lines, this ends at once.
            follow = ("logs", "--follow", "--", self.name)
            self.cli.docker(*follow, log=work.log, cancel=work.cancel, timeout=allowed)
        while True:
            found = self.find()
            if found is None:
                text = f"no container {self.name} is there that would tell how it ended"
                raise MigrationUnfinished(text, self.project)
            if found.state in ENDED:
                return found
            if time.monotonic() >= until:
                return None
            if work.cancel.wait(_EVERY_SECONDS):
                raise Interrupted(f"{self.name} goes on, and is looked at again")

    def stop(self) -> None:
        """Have it end, and kill it where it does not. Raises ``TargetUnreachable``: it goes on."""
        self.cli.docker("stop", "--time", str(_STOP_SECONDS), "--", self.name)
        found = self.find()
        if found is not None and found.state not in ENDED:
            raise TargetUnreachable(f"the engine does not stop {self.name}")

    def last_lines(self) -> tuple[str, ...]:
        """Return the newest lines that it wrote."""
        return tuple(self.engine.last_lines(self.name, _QUOTED_LINES))
