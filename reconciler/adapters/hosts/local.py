"""The daemon's own machine, behind the same protocol as those over SSH."""

import threading
from pathlib import Path

from reconciler.adapters.hosts.facts import ASK_FACTS, parse_facts
from reconciler.adapters.hosts.health import HealthRecord
from reconciler.adapters.hosts.transfer import (
    check_pushed,
    check_sent,
    check_written,
    push,
    rsync,
    write_command,
)
from reconciler.domain.host import LOCAL, HostHealth, HostName, HostPath
from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.ports import (
    Clock,
    Command,
    CommandResult,
    CommandRunner,
    Engine,
    HostFacts,
    LineSink,
)


class LocalMachine:
    """``Machine`` without a connection."""

    def __init__(self, runner: CommandRunner, engine: Engine, clock: Clock) -> None:
        self._runner = runner
        self._engine = engine
        self._health = HealthRecord(clock)

    @property
    def name(self) -> HostName:
        """``local``."""
        return LOCAL

    @property
    def health(self) -> HostHealth:
        """How the last check went; see ``Machine``."""
        return self._health.last

    def check(self) -> HostFacts:
        """Ask what it is; see ``Machine``."""
        with self._health.recorded():
            return parse_facts(LOCAL, self._runner.run(ASK_FACTS))

    def run(
        self,
        command: Command,
        *,
        on_line: LineSink | None = None,
        cancel: threading.Event | None = None,
        fresh: bool = False,  # noqa: ARG002  there is no connection
    ) -> CommandResult:
        """Run ``command``; see ``Machine``."""
        return self._runner.run(command, on_line=on_line, cancel=cancel)

    def send(
        self,
        source: Path,
        into: HostPath,
        *,
        log: LineSink | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        """Make one folder hold what another does; see ``Machine``."""
        result = self._runner.run(rsync(source, into), on_line=log, cancel=cancel)
        check_sent(LOCAL, into, result)

    def write(self, path: HostPath, content: Secret, *, mode: int = 0o600) -> None:
        """Write one file whole, or not at all; see ``Machine``."""
        check_written(LOCAL, path, self._runner.run(write_command(path, content, mode)))

    def push(self, repository: Path, commit: CommitSha, into: HostPath) -> None:
        """Bring a commit into another repository; see ``Machine``."""
        check_pushed(LOCAL, into, push(self._runner, repository, commit, into))

    def engine(self) -> Engine:
        """Return the Docker engine of this machine."""
        return self._engine
