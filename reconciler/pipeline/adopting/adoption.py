"""Making projects of what runs under compose on a host; nothing that runs is touched by that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from reconciler.domain.compose import merged
from reconciler.domain.errors import (
    AlreadyExists,
    Conflict,
    InvalidComposeFile,
    InvalidInput,
    InvalidReference,
    NotFound,
    SourceError,
    SourceUnreachable,
)
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import ProjectName, RepositoryPath
from reconciler.domain.stack import (
    Exposed,
    NotAdoptable,
    Stack,
    StackFiles,
    files_of,
    group_stacks,
)
from reconciler.domain.target import Target, TargetStrategy, default_folder
from reconciler.pipeline.adopting.folders import Folders
from reconciler.pipeline.declaring.project_draft import ProjectDraft, parse_draft
from reconciler.pipeline.declaring.projects import Declared, notes_on
from reconciler.pipeline.declaring.repositories import make_repository
from reconciler.pipeline.declaring.target_draft import TargetDraft, parse_target
from reconciler.ports import Machines, Store


@dataclass(frozen=True, slots=True)
class FoundStack:
    """A stack on a host, and what can become of it."""

    stack: Stack
    obstacle: str = ""  #: why no project can be made of it, as a sentence; empty: one can
    project: ProjectName | None = None  #: that of its name, where there is one already

    @property
    def is_adoptable(self) -> bool:
        """Whether a project can be made of it, as far as labels tell."""
        return not self.obstacle and self.project is None


@dataclass(frozen=True, slots=True)
class _Files:
    """The compose files of a stack, and the target that has them in its base."""

    target: Target
    compose_path: RepositoryPath
    content: Mapping[RepositoryPath, bytes]
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Adoption:
    """Finds stacks, and declares projects of them."""

    store: Store
    machines: Machines
    folders: Folders

    def find(self, host: HostName) -> Sequence[FoundStack]:
        """Return what runs under compose on ``host``, by name, as far as labels tell.

        Raises:
            NotFound: nobody declared the host.
            TargetUnreachable: there is no way to it, or to its engine.
        """
        projects = self.store.list_projects()
        return [_found(stack, host, projects) for stack in self._stacks(host)]

    def adopt(self, host: HostName, name: str, exposed: Exposed | None = None) -> Declared:
        """Declare a project of the stack ``name``, and record its files.

        Safe to repeat after it was ended midway: then the project is there, and its files are
        recorded with the next look.

        Args:
            host: where it runs.
            name: the stack's, which becomes the project's.
            exposed: what people reach; None: as the published port tells.

        Raises:
            NotFound: no such stack there.
            AlreadyExists: there is a project, or a repository, of that name.
            Conflict: no project can be made of it; the message says why.
            InvalidInput: what people reach has to be said, or is not of it.
            TargetUnreachable, SourceUnreachable: there is no way to the host.
        """
        stack = self._get(host, name)
        try:
            files = self._read(stack, host)
        except NotAdoptable as error:
            raise Conflict(f"{name} can't be adopted: {error}") from None
        project = self._draft(files, _require_exposed(stack, files.services, exposed))
        self._require_free(project)
        make_repository(self.store, self.folders.repositories, project.name)
        self.store.create_project(project)
        # As they were read: the host is asked for nothing more that could fail.
        self.folders.record(project, files.target, files.content)
        return Declared(project, notes_on(project))

    def _stacks(self, host: HostName) -> Sequence[Stack]:
        return group_stacks(self.machines.get(host).engine().compose_containers())

    def _get(self, host: HostName, name: str) -> Stack:
        stacks = {stack.name: stack for stack in self._stacks(host)}
        if name not in stacks:
            names = ", ".join(stacks) or "nothing"
            raise NotFound(f"no compose project {name!r} runs on {host}; there is: {names}")
        if name in {project.name for project in self.store.list_projects()}:
            raise AlreadyExists(f"there is a project {name} already")
        return stacks[name]

    def _read(self, stack: Stack, host: HostName) -> _Files:
        """Return the files that a project is made of. Raises ``NotAdoptable``."""
        place = _place(stack, host, self.store.list_projects())
        target = Target(
            place.project,
            host,
            TargetStrategy.COMPOSE,
            compose_files=place.compose_files,
            base=place.base,
        )
        try:
            content = self.folders.read(target, place.compose_path)
            services = self._services(content)
        except SourceUnreachable:
            raise
        except (SourceError, InvalidComposeFile, InvalidReference) as error:
            raise NotAdoptable(error.message) from None
        return _Files(target, place.compose_path, content, services)

    def _services(self, files: Mapping[RepositoryPath, bytes]) -> tuple[str, ...]:
        """Return the services of the files. Raises ``NotAdoptable`` where one is built there."""
        services = merged(map(self.folders.reader.read, files.values())).services
        if built := [one.name for one in services if one.is_built]:
            raise NotAdoptable(
                f"{', '.join(built)} is built from the folder, and what is built needs a "
                "repository; push it to one, and add a project of that"
            )
        return tuple(one.name for one in services)

    def _draft(self, files: _Files, reached: Exposed) -> Project:
        """Return the project as it is to be declared."""
        target = files.target
        draft = ProjectDraft(
            name=target.project,
            kind=ProjectKind.COMPOSE,
            repository=target.project,
            compose_path=files.compose_path,
            expose_service=reached.service,
            expose_port=reached.port,
        )
        project = parse_draft(draft, self.folders.clock.now())
        wanted = TargetDraft(target.host, base=target.base, compose_files=target.compose_files)
        return replace(project, targets=(parse_target(wanted, project),))

    def _require_free(self, project: Project) -> None:
        repositories = self.folders.repositories
        if followers := self.store.list_followers(project.name):
            raise AlreadyExists(
                f"there is a repository {project.name} already: {followers[0].name} follows it"
            )
        if project.name in repositories.names() and repositories.branches(project.name):
            raise AlreadyExists(
                f"there is a repository {project.name} already",
                f"`reconciler repo remove {project.name}` if nothing needs it",
            )


def _found(stack: Stack, host: HostName, projects: Sequence[Project]) -> FoundStack:
    for project in (one for one in projects if one.name == stack.name):
        hosts = [target.host for target in project.where]
        if host in hosts:
            return FoundStack(stack, project=project.name)
        there = f", on {', '.join(hosts)}" if hosts else ""
        return FoundStack(stack, f"another project has its name{there}", project.name)
    try:
        _place(stack, host, projects)
    except NotAdoptable as error:
        return FoundStack(stack, str(error))
    return FoundStack(stack)


def _place(stack: Stack, host: HostName, projects: Sequence[Project]) -> StackFiles:
    """Return where its files are. Raises ``NotAdoptable``, also where a project has that folder.

    What the daemon has on its own machine is refused when it is to be read.
    """
    place = files_of(stack)
    base = PurePosixPath(place.base)
    for target in (one for project in projects for one in project.targets):
        folder = PurePosixPath(target.folder or default_folder(target.project))
        near = base.is_relative_to(folder) or folder.is_relative_to(base)
        if target.host == host != LOCAL and near:
            raise NotAdoptable(f"its folder {base} is that of project {target.project}")
    return place


def _require_exposed(stack: Stack, services: Sequence[str], given: Exposed | None) -> Exposed:
    reached = given or stack.exposed
    if reached is None:
        published = ", ".join(f"{service}:{port}" for service, port in stack.published)
        problem = f"is missing: say which service people reach ({published or 'no port is public'})"
        raise InvalidInput("expose_service", None, problem)
    if reached.service not in services:
        problem = f"is none of its services: {', '.join(services)}"
        raise InvalidInput("expose_service", reached.service, problem)
    return reached
