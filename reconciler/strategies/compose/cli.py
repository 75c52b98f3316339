"""The compose command line: what it is given, and what its failures mean."""

import re
import shutil
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from reconciler.domain.errors import (
    CommandFailed,
    InvalidComposeFile,
    PreconditionFailed,
    ReconcilerError,
    RevisionNotFound,
    SourceDenied,
    SourceUnreachable,
    TargetUnreachable,
)
from reconciler.domain.host import HostName
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.ports import Command, CommandResult, CommandRunner, LineSink

#: Where an engine listens unless somebody said otherwise.
DEFAULT_DOCKER_HOST = "unix:///var/run/docker.sock"

_PROGRESS_BAR = re.compile(
    r"\[[=>\s]*\]|(Downloading|Extracting|Pulling fs layer|Waiting|Verifying)"
)
#: A compose that was killed while it replaced a container leaves one under a name in between: the
#: old one's short id and the name. The next one removes that, and may take its name too early.
_LEFT_HALF_REPLACED = re.compile(r'container name "/[0-9a-f]{12}_[^"]*" is already in use')
_SHORTEST_MASKED = 4


@dataclass(frozen=True, slots=True)
class ComposeOptions:
    """How compose is run."""

    data_folder: Path  #: ours; neither it nor what is in it is ever mounted into a container
    docker_host: str = DEFAULT_DOCKER_HOST
    program: tuple[str, ...] = ("docker", "compose")
    render_timeout: timedelta = timedelta(seconds=30)
    render_memory_bytes: int = 2 << 30  #: of address space; Go reserves far more than it uses
    #: The program that limits it; None: it is not there, and nothing does.
    prlimit: str | None = field(default_factory=lambda: shutil.which("prlimit"))
    pull_timeout: timedelta = timedelta(minutes=15)
    up_timeout: timedelta = timedelta(minutes=10)
    own_paths: tuple[Path, ...] = ()  #: more that is ours, e.g. the socket of the daemon

    @property
    def secrets_folder(self) -> Path:
        """Where compose finds secrets while it runs; empty while nothing is deployed."""
        return self.data_folder / "private"

    def project_folder(self, project: ProjectName) -> Path:
        """Where all is that we keep of a project on this machine."""
        return self.data_folder / "projects" / project

    def own_folder(self, project: ProjectName, host: HostName) -> Path:
        """Where a deployment to ``host`` is prepared."""
        return self.project_folder(project) / "deployments" / host


@dataclass(frozen=True, slots=True)
class ComposeCall:
    """What all commands for one project's files have in common."""

    project: ProjectName
    folder: Path
    files: tuple[Path, ...]
    environment_file: Path  #: instead of any ``.env``
    docker_config: Path

    def argv(self, program: tuple[str, ...], *arguments: str) -> tuple[str, ...]:
        """Return the argument list; no value in it is secret."""
        options = ["--project-name", self.project, "--project-directory", str(self.folder)]
        options += ["--env-file", str(self.environment_file)]
        for path in self.files:
            options += ["--file", str(path)]
        return (*program, "--ansi", "never", "--progress", "plain", *options, *arguments)


@dataclass(frozen=True, slots=True)
class ComposeCli:
    """Runs compose with nothing of our environment but where its engine is."""

    runner: CommandRunner
    options: ComposeOptions
    mask: Mapping[str, Secret] = field(default_factory=dict)  #: taken out of errors

    def render(self, call: ComposeCall, cancel: threading.Event) -> str:
        """Return the project as compose understands it, as JSON.

        Raises:
            InvalidComposeFile: compose can't use the files.
            RolloutError: compose or its engine is not there.
        """
        limits = self._memory_limit()
        argv = (*limits, *call.argv(self.options.program, "config", "--format", "json"))
        result = self.runner.run(
            self._command(call, argv, self.options.render_timeout), cancel=cancel
        )
        try:
            return self._checked(result, "compose can't read the project").stdout
        except CommandFailed as error:
            # Compose itself is there, and this needs nothing but the files.
            raise InvalidComposeFile(error.message, **error.evidence) from None

    def pull(
        self, call: ComposeCall, services: Iterable[str], log: LineSink, cancel: threading.Event
    ) -> None:
        """Pull the services' images.

        Raises:
            SourceError: a registry did not give an image.
            RolloutError: compose or the engine failed otherwise.
        """
        argv = call.argv(self.options.program, "pull", "--", *services)
        command = self._command(call, argv, self.options.pull_timeout)
        result = self.runner.run(command, on_line=_without_progress_bars(log), cancel=cancel)
        self._checked(result, "an image can't be pulled")

    def up(self, call: ComposeCall, log: LineSink, cancel: threading.Event) -> None:
        """Bring the project up. Whether it then runs well is not compose's to say.

        Raises:
            RolloutError: compose or the engine failed.
        """
        # Never built here; pulled only if someone pruned the image since it was prepared.
        argv = call.argv(
            self.options.program,
            *("up", "--detach", "--remove-orphans", "--no-build", "--pull", "missing"),
        )
        command, say = (
            self._command(call, argv, self.options.up_timeout),
            _without_progress_bars(log),
        )
        result = self.runner.run(command, on_line=say, cancel=cancel)
        if _LEFT_HALF_REPLACED.search(result.stderr_tail):
            log("a container that was left half replaced was in the way; once more")
            result = self.runner.run(command, on_line=say, cancel=cancel)
        self._checked(result, "compose can't bring the project up")

    def _memory_limit(self) -> tuple[str, ...]:
        prlimit = self.options.prlimit
        seconds = max(1, int(self.options.render_timeout.total_seconds()))
        limit = self.options.render_memory_bytes
        return (prlimit, f"--as={limit}", f"--cpu={seconds}", "--") if prlimit else ()

    def _command(self, call: ComposeCall, argv: tuple[str, ...], timeout: timedelta) -> Command:
        env = {"DOCKER_HOST": self.options.docker_host, "DOCKER_CONFIG": str(call.docker_config)}
        return Command(argv, cwd=call.folder, env=env, timeout=timeout, output_limit_bytes=8 << 20)

    def _checked(self, result: CommandResult, what: str) -> CommandResult:
        if result.ok:
            return result
        said = masked(result.stderr_tail.strip(), self.mask)
        if result.timed_out:
            raise CommandFailed(f"{what}: it took longer than allowed", stderr=said)
        raise _error_for(what, said, result.exit_status)


def _without_progress_bars(log: LineSink) -> LineSink:
    def say(line: str) -> None:
        if not _PROGRESS_BAR.search(line):
            log(line)

    return say


#: What compose and the engine say → what that means. The first match decides.
_MEANINGS: tuple[tuple[re.Pattern[str], type[ReconcilerError], str], ...] = (
    (
        re.compile(
            r"cannot connect to the docker daemon|is the docker daemon running", re.IGNORECASE
        ),
        TargetUnreachable,
        "",
    ),
    (
        re.compile(r"permission denied while trying to connect to the docker", re.IGNORECASE),
        PreconditionFailed,
        "this user may not use Docker's socket; put it into the group `docker`",
    ),
    (
        re.compile(
            r"is not a docker command|failed to execute|unknown (shorthand )?flag|unknown command"
        ),
        PreconditionFailed,
        "Docker Compose 2.20 or newer is needed: install the package docker-compose-plugin",
    ),
    (re.compile(r"no space left on device"), PreconditionFailed, "the disk is full"),
    (
        re.compile(r"manifest unknown|not found: manifest|name unknown|repository .* not found"),
        RevisionNotFound,
        "",
    ),
    (
        re.compile(
            r"unauthorized|access denied|no basic auth|authentication required|denied:",
            re.IGNORECASE,
        ),
        SourceDenied,
        "",
    ),
    (
        re.compile(
            r"connection refused|no such host|i/o timeout|TLS handshake|deadline exceeded"
            r"|too ?many ?requests|Client\.Timeout|connection reset"
            r"|received unexpected HTTP status: 5",
            re.IGNORECASE,
        ),
        SourceUnreachable,
        "",
    ),
)


def _error_for(what: str, said: str, exit_status: int) -> ReconcilerError:
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "")
    message = f"{what}: {last[:500]}" if last else f"{what} (exit status {exit_status})"
    evidence = {"exit_status": str(exit_status), "stderr": said}
    for pattern, kind, hint in _MEANINGS:
        if pattern.search(said):
            return kind(f"{message} ({hint})" if hint else message, **evidence)
    return CommandFailed(message, **evidence)


def masked(text: str, secrets: Mapping[str, Secret], *, shortest: int = _SHORTEST_MASKED) -> str:
    """Return ``text`` with the values of ``secrets`` replaced by their names, longest first."""
    values = [(secret.reveal(), name) for name, secret in secrets.items()]
    for value, name in sorted(values, key=lambda pair: (-len(pair[0]), pair[1])):
        if len(value) >= shortest:
            text = text.replace(value, f"${{{name}}}")
    return text
