"""What applying a fleet file would change, and whether the result can be. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

from reconciler.domain.errors import InvalidInput
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.problems import placed
from reconciler.domain.project import HostedSource, Project
from reconciler.domain.references import ProjectName
from reconciler.domain.target import Target, TargetStrategy, find_clashes
from reconciler.pipeline.declaring.fleet.document import DeclaredProject, Fleet, raise_all
from reconciler.pipeline.declaring.fleet.present import (
    Present,
    Table,
    table_of_host,
    table_of_project,
)
from reconciler.pipeline.declaring.handed_down import upstream_first
from reconciler.pipeline.declaring.host_draft import HostDraft, draft_of
from reconciler.pipeline.declaring.projects import following
from reconciler.pipeline.declaring.targets import clash_of

Entry = TypeVar("Entry", HostDraft, Project)


class Action(StrEnum):
    """What becomes of an entry."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field and its values; None: it has none, or its default."""

    field: str  #: with dots: ``targets.web1.port``
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class EntryChange:
    """What becomes of one entry, for people."""

    kind: str  #: settings, repository, host or project
    name: str  #: empty for the settings
    action: Action
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Step(Generic[Entry]):
    """One entry to write."""

    before: Entry | None  #: None: it is new
    after: Entry | None  #: None: it is taken away

    @property
    def name(self) -> str:
        """Whose step it is."""
        entry = self.after or self.before
        assert entry is not None  # noqa: S101  one of them is there
        return entry.name


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to be done, in the order in which it is: what others need comes first."""

    settings: Mapping[str, tuple[bool | int, bool | int]]  #: key → before, after
    repositories: tuple[ProjectName, ...]  #: to make, empty
    hosts: tuple[Step[HostDraft], ...]
    projects: tuple[Step[Project], ...]
    unchanged: int  #: entries of the file that are as it says

    @property
    def empty(self) -> bool:
        """Whether nothing has to be done."""
        return not (self.settings or self.repositories or self.hosts or self.projects)

    def entries(self) -> Iterator[EntryChange]:
        """Yield what becomes of each entry, for people; what is taken away comes last."""
        if self.settings:
            told = (FieldChange(key, *values) for key, values in self.settings.items())
            yield EntryChange("settings", "", Action.CHANGE, tuple(told))
        for name in self.repositories:
            yield EntryChange("repository", name, Action.ADD)
        kept = [told for told in self._steps() if told.action is not Action.REMOVE]
        yield from kept
        yield from (told for told in self._steps() if told.action is Action.REMOVE)

    def _steps(self) -> Iterator[EntryChange]:
        for host in self.hosts:
            tables = [table_of_host(one) if one else {} for one in (host.before, host.after)]
            yield _told("host", host.name, *tables)
        for project in self.projects:
            pair = (project.before, project.after)
            yield _told("project", project.name, *[table_of_project(p) if p else {} for p in pair])


def difference(fleet: Fleet, present: Present, *, prune: bool) -> Difference:
    """Return how ``present`` differs from what ``fleet`` says.

    What the file does not name is left alone; with ``prune`` it is taken away, but only of the
    sections that the file has.

    Raises:
        InvalidInput: the result could not be. ``SeveralInvalid``: for more reasons than one.
    """
    hosts = tuple(_host_steps(fleet, present, prune=prune))
    projects = tuple(_project_steps(fleet, present, prune=prune))
    unfit = [*_other_kinds(fleet, present), *_unfit_hosts(fleet, present, hosts)]
    raise_all([*unfit, *_clashes(present, projects), *_unfit_environments(present, projects)])
    now = present.settings
    settings = {k: (now[k], after) for k, after in fleet.settings.items() if now[k] != after}
    sources = {one.project.source for one in (fleet.projects or {}).values()}
    hosted = {source.repository for source in sources if isinstance(source, HostedSource)}
    named = len(fleet.settings) + len(fleet.hosts or ()) + len(fleet.projects or ())
    written = [*(one.after for one in hosts), *(one.after for one in projects)]
    return Difference(
        settings,
        tuple(sorted(hosted - present.repositories)),
        hosts,
        projects,
        unchanged=named - len(settings) - len([one for one in written if one is not None]),
    )


def _host_steps(fleet: Fleet, present: Present, *, prune: bool) -> Iterator[Step[HostDraft]]:
    if fleet.hosts is None:
        return
    for name, host in fleet.hosts.items():
        after = draft_of(host)
        before = draft_of(present.hosts[name]) if name in present.hosts else None
        if before != after:
            yield Step(before, after)
    for name in present.hosts if prune else ():
        if name not in fleet.hosts:
            yield Step(draft_of(present.hosts[name]), None)


def _project_steps(fleet: Fleet, present: Present, *, prune: bool) -> Iterator[Step[Project]]:
    if fleet.projects is None:
        return
    for name, declared in fleet.projects.items():
        before = present.projects.get(name)
        if before is None:
            yield Step(None, replace(declared.project, targets=declared.targets or ()))
            continue
        targets = _targets(before, declared, prune=prune)
        after = following(before, replace(declared.project, targets=targets))
        if after != before:
            yield Step(before, after)
    gone = [name for name in present.projects if prune and name not in fleet.projects]
    upstream = {name: present.projects[name].promoted_from for name in gone}
    for name in reversed(upstream_first(gone, upstream.get)):
        yield Step(present.projects[name], None)


def _targets(before: Project, declared: DeclaredProject, *, prune: bool) -> tuple[Target, ...]:
    """Return the targets as the file has them, with those that it does not name in their place."""
    if declared.targets is None:
        return before.targets
    named = {target.host: target for target in declared.targets}
    if prune or all(one.host in named for one in before.targets):
        return declared.targets
    kept = [named.pop(one.host, one) for one in before.targets]
    return (*kept, *named.values())


def _other_kinds(fleet: Fleet, present: Present) -> Iterator[InvalidInput]:
    """Name each project that would be of another kind than it is."""
    for name, declared in (fleet.projects or {}).items():
        kind, before = declared.project.kind, present.projects.get(name)
        if before is not None and before.kind is not kind:
            problem = f"can't be changed, it is {before.kind}; remove the project and add another"
            yield InvalidInput(f"projects.{name}.kind", str(kind), problem)


def _unfit_hosts(
    fleet: Fleet, present: Present, steps: tuple[Step[HostDraft], ...]
) -> Iterator[InvalidInput]:
    """Name each target of the file on a host that would not be there."""
    gone = {step.name for step in steps if step.after is None}
    known = {LOCAL, *(fleet.hosts or ()), *(set(present.hosts) - gone)}
    for name, declared in (fleet.projects or {}).items():
        for target in declared.targets or ():
            in_cluster = target.strategy is TargetStrategy.KUBERNETES
            if target.host not in (present.clusters if in_cluster else known):
                yield _no_host(name, target.host, in_cluster=in_cluster)


def _no_host(project: ProjectName, host: HostName, *, in_cluster: bool) -> InvalidInput:
    problem = f"is on no host that is declared; add a table `hosts.{host}`"
    if in_cluster:
        add = f"`reconciler cluster add {host} --file FILE`"
        problem = f"is in no cluster that is declared; declare it first: {add}"
    return InvalidInput(f"projects.{project}.targets.{host}", None, problem)


def _clashes(present: Present, steps: tuple[Step[Project], ...]) -> Iterator[InvalidInput]:
    """Name each target that is changed to be in another project's folder, or around it."""
    after: dict[str, Project | None] = {step.name: step.after for step in steps}
    unchanged = [one for name, one in present.projects.items() if name not in after]
    projects = [*unchanged, *(one for one in after.values() if one is not None)]
    for clash in find_clashes(target for project in projects for target in project.targets):
        one = next((target for target in clash if target.project in after), None)
        if one is not None and clash[0].project != clash[1].project:
            yield placed(clash_of(one, clash), f"projects.{one.project}.targets.{one.host}")


def _unfit_environments(
    present: Present, steps: tuple[Step[Project], ...]
) -> Iterator[InvalidInput]:
    """Name each project that would be promoted from one that is not there."""
    after = {**present.projects, **{ProjectName(step.name): step.after for step in steps}}
    for step in steps:
        field = f"projects.{step.name}.environment.promoted_from"
        before = step.after.promoted_from if step.after else None
        if before is not None and after.get(before) is None:
            problem = "is no project, here or in this file; add a table for it"
            yield InvalidInput(field, before, problem)


def _told(kind: str, name: str, before: Table, after: Table) -> EntryChange:
    action = Action.ADD if not before else Action.CHANGE if after else Action.REMOVE
    if action is Action.REMOVE:
        return EntryChange(kind, name, action)
    old, new = dict(_flat(before)), dict(_flat(after))
    changed = [
        FieldChange(field, old.get(field), new.get(field))
        for field in {**old, **new}
        if old.get(field) != new.get(field)
    ]
    if not changed:
        orders = (", ".join(_hosts_of(table)) for table in (before, after))
        changed = [FieldChange("targets", *orders)]
    return EntryChange(kind, name, action, tuple(changed))


def _hosts_of(table: Table) -> list[str]:
    targets = table.get("targets")
    return list(targets) if isinstance(targets, dict) else []


def _flat(table: Table, path: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
