"""Bodies that are made of more than one fact of the store."""

from reconciler.domain.deployment import Deployment
from reconciler.ports import DeploymentStore
from reconciler.web.schemas.deployments import DeploymentBody


def body_of(
    store: DeploymentStore, deployment: Deployment, *, with_evidence: bool = False
) -> DeploymentBody:
    """Return the body of ``deployment``, with how long its stages usually take."""
    usual = store.usual_durations(deployment.project)
    return DeploymentBody.of(deployment, usual, with_evidence=with_evidence)
