"""Where a project runs: what differs between the daemon's own machine and a host."""

import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reconciler.domain.errors import PreconditionFailed
from reconciler.domain.failure import Failure
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.target import Target
from reconciler.ports import Checkouts, Engine, LineSink, Machine, OwnContainer, Work
from reconciler.strategies.compose.checkout import read_inside
from reconciler.strategies.compose.cli import ComposeCli, ComposeOptions
from reconciler.strategies.compose.deploy_folder import DeployFolder, DeployFolderHere
from reconciler.strategies.compose.policy import RealPaths, real_paths_here, require_apart
from reconciler.strategies.compose.private import Private, private_folder

#: Beside a work tree, and ours: what is mounted from other commits than the work tree's.
LAID_OUT = "laid-out"


class Place(Protocol):
    """A machine that compose projects run on, and one project's files there.

    Every method may raise what ``Machine`` raises.
    """

    @property
    def name(self) -> str:
        """The machine's name, for people."""
        ...

    @property
    def root(self) -> Path:
        """The work tree there. It stays where it is: relative mounts keep their data in it."""
        ...

    @property
    def base(self) -> Path:
        """What relative paths start from, and untracked files are in: mostly the work tree."""
        ...

    @property
    def is_here(self) -> bool:
        """Whether it is the daemon's own machine, whose files can be opened."""
        ...

    @property
    def engine(self) -> Engine:
        """The Docker engine there."""
        ...

    @property
    def deploy(self) -> DeployFolder:
        """``.deploy/`` in the work tree."""
        ...

    @property
    def own_paths(self) -> tuple[Path, ...]:
        """What is ours there, beside the daemon's own."""
        ...

    def require_ready(self, work: Work) -> None:
        """Make sure that one can deploy there now.

        Raises:
            RefusingToMigrate: there is no way to the host that has the project's data.
            PreconditionFailed: it lacks a tool.
        """
        ...

    def set_up(self, log: LineSink) -> None:
        """Make what is missing there; see ``Strategy``."""
        ...

    def receive(self, commit: CommitSha) -> None:
        """Bring ``commit`` there, so that ``switch`` needs no network; no file changes."""
        ...

    def switch(self, commit: CommitSha, work: Work) -> None:
        """Make the work tree hold ``commit``; untracked files stay. Safe to repeat.

        Raises:
            WorkTreeDirty: tracked files were changed, or files are in the way; it names them.
        """
        ...

    def lay_out(self, commit: CommitSha, name: str) -> Path:
        """Write the files of ``commit`` into a folder ``name``, and return it.

        It is beside the work tree: a container that has that could put links in there. The commit
        was received; and the folder is not there, or was left half written.
        """
        ...

    def drop(self, name: str) -> None:
        """Delete what was laid out as ``name``, if it is there."""
        ...

    def read(self, paths: Sequence[str]) -> Mapping[str, bytes]:
        """Return those of ``paths``, below the base, that are files there; large ones are cut.

        Raises:
            InvalidComposeFile: one is no regular file, or leads out of that folder; or that is a
                base which has our own data in it, or is in that, whatever ``paths`` are.
            PreconditionFailed: one may not be read, or there is no such base.
        """
        ...

    def real_paths(self, paths: Collection[str]) -> Mapping[str, str]:
        """Return absolute path → where it leads there, symbolic links followed."""
        ...

    def private(self) -> AbstractContextManager[Private]:
        """Give a private folder there until the block ends."""
        ...

    def cli(self, work: Work) -> ComposeCli:
        """Return compose there."""
        ...

    def changing_cli(self, work: Work) -> ComposeCli:
        """Return compose there, run alone and only while the claim of ``work`` holds."""
        ...


@dataclass(frozen=True, slots=True)
class PlaceHere:
    """``Place`` on the daemon's own machine."""

    project: ProjectName
    work_tree: Path
    base: Path  #: what relative paths start from, see ``Place``; mostly the work tree
    secrets_folder: Path  #: for this deployment alone
    machine: Machine
    options: ComposeOptions
    checkouts: Checkouts

    is_here = True
    own_paths = ()

    @property
    def name(self) -> str:
        """The machine's name; see ``Place``."""
        return "this machine"

    @property
    def root(self) -> Path:
        """The work tree; see ``Place``."""
        return self.work_tree

    @property
    def engine(self) -> Engine:
        """The Docker engine; see ``Place``."""
        return self.machine.engine()

    @property
    def deploy(self) -> DeployFolder:
        """``.deploy/``; see ``Place``."""
        return DeployFolderHere(self.work_tree)

    def require_ready(self, work: Work) -> None:
        """Find nothing wrong: the first look at the engine, or at compose, says it."""

    def set_up(self, log: LineSink) -> None:
        """Say what is missing; see ``Place``."""
        version = self.engine.ping()
        if isinstance(version, Failure):
            raise PreconditionFailed(version.message)
        log(f"the Docker engine {version} is there; nothing else has to be set up")

    def receive(self, commit: CommitSha) -> None:
        """Find it here: it was fetched."""

    def switch(self, commit: CommitSha, work: Work) -> None:
        """Make the work tree hold ``commit``; see ``Place``."""
        self.checkouts.switch(work.project.name, commit)

    def lay_out(self, commit: CommitSha, name: str) -> Path:
        """Write the files of ``commit`` into a folder of its own; see ``Place``."""
        self.drop(name)
        into = self._laid_out / name
        self.checkouts.export(self.project, commit, into)
        return into

    def drop(self, name: str) -> None:
        """Delete what was laid out; see ``Place``."""
        shutil.rmtree(self._laid_out / name, ignore_errors=True)

    @property
    def _laid_out(self) -> Path:
        return self.work_tree.parent / LAID_OUT

    def read(self, paths: Sequence[str]) -> Mapping[str, bytes]:
        """Return those of ``paths`` that are files; see ``Place``."""
        has_base = self.base != self.work_tree
        if has_base:
            own = (self.options.data_folder, *self.options.own_paths)
            require_apart(self.base, own, self.real_paths)
        try:
            if has_base and not self.base.is_dir():
                raise PreconditionFailed(f"the folder {self.base} is not there")
            found = {path: read_inside(self.base, path) for path in paths}
        except OSError as error:
            problem = f"{error.filename} can't be read: {error.strerror}"
            raise PreconditionFailed(problem) from error
        return {path: content for path, content in found.items() if content is not None}

    def real_paths(self, paths: Collection[str]) -> Mapping[str, str]:
        """Return where ``paths`` lead; see ``Place``."""
        return real_paths_here(paths)

    def private(self) -> AbstractContextManager[Private]:
        """Give a private folder; see ``Place``."""
        return private_folder(self.secrets_folder)

    def cli(self, work: Work) -> ComposeCli:
        """Return compose; see ``Place``."""
        return ComposeCli(self.machine, self.options, work.variables)

    def changing_cli(self, work: Work) -> ComposeCli:
        """Return compose; see ``Place``. What an earlier life left at work, a start ended."""
        return self.cli(work)


def own_container(place: Place, target: Target) -> OwnContainer | None:
    """Return the container that we run in, where it is of the target's project."""
    own = place.engine.own_container() if place.is_here else None
    return own if own and own.project == target.project else None


def follow_on_both(root: Path, here: Place, place: Place) -> RealPaths:
    """Return what follows paths below ``root`` here, and all others at ``place``."""

    def real_paths(paths: Collection[str]) -> Mapping[str, str]:
        inside = [path for path in paths if Path(path).is_relative_to(root)]
        outside = [path for path in paths if path not in inside]
        return {**here.real_paths(inside), **place.real_paths(outside)}

    return here.real_paths if place.is_here else real_paths
