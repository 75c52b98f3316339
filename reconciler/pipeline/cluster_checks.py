"""How each cluster answers, asked now and then, each on its own so that one that hangs delays none.

What a check found is remembered until the daemon ends, or the cluster is declared otherwise.
"""

import logging
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from reconciler.domain.errors import PreconditionFailed, ReconcilerError
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.target import TargetStrategy
from reconciler.domain.workload import Cluster
from reconciler.log import fields
from reconciler.pipeline.checks_begun import ChecksBegun, Submit
from reconciler.ports import Clock, Clusters, Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClusterStanding:
    """What is known of a cluster."""

    health: HostHealth = field(default_factory=HostHealth)
    version: str = ""  #: of its API server, at the last good check


class ClusterChecks:
    """Checks clusters in the namespaces that are deployed to. Threads may share it."""

    def __init__(self, store: Store, clusters: Clusters, clock: Clock, submit: Submit) -> None:
        self._store = store
        self._clusters = clusters
        self._clock = clock
        self._checks = ChecksBegun(submit, self.check)
        self._lock = threading.Lock()
        self._found: dict[HostName, tuple[Cluster, ClusterStanding]] = {}

    def tick(self) -> None:
        """Begin a check of every cluster that can be entered; one that is under way goes on."""
        for cluster in self._store.list_clusters():
            if _has_entrance(cluster):
                suspect = self.standing(cluster).health.reachable is False
                self._checks.begin(cluster.name, suspect=suspect)

    def check(self, name: HostName, namespace: str = "") -> ClusterStanding:
        """Check one cluster now, and return what is known of it. Raises ``NotFound``.

        Args:
            name: of the cluster.
            namespace: what we may do there is looked at; empty: in those of its targets.
        """
        cluster = self._store.get_cluster(name)
        client, before = self._clusters.get(name), self.standing(cluster)
        version, error, began = before.version, None, self._clock.monotonic()
        try:
            for one in [namespace] if namespace else self._namespaces(name) or [""]:
                version = client.check(one)
        except ReconcilerError as caught:
            error = caught
        took = timedelta(seconds=self._clock.monotonic() - began)
        standing = ClusterStanding(self._health(before.health, error, took), version)
        with self._lock:
            self._found[name] = (cluster, standing)
        self._tell(name, before.health, error)
        return standing

    def standing(self, cluster: Cluster) -> ClusterStanding:
        """Return what is known of it."""
        with self._lock:
            seen, standing = self._found.get(cluster.name, (None, ClusterStanding()))
        return standing if seen == cluster else ClusterStanding()

    def troubles(self) -> Mapping[HostName, HostHealth]:
        """Return the clusters in which nothing can be done now, as far as is known, and why."""
        found = {one.name: self._trouble(one) for one in self._store.list_clusters()}
        return {name: health for name, health in found.items() if health.error is not None}

    def _trouble(self, cluster: Cluster) -> HostHealth:
        if _has_entrance(cluster):
            return self.standing(cluster).health
        error = PreconditionFailed(f"cluster {cluster.name} has no kubeconfig yet")
        error.remedy = f"store one: `reconciler cluster kubeconfig {cluster.name}`"
        return HostHealth(error=Failure.of(error))

    def _health(
        self, before: HostHealth, error: ReconcilerError | None, took: timedelta
    ) -> HostHealth:
        now, stands_so = self._clock.now(), before.reachable is (error is None)
        since = before.since if stands_so else now
        if error is not None:
            return HostHealth(now, since, Failure.of(error))
        return HostHealth(now, since, took=took)

    def _tell(self, name: HostName, before: HostHealth, error: ReconcilerError | None) -> None:
        if error is None:
            if before.reachable is False:
                log.info("cluster %s answers again", name)
        elif before.error is None or before.error.code != error.code:
            log.warning("%s", error.message, extra=fields(host=name, code=error.code))

    def _namespaces(self, name: HostName) -> Collection[str]:
        targets = (one for project in self._store.list_projects() for one in project.targets)
        return {
            target.namespace
            for target in targets
            if target.strategy is TargetStrategy.KUBERNETES and target.host == name
        }


def _has_entrance(cluster: Cluster) -> bool:
    return cluster.in_cluster or bool(cluster.kubeconfig_fingerprint)
