"""A compose project on a host: its files, private ones too, and its commands, over ``Machine``."""

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from reconciler.domain.errors import (
    CommandFailed,
    InvalidComposeFile,
    PinnedHostAway,
    PreconditionFailed,
    ReconcilerError,
    TargetUnreachable,
    WorkTreeDirty,
)
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostPath
from reconciler.domain.project import ProjectKind
from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.domain.target import NEEDED_TOOLS, Target, TargetStrategy, default_folder
from reconciler.ports import (
    Checkouts,
    Command,
    CommandResult,
    CommandRunner,
    Engine,
    LineSink,
    Machine,
    Work,
)
from reconciler.strategies.compose.checkout import DEPLOY_FOLDER, LIMIT_BYTES
from reconciler.strategies.compose.cli import DEFAULT_DOCKER_HOST, ComposeCli, ComposeOptions
from reconciler.strategies.compose.deploy_folder import DeployFolder
from reconciler.strategies.compose.on_host.deploy_folder import DeployFolderOnHost
from reconciler.strategies.compose.on_host.shell import (
    CHANGED,
    IN_THE_WAY,
    NO_COMMIT,
    NO_FOLDER,
    FencedRunner,
    HostShell,
    length_of,
    script_command,
)
from reconciler.strategies.compose.place import LAID_OUT
from reconciler.strategies.compose.policy import require_apart
from reconciler.strategies.compose.private import Private

_SWITCH_TIMEOUT = timedelta(minutes=10)
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class PlaceOnHost:
    """``Place`` on a machine that is reached over a connection."""

    target: Target
    machine: Machine
    options: ComposeOptions
    checkouts: Checkouts

    is_here = False

    @property
    def name(self) -> str:
        """The host's name; see ``Place``."""
        return self.target.host

    @property
    def folder(self) -> Path:
        """Where all is that is kept there."""
        return Path(self.target.folder or default_folder(self.target.project))

    @property
    def root(self) -> Path:
        """The work tree; see ``Place``."""
        return self.folder / "source"

    @property
    def base(self) -> Path:
        """What relative paths start from; see ``Place``."""
        return Path(self.target.base) if self.target.base else self.root

    @property
    def own_paths(self) -> tuple[Path, ...]:
        """Where secrets lie for a while, and what git obeys; see ``Place``."""
        return (self._private, self._repository, self.folder / LAID_OUT)

    @property
    def engine(self) -> Engine:
        """The Docker engine; see ``Place``."""
        return self.machine.engine()

    @property
    def deploy(self) -> DeployFolder:
        """``.deploy/``; see ``Place``."""
        project = self.options.project_folder(self.target.project)
        return DeployFolderOnHost(self._shell, self.root, project / f"left-on-{self.name}")

    # ── Whether one can deploy there ──────────────────────────────────────────────────────────

    def require_ready(self, work: Work) -> None:
        """Ask the host what it has; see ``Place``."""
        try:
            without = set() if work.project.kind is ProjectKind.COMPOSE else {"git"}
            self._require_tools(NEEDED_TOOLS[TargetStrategy.COMPOSE] - without)
        except TargetUnreachable as error:
            if not work.may_take_over:
                raise  # nothing of it was ever started there
            raise PinnedHostAway(
                f"refusing to migrate {self.target.project}: its named volumes are on "
                f"{self.name}, which can't be reached ({error.message})",
                **error.evidence,
            ) from error

    def set_up(self, log: LineSink) -> None:
        """Make the project's folder there; see ``Place``."""
        self._require_tools(NEEDED_TOOLS[TargetStrategy.COMPOSE])
        version = self.engine.ping()
        if isinstance(version, Failure):
            raise PreconditionFailed(version.message)
        log(f"the Docker engine {version} is there, with compose and git")
        there = self.machine.run(Command(("test", "-d", str(self.root)))).ok
        self._shell.run("keep", str(self.root / DEPLOY_FOLDER))
        log(f"{self.root} is there already" if there else f"made {self.root}")

    def _require_tools(self, needed: frozenset[str]) -> None:
        if missing := sorted(needed - self.machine.check().tools):
            raise PreconditionFailed(
                f"host {self.name} lacks {', '.join(missing)}: install there what is missing "
                "(compose is the package docker-compose-plugin, version 2.20 or newer)",
                host=self.name,
            )

    # ── Files ─────────────────────────────────────────────────────────────────────────────────

    def receive(self, commit: CommitSha) -> None:
        """Push ``commit`` into the repository there; see ``Place``."""
        repository, there = self.checkouts.repository(self.target.project), str(self._repository)
        try:
            self.machine.push(repository, commit, HostPath(there))
        except CommandFailed:  # it is the first one
            kind = "sha256" if len(commit.text) == 64 else "sha1"
            self._shell.run("receive", str(self.root), kind)
            with self._shell.missing():
                self.machine.push(repository, commit, HostPath(there))

    def switch(self, commit: CommitSha, work: Work) -> None:
        """Check ``commit`` out there, if nobody changed what was; see ``Place``."""
        result = self._switch(commit, work)
        if result.exit_status in {NO_COMMIT, NO_FOLDER}:
            self.receive(commit)
            result = self._switch(commit, work)
        names = result.stdout.splitlines()
        if result.exit_status == CHANGED:
            raise self._dirty("were changed by hand", names)
        if result.exit_status == IN_THE_WAY:
            raise self._dirty("are not tracked, and would be overwritten", names)
        self._shell.check(result, f"the checkout in {self.root} can't be made")

    def _switch(self, commit: CommitSha, work: Work) -> CommandResult:
        arguments = (str(self.root), commit.text, f"/{DEPLOY_FOLDER}/")
        command = script_command("switch", *arguments, timeout=_SWITCH_TIMEOUT)
        fenced = FencedRunner(self.machine, self.folder, work.fence)
        return fenced.run(command, cancel=work.cancel)

    def _dirty(self, what: str, names: Sequence[str]) -> WorkTreeDirty:
        named = ", ".join(names[:_MOST_NAMED])
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        text = f"files of the work tree {self.root} on {self.name} {what}: {named}{more}"
        return WorkTreeDirty(text, host=self.name, files=named)

    def lay_out(self, commit: CommitSha, name: str) -> Path:
        """Write the files of ``commit`` into a folder of its own; see ``Place``."""
        into = str(self.folder / LAID_OUT / name)
        self._shell.run("lay_out", str(self.root), commit.text, into)
        return Path(into)

    def drop(self, name: str) -> None:
        """Delete what was laid out; see ``Place``."""
        self.machine.run(Command(("rm", "-rf", "--", str(self.folder / LAID_OUT / name))))

    def read(self, paths: Sequence[str]) -> Mapping[str, bytes]:
        """Return those of ``paths`` that are files; see ``Place``."""
        if self.target.base:
            # What is the daemon's own here is there as well, where the host is this machine.
            own = (self.folder, self.options.data_folder, *self.options.own_paths)
            require_apart(self.base, own, self.real_paths)
        if not paths:
            return {}
        most = str(LIMIT_BYTES + 1)
        lines = self._shell.run("read", str(self.base), most, *paths).splitlines()
        if self.target.base and not lines:
            raise PreconditionFailed(f"the folder {self.base} is not there on {self.name}")
        found = dict(zip(paths, lines, strict=False))  # none where there is no work tree yet
        for path, line in found.items():
            if line == "?":
                raise PreconditionFailed(f"{self.base / path} can't be read on {self.name}")
            if line == "!":
                raise InvalidComposeFile(
                    f"{path} on {self.name} is no regular file, or leaves {self.base} by a "
                    "symbolic link"
                )
        with self._shell.understood():
            return {path: base64.b64decode(line[1:]) for path, line in found.items() if line != "-"}

    def real_paths(self, paths: Collection[str]) -> Mapping[str, str]:
        """Return where ``paths`` lead; see ``Place``."""
        if not paths:
            return {}
        result = self.machine.run(Command(("realpath", "-mz", "--", *paths)))
        followed = self._shell.check(result, "paths that the project mounts can't be followed")
        with self._shell.understood():
            return dict(zip(paths, followed.split("\0")[:-1], strict=True))

    # ── Compose ───────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def private(self) -> Iterator[Private]:
        """Give a private folder; see ``Place``. One that could not be removed is swept later."""
        try:
            yield _PrivateOnHost(self._shell, self._private)
        finally:
            with suppress(ReconcilerError):
                self.machine.run(Command(("rm", "-rf", "--", str(self._private))))

    def cli(self, work: Work) -> ComposeCli:
        """Return compose; see ``Place``."""
        return self._cli(self.machine, work)

    def changing_cli(self, work: Work) -> ComposeCli:
        """Return compose under the project's lock; see ``Place``."""
        return self._cli(FencedRunner(self.machine, self.folder, work.fence), work)

    def _cli(self, runner: CommandRunner, work: Work) -> ComposeCli:
        options = replace(
            self.options,
            docker_host=DEFAULT_DOCKER_HOST,
            program=("docker", "compose"),
            prlimit="prlimit",
        )
        return ComposeCli(runner, options, work.variables)

    # ── Shared ────────────────────────────────────────────────────────────────────────────────

    @property
    def _private(self) -> Path:
        return self.folder / ".private"

    @property
    def _repository(self) -> Path:
        return self.folder / "repository.git"

    @property
    def _shell(self) -> HostShell:
        return HostShell(self.machine)


@dataclass(slots=True)
class _PrivateOnHost:
    shell: HostShell
    folder: Path
    _swept: bool = False

    def write(self, name: str, content: Secret) -> Path:
        """Write one new file; see ``Private``. The first one finds the folder empty."""
        sweep = "no" if self._swept else "yes"
        arguments = (str(self.folder), name, length_of(content), sweep)
        self.shell.feed("private", content, *arguments)
        self._swept = True
        return self.folder / name
