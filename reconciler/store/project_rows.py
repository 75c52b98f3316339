"""A declaration and what is known of its source, as columns and back."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from reconciler.domain.forge import WebAddress
from reconciler.domain.migration import declaration_of as declaration_of_migration
from reconciler.domain.migration import parse_migration
from reconciler.domain.path_patterns import PathPattern
from reconciler.domain.project import (
    Container,
    ExternalSource,
    HostedSource,
    Project,
    ProjectKind,
    Source,
)
from reconciler.domain.promotion import declaration_of as declaration_of_environment
from reconciler.domain.promotion import parse_environment
from reconciler.domain.references import (
    BranchName,
    GitUrl,
    ImageReference,
    ProjectName,
    RepositoryPath,
    ServiceName,
)
from reconciler.domain.rules import declaration_of as declaration_of_rules
from reconciler.domain.rules import parse_rules
from reconciler.domain.state import SourceHealth
from reconciler.domain.version_check import declaration_of as declaration_of_version
from reconciler.domain.version_check import parse_version_check
from reconciler.domain.webhook import Provider
from reconciler.store.codec import (
    commit_from_text,
    commit_to_text,
    failure_from_json,
    failure_to_json,
)
from reconciler.store.database import LONG_AGO
from reconciler.store.target_codec import target_from_json, target_to_json

Columns = dict[str, Any]


def project_columns(project: Project) -> Columns:
    """Return the declaration's columns."""
    return {
        "name": project.name,
        "kind": str(project.kind),
        "created_at": project.created_at,
        "updated_at": project.updated_at,
        **_source_columns(project.source),
        "compose_path": project.compose_path,
        "image": str(project.image) if project.image else None,
        "ports": list(project.container.ports),
        "volumes": list(project.container.volumes),
        "auto_deploy": project.auto_deploy,
        "expose_service": project.expose_service,
        "expose_port": project.expose_port,
        "stateful_services": list(project.stateful_services),
        "targets": [target_to_json(target) for target in project.targets],
        "one_by_one": project.one_by_one,
        "mend_drift": project.mend_drift,
        "migration": declaration_of_migration(project.migration) if project.migration else None,
        "version": declaration_of_version(project.version) if project.version else None,
        "push_images": project.push_images,
        "allow_manifest": project.allow_manifest,
        "watch_paths": [str(pattern) for pattern in project.watch_paths],
        "skip_markers": project.skip_markers,
        "commit_statuses": project.commit_statuses,
        "forge": str(project.forge) if project.forge else None,
        "forge_url": str(project.forge_url) if project.forge_url else None,
        "environment": declaration_of_environment(project.environment)
        if project.environment
        else None,
        "rules": declaration_of_rules(project.rules),
        "generation": project.generation,
    }


def declared_columns(project: Project) -> Columns:
    """Return those of the columns that somebody declared; what records may show."""
    ours = {"name", "created_at", "updated_at", "generation"}
    return {name: value for name, value in project_columns(project).items() if name not in ours}


def project_from_row(row: Row[*tuple[Any, ...]]) -> Project:
    """Return what ``project_columns`` was given."""
    return Project(
        name=ProjectName(row.name),
        kind=ProjectKind(row.kind),
        created_at=row.created_at,
        updated_at=row.updated_at,
        source=source_from_row(row),
        compose_path=RepositoryPath(row.compose_path),
        image=ImageReference.parse(row.image) if row.image else None,
        container=Container(tuple(row.ports), tuple(row.volumes)),
        auto_deploy=row.auto_deploy,
        expose_service=ServiceName(row.expose_service) if row.expose_service else None,
        expose_port=row.expose_port,
        stateful_services=tuple(ServiceName(name) for name in row.stateful_services),
        targets=tuple(target_from_json(row.name, target) for target in row.targets),
        one_by_one=row.one_by_one,
        mend_drift=row.mend_drift,
        migration=parse_migration(row.migration) if row.migration else None,
        version=parse_version_check(row.version) if row.version else None,
        push_images=row.push_images,
        allow_manifest=row.allow_manifest,
        watch_paths=tuple(PathPattern.parse(text) for text in row.watch_paths),
        skip_markers=row.skip_markers,
        commit_statuses=row.commit_statuses,
        forge=Provider(row.forge) if row.forge else None,
        forge_url=WebAddress.parse(row.forge_url) if row.forge_url else None,
        environment=parse_environment(row.environment) if row.environment else None,
        rules=parse_rules(row.rules),
        generation=row.generation,
    )


def source_from_row(row: Row[*tuple[Any, ...]]) -> Source | None:
    """Return the declared source, if there is one."""
    if row.source_url:
        return ExternalSource(GitUrl.parse(row.source_url), BranchName(row.source_branch))
    if row.source_repository:
        return HostedSource(ProjectName(row.source_repository), BranchName(row.source_branch))
    return None


def _source_columns(source: Source | None) -> Columns:
    return {
        "source_url": str(source.url) if isinstance(source, ExternalSource) else None,
        "source_repository": source.repository if isinstance(source, HostedSource) else None,
        "source_branch": source.branch.text if source else None,
    }


def is_polled(project: Project) -> bool:
    """Tell whether its source is looked at on a timer."""
    return (
        project.kind.deployable
        and isinstance(project.source, ExternalSource)
        and project.auto_deploy
        and project.follows_its_source
    )


def health_columns(health: SourceHealth) -> Columns:
    """Return the columns of one look; when the next is due is the caller's matter."""
    return {
        "looked_at": health.looked_at,
        "observed": commit_to_text(health.observed),
        "observed_at": health.observed_at,
        "branch_gone": health.branch_gone,
        "failures": health.failures,
        "error": failure_to_json(health.error),
    }


def health_from_row(row: Row[*tuple[Any, ...]]) -> SourceHealth:
    """Return how looking went; due at once and not polled both have no next look."""
    return SourceHealth(
        looked_at=row.looked_at,
        next_look_at=_instant(row.next_look_at),
        observed=commit_from_text(row.observed),
        observed_at=row.observed_at,
        branch_gone=row.branch_gone,
        failures=row.failures,
        error=failure_from_json(row.error),
    )


def _instant(due_at: datetime | None) -> datetime | None:
    return due_at if due_at != LONG_AGO else None
