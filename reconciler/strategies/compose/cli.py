"""The compose command line, and what it is given."""

import re
import shutil
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from reconciler.domain.errors import (
    BuildFailed,
    CommandFailed,
    InvalidComposeFile,
    ReconcilerError,
)
from reconciler.domain.host import HostName
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.ports import Command, CommandResult, CommandRunner, LineSink
from reconciler.strategies.compose.failures import error_for, masked

#: Where an engine listens unless somebody said otherwise.
DEFAULT_DOCKER_HOST = "unix:///var/run/docker.sock"

_PROGRESS_BAR = re.compile(
    r"\[[=>\s]*\]|(Downloading|Extracting|Pulling fs layer|Waiting|Verifying)"
)
#: A compose that was killed while it replaced a container leaves one under a name in between: the
#: old one's short id and the name. The next one removes one of the two, and may take its name for
#: the other one too early.
_LEFT_HALF_REPLACED = re.compile(
    r'container name "/[0-9a-f]{12}_[^"]*" is already in use'
    r'|allocating new name: Conflict\. The container name "[^"]*" is already in use'
)
_DOCKER = "docker"
_START_TIMEOUT = timedelta(minutes=2)
#: What BuildKit repeats while bytes move.
_TRANSFER = re.compile(r"^#\d+ (transferring |sha256:|extracting |\.\.\.$)")
#: What BuildKit puts before the reason of a failure.
_BUILD_FRAMES = re.compile(
    r"failed to solve(?: with frontend [\w.]+)?: |rpc error: code = \w+ desc = "
    r"|failed to create LLB definition: |failed to compute cache key: "
)
#: Of a build that failed, what is kept of its output as evidence.
_BUILD_LINES = 30


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
    build_timeout: timedelta = timedelta(minutes=30)
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
        return self._config(call, cancel, "--format", "json")

    def outline(self, call: ComposeCall, cancel: threading.Event) -> str:
        """Return what the files amount to, as YAML, with variables as they are written.

        Raises:
            InvalidComposeFile, RolloutError: as ``render``.
        """
        return self._config(call, cancel, "--no-interpolate")

    def _config(self, call: ComposeCall, cancel: threading.Event, *options: str) -> str:
        limits = self._memory_limit()
        argv = (*limits, *call.argv(self.options.program, "config", *options))
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

    def build(
        self, call: ComposeCall, services: Iterable[str], log: LineSink, cancel: threading.Event
    ) -> None:
        """Build the services' images; what an earlier build has in the engine's cache is used.

        Raises:
            BuildFailed: one can't be built, or it took too long.
            RolloutError: compose or the engine failed otherwise.
        """
        argv = call.argv(self.options.program, "build", "--", *services)
        command = self._command(call, argv, self.options.build_timeout)
        command = replace(command, env={**command.env, "DOCKER_BUILDKIT": "1"})
        result = self.runner.run(command, on_line=_without_transfers(log), cancel=cancel)
        if not result.ok:
            raise self._build_error(result)

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

    def start_missing(
        self, call: ComposeCall, services: Iterable[str], log: LineSink, cancel: threading.Event
    ) -> None:
        """Start ``services``, and nothing else; what is there already stays as it is.

        Raises:
            RolloutError: compose or the engine failed.
        """
        options = ("--detach", "--no-deps", "--no-recreate", "--no-build", "--pull", "missing")
        argv = call.argv(self.options.program, "up", *options, "--", *services)
        command = self._command(call, argv, self.options.up_timeout)
        result = self.runner.run(command, on_line=_without_progress_bars(log), cancel=cancel)
        self._checked(result, "what the migration depends on can't be started")

    def run_once(
        self,
        call: ComposeCall,
        name: str,
        command: tuple[str, ...],
        environment: Mapping[str, str],
    ) -> None:
        """Start one container, ``name``, beside all others of its service. It takes a moment.

        Args:
            call: what it starts by.
            name: of the container; the engine refuses a second one of it.
            command: the service, then what runs in its image.
            environment: what it gets beside the service's; no secrets.

        Raises:
            RolloutError: compose or the engine failed; it may have started none the less.
        """
        options = ["--detach", "--no-deps", "--no-TTY", "--name", name]
        options += ["--interactive=false"]  # nobody is there to answer what it asks
        options += [part for pair in environment.items() for part in ("--env", "=".join(pair))]
        argv = call.argv(self.options.program, "run", *options, "--", *command)
        result = self.runner.run(self._command(call, argv, _START_TIMEOUT))
        self._checked(result, "it can't be started")

    def docker(
        self,
        *arguments: str,
        log: LineSink | None = None,
        cancel: threading.Event | None = None,
        timeout: timedelta = _START_TIMEOUT,
    ) -> CommandResult:
        """Run one command of the engine's own client, whatever comes of it."""
        nowhere = "/nonexistent"
        env = {"DOCKER_HOST": self.options.docker_host, "DOCKER_CONFIG": nowhere, "HOME": nowhere}
        command = Command((_DOCKER, *arguments), env=env, timeout=timeout)
        return self.runner.run(command, on_line=log, cancel=cancel)

    def _memory_limit(self) -> tuple[str, ...]:
        prlimit = self.options.prlimit
        seconds = max(1, int(self.options.render_timeout.total_seconds()))
        limit = self.options.render_memory_bytes
        return (prlimit, f"--as={limit}", f"--cpu={seconds}", "--") if prlimit else ()

    def _command(self, call: ComposeCall, argv: tuple[str, ...], timeout: timedelta) -> Command:
        env = {"DOCKER_HOST": self.options.docker_host, "DOCKER_CONFIG": str(call.docker_config)}
        return Command(argv, cwd=call.folder, env=env, timeout=timeout, output_limit_bytes=8 << 20)

    def _build_error(self, result: CommandResult) -> ReconcilerError:
        said, output = (
            masked(text.strip(), self.mask) for text in (result.stderr_tail, result.stdout)
        )
        lines = [line for line in output.splitlines() if line.strip()]
        evidence = {"output": "\n".join(lines[-_BUILD_LINES:])}
        if result.timed_out:
            minutes = self.options.build_timeout.total_seconds() / 60
            return BuildFailed(f"the build took more than {minutes:g} min", **evidence)
        last = said.splitlines()[-1] if said else ""
        if "failed to solve" not in last or "no space left on device" in last:
            return error_for("the build failed", said, result.exit_status)
        steps = [line[3:].rstrip(":") for line in lines if line.startswith(" > ")]
        where = f" at {steps[-1]}" if steps else ""
        why = _BUILD_FRAMES.sub("", last).strip()
        return BuildFailed(f"the build failed{where}: {why[:500]}", **evidence)

    def _checked(self, result: CommandResult, what: str) -> CommandResult:
        if result.ok:
            return result
        said = masked(result.stderr_tail.strip(), self.mask)
        if result.timed_out:
            raise CommandFailed(f"{what}: it took longer than allowed", stderr=said)
        raise error_for(what, said, result.exit_status)


def _without_transfers(log: LineSink) -> LineSink:
    def say(line: str) -> None:
        if line.strip() and not _TRANSFER.search(line):
            log(line)

    return say


def _without_progress_bars(log: LineSink) -> LineSink:
    def say(line: str) -> None:
        if not _PROGRESS_BAR.search(line):
            log(line)

    return say
