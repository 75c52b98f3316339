"""Bodies of clusters."""

from datetime import datetime
from typing import Self

from pydantic import ConfigDict

from reconciler.domain.workload import Cluster
from reconciler.pipeline.cluster_checks import ClusterStanding
from reconciler.pipeline.declaring.cluster_draft import ClusterDraft
from reconciler.web.schemas.body import AT, Answer, Asked, next_page, said
from reconciler.web.schemas.hosts import HostHealthBody


class NewCluster(Asked):
    """A Kubernetes cluster to deploy to. Its kubeconfig is stored in a request of its own."""

    name: str = said("1 to 63 of a-z, 0-9, '.' and '-'; no host has it.", "prod")
    context: str | None = said(
        "Of its kubeconfig; null: the current one.", "prod-admin", default=None
    )
    in_cluster: bool = said(
        "Whether the daemon runs in it, and enters by its service account.", False, default=False
    )

    def draft(self) -> ClusterDraft:
        """Return what was asked for."""
        return ClusterDraft(**self.model_dump())


class ClusterPatch(Asked):
    """Fields to change; a field that is left out stays, null clears it."""

    context: str | None = said(
        "Of its kubeconfig; null: the current one.", "prod-admin", default=None
    )

    def change(self) -> dict[str, str | None]:
        """Return the fields that were given."""
        return {field: getattr(self, field) for field in self.model_fields_set}


class NewKubeconfig(Asked):
    """A kubeconfig to store. It is never shown again."""

    model_config = ConfigDict(hide_input_in_errors=True)

    value: str = said(
        "A kubeconfig with all that it needs in it: it may name no files and no programs.",
        "apiVersion: v1\nkind: Config\n…",
        repr=False,
    )


class ClusterCheck(Asked):
    """Where to look what we may do."""

    namespace: str | None = said(
        "What we may do there is looked at; null: where projects are deployed to.",
        "shop",
        default=None,
    )


class KubeconfigBody(Answer):
    """What may be shown of a kubeconfig."""

    fingerprint: str = said("Tells equal from different, no more.", "5f0c2b1a")
    stored_at: datetime | None = said("When it was stored.", AT)

    @classmethod
    def of(cls, cluster: Cluster) -> Self | None:
        """Return the body of the kubeconfig; None where there is none."""
        if not cluster.kubeconfig_fingerprint:
            return None
        return cls(
            fingerprint=cluster.kubeconfig_fingerprint, stored_at=cluster.kubeconfig_stored_at
        )


class ClusterBody(Answer):
    """A Kubernetes cluster that is deployed to."""

    name: str = said("Its name; targets name it as their host.", "prod")
    context: str | None = said("Of its kubeconfig; null: the current one.", None)
    in_cluster: bool = said("Whether it is the one that the daemon runs in.", False)
    kubeconfig: KubeconfigBody | None = said("What it is entered by; null: nothing is stored.")
    health: HostHealthBody = said("How asking it went last.")
    version: str | None = said("Of its API server, at the last good check.", "v1.34.1")
    created_at: datetime = said("When it was declared.", AT)

    @classmethod
    def of(cls, cluster: Cluster, standing: ClusterStanding) -> Self:
        """Return the body of ``cluster``."""
        return cls(
            name=cluster.name,
            context=cluster.context or None,
            in_cluster=cluster.in_cluster,
            kubeconfig=KubeconfigBody.of(cluster),
            health=HostHealthBody.of(standing.health),
            version=standing.version or None,
            created_at=cluster.created_at,
        )


class ClusterList(Answer):
    """By name."""

    items: list[ClusterBody] = said("The clusters.", [])
    next: str | None = next_page()
