"""Clusters as an operator declares them, and the kubeconfigs that open them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.domain.errors import InvalidInput
from reconciler.domain.host import HostName
from reconciler.domain.secret import Secret
from reconciler.domain.version import ANYTHING, Expected
from reconciler.domain.workload import Cluster
from reconciler.pipeline.declaring.changes import changed_draft
from reconciler.pipeline.declaring.cluster_draft import ClusterDraft, draft_of, parse_cluster
from reconciler.ports import Clock, Clusters, ClusterStore

#: Field of a draft → its new value; None clears it.
ClusterChange = Mapping[str, str | None]

_FIXED = {"name": "", "in_cluster": "; remove the cluster, and declare it anew"}


@dataclass(frozen=True, slots=True)
class DeclaredClusters:
    """Declares clusters. What is stored to enter one is looked at first."""

    store: ClusterStore
    clusters: Clusters
    clock: Clock

    def declare(self, draft: ClusterDraft) -> Cluster:
        """Add the cluster that ``draft`` declares.

        Raises:
            InvalidInput: one field is wrong. ``SeveralInvalid``: more are.
            AlreadyExists: the name is taken, by a host or a cluster.
        """
        cluster = parse_cluster(draft, self.clock.now())
        self.store.create_cluster(cluster)
        return cluster

    def change(
        self, name: HostName, change: ClusterChange, expected: Expected = ANYTHING
    ) -> Cluster:
        """Change the fields that ``change`` names.

        Raises:
            NotFound: no such cluster.
            ChangedMeanwhile: it is not what was expected, or somebody changed it at this moment.
            InvalidInput: one field is wrong, or its kubeconfig has no such context.
        """
        before = self.store.get_cluster(name)
        expected.require(before)
        draft = changed_draft(draft_of(before), change, fixed=_FIXED, what="a cluster")
        wanted = parse_cluster(draft, before.created_at)
        after = replace(before, context=wanted.context)
        if after != before:
            if kubeconfig := self.store.kubeconfig(name):
                self.clusters.check_kubeconfig(kubeconfig, after.context)
            self.store.update_cluster(after, before)
        return after

    def remove(self, name: HostName, expected: Expected = ANYTHING) -> None:
        """Forget the cluster with its kubeconfig; what runs there goes on.

        Raises:
            NotFound: no such cluster.
            ChangedMeanwhile: it is not what was expected, or somebody changed it at this moment.
            Conflict: a project has a target in it.
        """
        cluster = self.store.get_cluster(name)
        expected.require(cluster)
        self.store.remove_cluster(name, cluster)

    def put_kubeconfig(
        self, name: HostName, kubeconfig: Secret, expected: Expected = ANYTHING
    ) -> Cluster:
        """Store or replace the kubeconfig of a cluster.

        Raises:
            NotFound: no such cluster.
            ChangedMeanwhile: it is not what was expected.
            InvalidInput: it can't be used, e.g. since it names files or programs; or the cluster is
                the daemon's own, which needs none.
        """
        cluster = self.store.get_cluster(name)
        expected.require(cluster)
        if cluster.in_cluster:
            problem = "is not needed: the daemon enters its own cluster by its service account"
            raise InvalidInput("kubeconfig", None, problem)
        self.clusters.check_kubeconfig(kubeconfig, cluster.context)
        self.store.put_kubeconfig(name, kubeconfig, self.clock.now())
        return self.store.get_cluster(name)
