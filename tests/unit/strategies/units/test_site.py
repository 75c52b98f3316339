"""What a target is called on its host."""

import pytest

from reconciler.domain.deployment import DeploymentId, PreparedTarget
from reconciler.domain.errors import InvalidReference, PreconditionFailed
from reconciler.domain.host import HostPath
from reconciler.domain.references import ProjectName, RepositoryPath
from reconciler.domain.revision import Revision
from reconciler.domain.target import Target
from reconciler.strategies.units.site import Site, deployment_of, kept_as

BINARY = RepositoryPath("web")


@pytest.mark.parametrize("folder", ["/opt/apps/web", "/srv/web", "/home/a.b/c_d-e", ""])
def test_a_plain_folder_is_taken(folder: str) -> None:
    site = Site.of(Target(ProjectName("web"), folder=HostPath(folder), binary=BINARY))
    assert site.folder == (folder or "/opt/apps/web")


@pytest.mark.parametrize(
    "folder",
    ["/", "/opt", "/etc/web", "opt/web", "/opt/../etc", "/opt//web"]
    + [f"/opt/w{bad}b" for bad in " \n'\"$%;&|*?~:\\#"],
)
def test_a_folder_that_anything_could_read_otherwise_is_refused(folder: str) -> None:
    with pytest.raises(InvalidReference):
        Site.of(Target(ProjectName("web"), folder=HostPath(folder), binary=BINARY))


def test_a_target_without_a_binary_is_refused() -> None:
    with pytest.raises(PreconditionFailed, match="names no binary"):
        Site.of(Target(ProjectName("web")))


def test_a_deployment_is_found_again_by_what_was_prepared() -> None:
    prepared = PreparedTarget(Revision(None), (), override_file=kept_as(DeploymentId(12)))
    assert deployment_of(prepared) == "12"


@pytest.mark.parametrize(
    "kept", ["", "deployments/", "deployments/../x", ".deploy/override-1.yaml"]
)
def test_what_another_strategy_prepared_is_refused(kept: str) -> None:
    with pytest.raises(PreconditionFailed):
        deployment_of(PreparedTarget(Revision(None), (), override_file=kept))
