"""What an operator writes to declare a project, and the rules it has to meet. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime

from reconciler.domain.commit_status import find_forge
from reconciler.domain.errors import InvalidInput
from reconciler.domain.forge import WebAddress, parse_forge
from reconciler.domain.migration import Migration, parse_migration
from reconciler.domain.migration import declaration_of as declaration_of_migration
from reconciler.domain.numbers import parse_port, shown
from reconciler.domain.path_patterns import parse_patterns
from reconciler.domain.problems import Problems
from reconciler.domain.project import (
    USUAL_COMPOSE_PATH,
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
    ServiceName,
    parse_project_name,
    parse_repository_path,
    parse_service_name,
)
from reconciler.domain.rules import Rules, parse_rules
from reconciler.domain.rules import declaration_of as declaration_of_rules
from reconciler.domain.version_check import declaration_of as declaration_of_version
from reconciler.pipeline.declaring.ports_and_volumes import check_number, parse_ports, parse_volumes
from reconciler.pipeline.declaring.version_checks import check_version, parse_version

DEFAULT_BRANCH = "main"

#: Field → kinds that it belongs to; the fields that are not here belong to all.
_BELONGS_TO: Mapping[str, frozenset[ProjectKind]] = {
    **dict.fromkeys(
        (
            *("repository", "url", "branch", "allow_manifest", "watch_paths", "skip_markers"),
            *("commit_statuses", "forge", "forge_url"),
        ),
        frozenset({ProjectKind.COMPOSE, ProjectKind.UNIT}),
    ),
    **dict.fromkeys(
        (
            *("compose_path", "expose_service", "expose_port", "stateful_services"),
            "push_images",
        ),
        frozenset({ProjectKind.COMPOSE}),
    ),
    "migration": frozenset({ProjectKind.COMPOSE, ProjectKind.IMAGE}),
    "mend_drift": frozenset({ProjectKind.COMPOSE, ProjectKind.IMAGE, ProjectKind.UNIT}),
    "version": frozenset({ProjectKind.COMPOSE, ProjectKind.IMAGE, ProjectKind.UNIT}),
    **dict.fromkeys(("image", "ports", "volumes"), frozenset({ProjectKind.IMAGE})),
}


@dataclass(frozen=True, slots=True)
class ProjectDraft:
    """A project as it was asked for: text that nobody has checked yet."""

    name: str
    kind: str | None = None  #: None: that of the environment before
    repository: str | None = None  #: compose and unit: one that this daemon keeps; or
    url: str | None = None  #: compose and unit: one elsewhere
    branch: str | None = None
    compose_path: str | None = None
    image: str | None = None
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    expose_service: str | None = None
    expose_port: int | None = None
    stateful_services: tuple[str, ...] = ()
    auto_deploy: bool = False
    one_by_one: bool = False
    mend_drift: bool = False
    migration: Mapping[str, object] | None = None  #: as ``parse_migration`` takes it
    version: Mapping[str, object] | None = None  #: as ``parse_version_check`` takes it
    push_images: bool = False
    allow_manifest: bool = False
    watch_paths: tuple[str, ...] = ()
    skip_markers: bool = False
    commit_statuses: bool = False
    forge: str | None = None  #: which forge the source is at; None: as its host tells
    forge_url: str | None = None  #: None: the source's own, over https
    environment: Mapping[str, object] | None = None  #: as ``parse_environment`` takes it
    rules: Mapping[str, object] | None = None  #: as ``parse_rules`` takes it


def draft_of(project: Project) -> ProjectDraft:
    """Return the draft that ``parse_draft`` makes ``project`` of."""
    source, compose = project.source, project.kind is ProjectKind.COMPOSE
    return ProjectDraft(
        name=project.name,
        kind=project.kind,
        repository=source.repository if isinstance(source, HostedSource) else None,
        url=str(source.url) if isinstance(source, ExternalSource) else None,
        branch=str(source.branch) if source else None,
        compose_path=project.compose_path if compose else None,
        image=str(project.image) if project.image else None,
        ports=project.container.ports,
        volumes=project.container.volumes,
        expose_service=project.expose_service,
        expose_port=project.expose_port,
        stateful_services=tuple(project.stateful_services),
        auto_deploy=project.auto_deploy,
        one_by_one=project.one_by_one,
        mend_drift=project.mend_drift,
        migration=declaration_of_migration(project.migration) if project.migration else None,
        version=declaration_of_version(project.version) if project.version else None,
        push_images=project.push_images,
        allow_manifest=project.allow_manifest,
        watch_paths=tuple(map(str, project.watch_paths)),
        skip_markers=project.skip_markers,
        commit_statuses=project.commit_statuses,
        forge=str(project.forge) if project.forge else None,
        forge_url=str(project.forge_url) if project.forge_url else None,
        environment=declaration_of_environment(project.environment)
        if project.environment
        else None,
        rules=declaration_of_rules(project.rules) or None,
    )


def parse_draft(draft: ProjectDraft, now: datetime) -> Project:
    """Return the project that ``draft`` declares, new at ``now``.

    Raises:
        InvalidInput: one field is wrong.
        SeveralInvalid: more are; every one is named.
    """
    problems = Problems()
    kind = problems.collect(lambda: _parse_kind(draft.kind))
    name = problems.collect(lambda: parse_project_name(draft.name))
    if kind is None:
        raise problems.error()
    problems.found.extend(_misplaced(draft, kind))
    empty = Project(
        name=name or parse_project_name("unnamed"), kind=kind, created_at=now, updated_at=now
    )
    project = replace(
        empty,
        auto_deploy=draft.auto_deploy,
        one_by_one=draft.one_by_one,
        mend_drift=draft.mend_drift,
        version=parse_version(draft.version, kind, problems),
        migration=_parse_migration(draft, problems),
        push_images=draft.push_images,
        allow_manifest=draft.allow_manifest,
        watch_paths=problems.collect(lambda: parse_patterns(draft.watch_paths)) or (),
        skip_markers=draft.skip_markers,
    )
    project = _with_environment(project, draft, problems)
    check_version(project, problems)
    if kind in {ProjectKind.COMPOSE, ProjectKind.UNIT}:
        project = replace(project, source=_parse_source(draft, problems))
        project = _with_forge(project, draft, problems)
    if kind is ProjectKind.COMPOSE:
        project = _with_compose(project, draft, problems)
    if kind is ProjectKind.IMAGE:
        project = _with_image(project, draft, problems)
    if problems.found:
        raise problems.error()
    return project


def _parse_kind(text: str | None) -> ProjectKind:
    if text is None:
        raise InvalidInput("kind", None, f"is missing; there are {', '.join(ProjectKind)}")
    if text not in set(ProjectKind):
        raise InvalidInput("kind", text, f"is not one of {', '.join(ProjectKind)}")
    return ProjectKind(text)


def belongs_to(field: str, kind: str | None) -> bool:
    """Tell whether a project of ``kind`` may have ``field``."""
    return field not in _BELONGS_TO or kind in _BELONGS_TO[field]


def _misplaced(draft: ProjectDraft, kind: ProjectKind) -> list[InvalidInput]:
    usual = {field.name: field.default for field in fields(ProjectDraft)}
    return [
        InvalidInput(
            field, shown(value), f"does not belong in a project of kind {kind}; leave it out"
        )
        for field in _BELONGS_TO
        if not belongs_to(field, kind)
        and (value := getattr(draft, field)) not in (None, usual[field])
    ]


def _parse_migration(draft: ProjectDraft, problems: Problems) -> Migration | None:
    declared = draft.migration
    return problems.collect(lambda: parse_migration(declared)) if declared is not None else None


def _with_environment(project: Project, draft: ProjectDraft, problems: Problems) -> Project:
    declared, rules = draft.environment, draft.rules
    environment = (
        problems.collect(lambda: parse_environment(declared)) if declared is not None else None
    )
    parsed = problems.collect(lambda: parse_rules(rules)) if rules is not None else None
    found = replace(project, environment=environment, rules=parsed or Rules())
    if found.promoted_from == project.name:
        problem = "is this project itself: name the environment before it"
        problems.found.append(InvalidInput("environment.promoted_from", project.name, problem))
    if found.rules.approvals and found.promoted_from is None:
        problem = "are of promotions, and it is promoted from nowhere: give environment, too"
        problems.found.append(InvalidInput("rules.approvals", found.rules.approvals, problem))
    return found


def _with_compose(project: Project, draft: ProjectDraft, problems: Problems) -> Project:
    path, service, port = draft.compose_path, draft.expose_service, draft.expose_port
    return replace(
        project,
        compose_path=problems.collect(
            lambda: parse_repository_path(
                USUAL_COMPOSE_PATH if path is None else path, "compose_path"
            )
        )
        or USUAL_COMPOSE_PATH,
        expose_service=problems.collect(lambda: parse_service_name(service, "expose_service"))
        if service is not None
        else None,
        expose_port=problems.collect(lambda: parse_port(port, "expose_port"))
        if port is not None
        else None,
        stateful_services=problems.collect(lambda: _parse_services(draft.stateful_services)) or (),
    )


def _with_image(project: Project, draft: ProjectDraft, problems: Problems) -> Project:
    container = Container(
        ports=problems.collect(lambda: parse_ports(draft.ports)) or (),
        volumes=problems.collect(lambda: parse_volumes(draft.volumes)) or (),
    )
    if draft.image is None and project.promoted_from is not None:
        return project  # it gets what the environment before has
    if draft.image is None:
        problems.found.append(InvalidInput("image", None, "is missing: it is all there is to run"))
        return project
    text = draft.image
    return replace(
        project, image=problems.collect(lambda: ImageReference.parse(text)), container=container
    )


def _parse_source(draft: ProjectDraft, problems: Problems) -> Source | None:
    branch_text = DEFAULT_BRANCH if draft.branch is None else draft.branch
    branch = problems.collect(lambda: BranchName.parse(branch_text))
    repository, url = draft.repository, draft.url
    if (repository is None) == (url is None):
        missing = "is missing, and so is `repository`: give one of them"
        problem = missing if url is None else "and `repository` exclude each other"
        problems.found.append(InvalidInput("url", url, problem))
        return None
    if url is not None:
        parsed = problems.collect(lambda: GitUrl.parse(url))
        return ExternalSource(parsed, branch) if parsed and branch else None
    name = problems.collect(lambda: parse_project_name(repository or "", "repository"))
    return HostedSource(name, branch) if name and branch else None


def _with_forge(project: Project, draft: ProjectDraft, problems: Problems) -> Project:
    forge, url = draft.forge, draft.forge_url
    found = replace(
        project,
        commit_statuses=draft.commit_statuses,
        forge=problems.collect(lambda: parse_forge(forge, "forge")) if forge is not None else None,
        forge_url=problems.collect(lambda: WebAddress.parse(url, "forge_url"))
        if url is not None
        else None,
    )
    if draft.commit_statuses and not problems.found:
        problems.collect(lambda: find_forge(found))
    return found


def _parse_services(names: tuple[str, ...]) -> tuple[ServiceName, ...]:
    check_number("stateful_services", names)
    services = (
        parse_service_name(name, f"stateful_services.{at}") for at, name in enumerate(names)
    )
    return tuple(dict.fromkeys(services))
