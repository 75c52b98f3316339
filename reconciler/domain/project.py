"""What the operator declared."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.domain.forge import WebAddress
from reconciler.domain.migration import Migration
from reconciler.domain.path_patterns import PathPattern
from reconciler.domain.promotion import Environment
from reconciler.domain.references import (
    BranchName,
    GitUrl,
    ImageReference,
    ProjectName,
    RepositoryPath,
    ServiceName,
)
from reconciler.domain.rules import Rules
from reconciler.domain.target import Target, implied_target
from reconciler.domain.version_check import VersionCheck
from reconciler.domain.webhook import Provider

USUAL_COMPOSE_PATH = RepositoryPath("compose.yaml")


class ProjectKind(StrEnum):
    """What a project is made of."""

    COMPOSE = "compose"  #: a repository with a compose file
    IMAGE = "image"  #: one image, no repository
    UNIT = "unit"  #: a repository whose build runs as a systemd unit
    TUNNEL = "tunnel"  #: forwards traffic; nothing to deploy
    DOMAIN_ONLY = "domain_only"  #: a name for something else; nothing to deploy

    @property
    def deployable(self) -> bool:
        """Whether there is anything to deploy."""
        return self in {ProjectKind.COMPOSE, ProjectKind.IMAGE, ProjectKind.UNIT}

    @property
    def runs_containers(self) -> bool:
        """Whether it is made of images, which may be followed, and of volumes, which stay put."""
        return self in {ProjectKind.COMPOSE, ProjectKind.IMAGE}


@dataclass(frozen=True, slots=True)
class HostedSource:
    """A branch of a bare repository that this daemon keeps, named like the project's source."""

    repository: ProjectName
    branch: BranchName


@dataclass(frozen=True, slots=True)
class ExternalSource:
    """A branch of a repository elsewhere."""

    url: GitUrl
    branch: BranchName


Source = HostedSource | ExternalSource


@dataclass(frozen=True, slots=True)
class Container:
    """How the one container of an ``image`` project is run."""

    ports: tuple[str, ...] = ()  #: compose short syntax, e.g. ``127.0.0.1:8080:80``
    volumes: tuple[str, ...] = ()  #: named volumes only, e.g. ``data:/var/lib/app``


@dataclass(frozen=True, slots=True)
class Project:
    """One deployable unit as declared. Facts about what runs are in ``ProjectState``."""

    name: ProjectName
    kind: ProjectKind
    created_at: datetime
    updated_at: datetime
    source: Source | None = None  #: compose and unit projects only
    compose_path: RepositoryPath = USUAL_COMPOSE_PATH
    image: ImageReference | None = None  #: image projects only
    container: Container = field(default_factory=Container)  #: image projects only
    auto_deploy: bool = False
    expose_service: ServiceName | None = None  #: required before a compose project deploys
    expose_port: int | None = None  #: 1 to 65535; required before a compose project deploys
    stateful_services: tuple[ServiceName, ...] = ()  #: never pinned, e.g. databases
    targets: tuple[Target, ...] = ()  #: as declared, in that order; see ``where``
    one_by_one: bool = False  #: hosts one after another, stopping at the first failure
    #: Whether what was deployed is put back by itself where what runs came to differ from it.
    mend_drift: bool = False
    migration: Migration | None = None  #: compose and image projects only
    version: VersionCheck | None = None  #: where its app tells the commit that it is of
    #: Whether images that are built go to the registry that their names tell; compose only.
    push_images: bool = False
    allow_manifest: bool = False  #: whether the repository may add to this declaration
    #: A move of the branch that changes none of these deploys nothing; empty: every move counts.
    watch_paths: tuple[PathPattern, ...] = ()
    skip_markers: bool = (
        False  #: whether ``[skip cd]`` and the like in a commit keep it from deploying
    )
    commit_statuses: bool = False  #: whether its forge is told how each commit fares
    forge: Provider | None = None  #: which one that is; None: as the source's host tells
    forge_url: WebAddress | None = None  #: where it is; None: where the source is, over https
    environment: Environment | None = None  #: None: it is an app of one environment
    rules: Rules = field(default_factory=Rules)
    generation: int = 1  #: grows with each edit of what would run; a toggle is no such edit

    @property
    def where(self) -> tuple[Target, ...]:
        """The targets that it is deployed to; what runs in containers needs none declared."""
        if self.targets or not self.kind.runs_containers:
            return self.targets
        return (implied_target(self.name),)

    @property
    def followed_folder(self) -> Target | None:
        """The target in whose folder its files are; None: they come from who pushes them.

        What changes there is recorded in its own repository, to which then nobody pushes.
        """
        if not isinstance(self.source, HostedSource) or self.source.repository != self.name:
            return None
        return next((target for target in self.targets if target.base), None)

    @property
    def promoted_from(self) -> ProjectName | None:
        """Whose verified revisions it gets, and nothing else; None: it follows its own source."""
        return self.environment.promoted_from if self.environment else None

    @property
    def follows_its_source(self) -> bool:
        """Whether what moves there is for it, and not only for the environments before it."""
        return self.promoted_from is None

    @property
    def followed_branch(self) -> BranchName | None:
        """The branch whose tip should run; None without a repository."""
        return self.source.branch if self.source else None

    def follows(self, repository: ProjectName) -> bool:
        """Tell whether its source is ``repository``: kept here, or elsewhere by that name."""
        match self.source:
            case HostedSource(name):
                return name == repository
            case ExternalSource(url):
                return url.path.rpartition("/")[2].removesuffix(".git") == repository
            case None:
                return False
