"""What is declared now, as a fleet file says it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from reconciler.domain.health_check import HealthCheck, declaration_of
from reconciler.domain.host import Host, HostName
from reconciler.domain.project import Project
from reconciler.domain.references import ProjectName
from reconciler.domain.target import Target, default_folder
from reconciler.domain.version_check import VersionCheck
from reconciler.domain.version_check import declaration_of as declaration_of_version
from reconciler.pipeline.declaring.fleet.entries import Draft
from reconciler.pipeline.declaring.host_draft import DEFAULT_PORT, HostDraft
from reconciler.pipeline.declaring.host_draft import draft_of as draft_of_host
from reconciler.pipeline.declaring.project_draft import ProjectDraft
from reconciler.pipeline.declaring.project_draft import draft_of as draft_of_project
from reconciler.pipeline.declaring.target_draft import TargetDraft
from reconciler.pipeline.declaring.target_draft import draft_of as draft_of_target

Table = dict[str, object]


@dataclass(frozen=True, slots=True)
class Present:
    """All that a fleet file may declare, as it is declared now."""

    settings: Mapping[str, bool | int]
    hosts: Mapping[HostName, Host]
    projects: Mapping[ProjectName, Project]
    repositories: frozenset[ProjectName]  #: that are kept here
    clusters: frozenset[HostName]  #: no file declares them: who has one's access has the cluster


def document_of(present: Present) -> Table:
    """Return the document that declares just this. Secrets are not in it."""
    return {
        "settings": dict(present.settings),
        "hosts": {name: table_of_host(draft_of_host(one)) for name, one in present.hosts.items()},
        "projects": {name: table_of_project(one) for name, one in present.projects.items()},
    }


def table_of_host(draft: HostDraft) -> Table:
    """Return the fields of a host, without what goes without saying."""
    usual = {"name": draft.name, "port": DEFAULT_PORT}
    return {name: value for name, value in _said(draft, HostDraft) if usual.get(name) != value}


def table_of_project(project: Project) -> Table:
    """Return the fields of a project with its targets, without what goes without saying."""
    said = _said(draft_of_project(project), ProjectDraft)
    table = {name: value for name, value in said if name != "name"}
    if project.version is not None:
        table["version"] = _table_of_version(project.version)
    if project.targets:
        table["targets"] = {one.host: _table_of_target(one) for one in project.targets}
    return table


def _table_of_target(target: Target) -> Table:
    usual = {"host": target.host, "folder": default_folder(target.project)}
    said = _said(draft_of_target(target), TargetDraft)
    table = {name: value for name, value in said if usual.get(name) != value}
    for name, check in (("health", target.health), ("ready", target.ready)):
        if check is not None:
            table[name] = _table_of_health(check)
    return table


def _table_of_health(check: HealthCheck) -> Table:
    usual = declaration_of(HealthCheck(check.kind))
    told = declaration_of(check).items()
    return {name: value for name, value in told if name == "kind" or usual.get(name) != value}


def _table_of_version(check: VersionCheck) -> Table:
    usual = declaration_of_version(VersionCheck())
    told = declaration_of_version(check).items()
    return {name: value for name, value in told if usual.get(name) != value}


def _said(draft: object, kind: Draft) -> Iterator[tuple[str, object]]:
    """Yield the fields that have another value than they have when left out."""
    for field in fields(kind):
        value = getattr(draft, field.name)
        if isinstance(value, tuple):
            value = list(value)
        if value not in (None, False, [], {}):
            yield field.name, dict(value) if isinstance(value, Mapping) else value
