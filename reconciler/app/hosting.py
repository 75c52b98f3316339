"""How hosts and clusters are reached, and how each is looked after."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.hosts.local import LocalMachine
from reconciler.adapters.hosts.machines import DeclaredHosts, SshMachines
from reconciler.adapters.hosts.operator_config import OperatorConfig
from reconciler.adapters.kubernetes.clusters import KubernetesClusters, OwnPod
from reconciler.adapters.kubernetes.prober import KubernetesProber
from reconciler.adapters.probes.address import HostAddresses
from reconciler.adapters.probes.prober import HealthProber
from reconciler.app.probing import TargetProber
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.secret import Secret
from reconciler.log import Redactor
from reconciler.pipeline.cluster_checks import ClusterChecks
from reconciler.pipeline.declaring.clusters import DeclaredClusters
from reconciler.pipeline.declaring.hosts import Hosts
from reconciler.pipeline.host_checks import HostChecks
from reconciler.ports import Clock, CommandRunner, Prober, Store
from reconciler.scheduling import LoopSpec
from reconciler.triggers.lanes import Lanes

_CHECK_EVERY = timedelta(minutes=1)
#: Checks of hosts that answered last time, side by side; as many of those that did not.
_CHECKS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class HostingParts:
    """What hosts are reached with."""

    store: Store
    runner: CommandRunner
    engine: DockerEngine
    clock: Clock
    redactor: Redactor


class Hosting:
    """Every host and cluster: its declaration, the way to it, and its checks."""

    def __init__(self, parts: HostingParts, folder: Path) -> None:
        """Use ``folder`` alone for keys and connections; it is swept."""
        self._parts = parts
        operator = OperatorConfig(parts.runner)
        self.machines = SshMachines(
            folder,
            LocalMachine(parts.runner, parts.engine, parts.clock),
            DeclaredHosts(parts.store.get_host, self._find_key),
            operator,
            parts.clock,
        )
        self._lanes = Lanes(
            "host", at_once=_CHECKS_AT_ONCE, per_host=1, suspects_at_once=_CHECKS_AT_ONCE
        )
        self.hosts = Hosts(parts.store, self.machines, parts.clock)
        self.checks = HostChecks(
            parts.store,
            self.machines,
            lambda host, task, suspect: self._lanes.submit(host, task, suspect=suspect),
        )
        self.clusters = KubernetesClusters(parts.store, parts.redactor, OwnPod(os.environ))
        #: What asks any target how it is.
        self.prober: Prober = TargetProber(
            HealthProber(self.machines, HostAddresses(parts.store.get_host, operator)),
            KubernetesProber(self.clusters.open),
        )
        self.declared_clusters = DeclaredClusters(parts.store, self.clusters, parts.clock)
        self.cluster_checks = ClusterChecks(
            parts.store,
            self.clusters,
            parts.clock,
            lambda name, task, suspect: self._lanes.submit(name, task, suspect=suspect),
        )

    def loops(self) -> Sequence[LoopSpec]:
        """Return the loops that check every host and every cluster."""
        return (
            LoopSpec("hosts", self.checks.tick, _CHECK_EVERY),
            LoopSpec("clusters", self.cluster_checks.tick, _CHECK_EVERY),
        )

    def troubles(self) -> Mapping[HostName, HostHealth]:
        """Return where nothing can be done now, as far as is known, and why."""
        return {**self.checks.troubles(), **self.cluster_checks.troubles()}

    def standings(self) -> dict[HostName, HostHealth]:
        """Return how those stand that may be entered, and that were asked since the start."""
        store = self._parts.store
        hosts = {
            one.name: self.checks.standing(one.name).health
            for one in store.list_hosts()
            if one.confirmed
        }
        clusters = {
            one.name: self.cluster_checks.standing(one).health for one in store.list_clusters()
        }
        every = {**hosts, **clusters}
        return {name: health for name, health in every.items() if health.reachable is not None}

    def close(self) -> None:
        """Begin no further check, and end all connections."""
        self._lanes.close()
        self.machines.close()

    def _find_key(self, name: HostName) -> Secret | None:
        """Return our private key for a host, which no log then shows."""
        key = self._parts.store.find_host_secret(name)
        if key is not None:
            self._parts.redactor.register(key)
        return key
