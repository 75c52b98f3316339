"""What runs under compose on a host, as the labels of its containers tell it."""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from reconciler.domain.errors import InvalidInput, InvalidReference
from reconciler.domain.folder import parse_folder
from reconciler.domain.host import HostPath
from reconciler.domain.references import (
    Digest,
    ProjectName,
    RepositoryPath,
    parse_project_name,
    parse_repository_path,
)

_LABEL = "com.docker.compose"
_FILES = "project.config_files"
_MOST_FILES = 20
_LONG_PORT = 6  # digits, and too many
_MOST_SHOWN = 5
_LONGEST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class ComposeContainer:
    """A container that compose made, whoever called it."""

    id: str
    image: str  #: as it was asked for; an id where the name means another image by now
    image_id: Digest
    is_running: bool
    labels: Mapping[str, str] = field(repr=False)
    published: tuple[int, ...] = ()  #: its own ports that the host has, too; ascending
    #: Path in it → what is mounted there: a folder of the host, or the name of a volume.
    mounts: Mapping[str, str] = field(default_factory=dict)

    def label(self, name: str) -> str:
        """Return one of compose's own labels; empty without it."""
        return self.labels.get(f"{_LABEL}.{name}", "")

    @property
    def service(self) -> str:
        """Which service of its project it is."""
        return self.label("service")


@dataclass(frozen=True, slots=True)
class Exposed:
    """The service that people reach, and the port that it listens on in its container."""

    service: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``SERVICE:PORT``. Raises ``InvalidInput``."""
        service, _, port = text.rpartition(":")
        if not (service and port.isascii() and port.isdecimal() and len(port) < _LONG_PORT):
            raise InvalidInput("exposed", text, "is no service with its port, like web:8080")
        return cls(service, int(port))


@dataclass(frozen=True, slots=True)
class Stack:
    """A compose project as it runs: its containers, and where its files are."""

    name: str
    containers: tuple[ComposeContainer, ...]  #: by service

    @property
    def folders(self) -> tuple[str, ...]:
        """Where it was brought up from; more than one where two stacks share a name."""
        found = dict.fromkeys(one.label("project.working_dir") for one in self.containers)
        return tuple(folder for folder in found if folder)

    @property
    def files(self) -> tuple[str, ...]:
        """Return its compose files by absolute paths, later ones win."""
        folder = self.folders[0] if self.folders else ""
        told = next((text for one in self.containers if (text := one.label(_FILES))), "")
        return tuple(
            posixpath.normpath(posixpath.join(folder, one)) for one in told.split(",") if one
        )

    @property
    def environment_files(self) -> str:
        """What it was given as ``--env-file``, as compose notes it; mostly nothing."""
        told = (one.label("project.environment_file") for one in self.containers)
        return next((files for files in told if files), "")

    @property
    def published(self) -> Sequence[tuple[str, int]]:
        """Return each (service, port in its container) that the host has, too."""
        pairs = ((one.service, port) for one in self.containers for port in one.published)
        return tuple(dict.fromkeys(pairs))

    @property
    def exposed(self) -> Exposed | None:
        """What people reach, as far as the ports that are published tell it."""
        published = self.published
        return Exposed(*published[0]) if len(published) == 1 else None


@dataclass(frozen=True, slots=True)
class StackFiles:
    """Where the files of a stack are that a project can be made of."""

    project: ProjectName
    base: HostPath
    compose_path: RepositoryPath
    compose_files: tuple[RepositoryPath, ...] = ()  #: more, later ones win


class NotAdoptable(Exception):
    """Why no project can be made of a stack, as a sentence."""


def group_stacks(containers: Iterable[ComposeContainer]) -> Sequence[Stack]:
    """Return the stacks that containers belong to, by name."""
    found: dict[str, list[ComposeContainer]] = {}
    for one in sorted(containers, key=lambda one: (one.service, one.id)):
        found.setdefault(one.label("project"), []).append(one)
    return [Stack(name, tuple(found[name])) for name in sorted(found)]


def files_of(stack: Stack) -> StackFiles:
    """Return where the files of ``stack`` are.

    Raises:
        NotAdoptable: its name or its folder can't be a project's, or its labels do not tell.
    """
    try:
        name = parse_project_name(stack.name)
    except InvalidReference as error:
        raise NotAdoptable(
            f"its name {error.problem}; bring it up under another with `docker compose -p NAME`"
        ) from None
    if len(stack.folders) > 1:
        folders = ", ".join(map(_shown, stack.folders[:_MOST_SHOWN]))
        raise NotAdoptable(f"its containers are of several folders: {folders}")
    if not stack.folders or not stack.files:
        raise NotAdoptable("its containers do not tell which folder and files they were made of")
    found = _below(name, stack.folders[0], stack.files)
    if stack.environment_files not in {"", f"{found.base}/.env"}:
        raise NotAdoptable(
            f"its values come from {_shown(stack.environment_files)}; have them in the .env of "
            "its folder, and bring it up without --env-file"
        )
    return found


def _below(name: ProjectName, folder: str, files: Sequence[str]) -> StackFiles:
    try:
        base = parse_folder(folder)
    except InvalidReference as error:
        raise NotAdoptable(f"its folder {_shown(folder)} {error.problem}") from None
    if len(files) > _MOST_FILES:
        raise NotAdoptable(f"it has {len(files)} compose files; {_MOST_FILES} are possible")
    paths = [_path_below(base, file) for file in files]
    if "/" in paths[0]:
        raise NotAdoptable(
            f"its file {_shown(files[0])} is not in {base}, where its relative paths start from; "
            "keep the first compose file there"
        )
    return StackFiles(name, base, paths[0], tuple(paths[1:]))


def _path_below(base: HostPath, file: str) -> RepositoryPath:
    relative = posixpath.relpath(file, base)
    if relative.startswith(".."):
        raise NotAdoptable(
            f"its file {_shown(file)} is not below its folder {base}; `docker compose up -d` there "
            "has its own files count"
        )
    try:
        return parse_repository_path(relative, "compose_path")
    except InvalidReference as error:
        raise NotAdoptable(f"its file {_shown(file)} {error.problem}") from None


def _shown(label: str) -> str:
    """Return what anybody may have written into a label, fit for a sentence."""
    return repr(label[:_LONGEST_SHOWN])
