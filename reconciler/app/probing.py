"""Who asks a target how it is: its host, or the API of its cluster."""

from dataclasses import dataclass

from reconciler.domain.probing import Reading
from reconciler.domain.references import CommitSha
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.version_check import VersionCheck
from reconciler.ports import ClusterProber, Prober


@dataclass(frozen=True, slots=True)
class TargetProber:
    """``Prober`` of every target."""

    on_hosts: Prober
    in_clusters: ClusterProber

    def probe(self, target: Target, commit: CommitSha | None, *, ready: bool = False) -> Reading:
        """Ask one of its checks once; see ``Prober``."""
        in_cluster = target.strategy is TargetStrategy.KUBERNETES
        prober = self.in_clusters if in_cluster else self.on_hosts
        return prober.probe(target, commit, ready=ready)

    def probe_version(
        self, target: Target, address: str, check: VersionCheck, commit: CommitSha
    ) -> Reading:
        """Ask one container, or one pod, once; see ``Prober``."""
        if target.strategy is TargetStrategy.KUBERNETES:
            return self.in_clusters.probe_version(target.host, address, check, commit)
        return self.on_hosts.probe_version(target, address, check, commit)
