"""What a target is called on its host."""

from dataclasses import dataclass
from typing import Self

from reconciler.domain.deployment import DeploymentId, PreparedTarget
from reconciler.domain.errors import PreconditionFailed
from reconciler.domain.folder import parse_folder
from reconciler.domain.host import HostPath
from reconciler.domain.references import ProjectName, RepositoryPath
from reconciler.domain.target import Target, default_folder

_KEPT_IN = "deployments/"


@dataclass(frozen=True, slots=True)
class Site:
    """Names and paths of one target on its host."""

    project: ProjectName
    folder: HostPath
    unit: str
    binary: RepositoryPath

    @classmethod
    def of(cls, target: Target) -> Self:
        """Return those of ``target``.

        Raises:
            InvalidReference: its folder is the system's, or none that shells, unit files and the
                service manager all read as it stands.
            PreconditionFailed: it names no binary.
        """
        folder = parse_folder(target.folder or default_folder(target.project))
        if target.binary is None:
            raise PreconditionFailed(f"{target.project} on {target.host} names no binary to run")
        return cls(target.project, folder, target.unit, target.binary)

    @property
    def marker(self) -> str:
        """The first line of a unit file that is ours."""
        return f"# Written by reconciler for {self.project}; what is changed here is overwritten."

    @property
    def timer(self) -> str:
        """The transient unit that goes back unless it is stopped."""
        return f"reconciler-revert-{self.project}"

    @property
    def builds(self) -> str:
        """Begins the names of the transient units that build; their deployment follows."""
        return f"reconciler-build-{self.project}"

    def self_update(self, deployment: DeploymentId) -> str:
        """Return the transient unit that replaces the daemon, for one deployment."""
        return f"reconciler-self-update-{self.project}-{deployment}"

    def path(self, below: str) -> HostPath:
        """Return the path of something below the folder."""
        return HostPath(f"{self.folder}/{below}")


def kept_as(deployment: DeploymentId) -> str:
    """Return where a deployment's unit, environment and release are kept, below the folder."""
    return f"{_KEPT_IN}{deployment}"


def deployment_of(prepared: PreparedTarget) -> str:
    """Return the number of the deployment that ``prepared`` was made by.

    Raises:
        PreconditionFailed: it was made by another strategy.
    """
    number = prepared.override_file.removeprefix(_KEPT_IN)
    if not number.isascii() or not number.isdigit():
        raise PreconditionFailed("what was prepared is no release of a unit; deploy it again")
    return number
