"""Hosts and clusters as the pages show them: what is recorded of each; none of them is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.domain.errors import (
    HostKeyMismatch,
    HostKeyUnconfirmed,
    HostRefused,
    TargetUnreachable,
)
from reconciler.domain.failure import Failure
from reconciler.domain.host import LOCAL, Host, HostHealth, HostName, fingerprint_of
from reconciler.domain.target import Target
from reconciler.domain.workload import Cluster
from reconciler.pipeline.host_checks import HostStanding
from reconciler.ports import HostFacts
from reconciler.web.pages import words
from reconciler.web.pages.frame import Frame
from reconciler.web.pages.words import Badge

#: Less is free than a few images and releases take.
LOW_BYTES = 5_000_000_000

_OF_CODE = {
    HostKeyMismatch.code: words.KEY_CHANGED,
    HostKeyUnconfirmed.code: words.NOT_SET_UP,
    HostRefused.code: words.NOT_LET_IN,
    TargetUnreachable.code: words.OFFLINE,
}


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host or a cluster, and what is known of it."""

    name: HostName
    kind: str  #: ``host`` or ``cluster``
    reached: str  #: how, in words
    health: HostHealth
    targets: Sequence[Target]
    set_up: bool = True  #: whether it may be asked at all
    fingerprints: Sequence[str] = ()  #: of the keys that it is known by
    facts: HostFacts | None = None
    version: str = ""  #: of a cluster's API server
    knock: str = ""  #: a command that shows whether it is the network or the host

    @property
    def address(self) -> str:
        """Its page."""
        return f"/{self.kind}s/{self.name}"

    @property
    def is_local(self) -> bool:
        """Whether it is the daemon's own machine."""
        return self.name == LOCAL

    @property
    def free(self) -> int | None:
        """Bytes that are free on its disk, where it said that."""
        return self.facts.free_bytes if self.facts else None

    @property
    def is_low(self) -> bool:
        """Whether its disk is nearly full."""
        return self.free is not None and self.free < LOW_BYTES

    @property
    def badge(self) -> Badge:
        """How it stands."""
        if not self.set_up:
            return words.NOT_SET_UP
        if (error := self.health.error) is not None:
            return _OF_CODE.get(error.code, words.NOT_SET_UP)
        if self.is_low:
            return words.DISK_LOW
        return words.ONLINE if self.is_local or self.health.reachable else words.NOT_ASKED

    @property
    def error(self) -> Failure | None:
        """What its last check failed of."""
        return self.health.error if self.set_up else None

    @property
    def key_changed(self) -> bool:
        """Whether it shows another key than the one that it is known by."""
        return self.error is not None and self.error.code == HostKeyMismatch.code

    @property
    def heard(self) -> datetime | None:
        """When it answered last; None: it does not, or was not asked yet."""
        return self.health.checked_at if self.health.reachable else None

    @property
    def took(self) -> timedelta | None:
        """How long its last answer took."""
        return self.health.took

    @property
    def strategies(self) -> Sequence[str]:
        """How what is on it changes."""
        return sorted({str(one.strategy) for one in self.targets})

    @property
    def namespaces(self) -> Sequence[str]:
        """Of a cluster: those that are deployed to."""
        return sorted({one.namespace for one in self.targets if one.namespace})


def rows_of_hosts(frame: Frame) -> list[HostRow]:
    """Return this machine, then all hosts and clusters by name."""
    store = frame.application.store
    every = [host_row(frame, one) for one in store.list_hosts()]
    every += [cluster_row(frame, one) for one in store.list_clusters()]
    return [local_row(frame), *sorted(every, key=lambda row: row.name)]


def local_row(frame: Frame) -> HostRow:
    """Return the daemon's own machine."""
    standing = frame.application.host_checks.standing(LOCAL)
    targets = targets_on(frame, LOCAL)
    return HostRow(LOCAL, "host", "this machine", standing.health, targets, facts=standing.facts)


def host_row(frame: Frame, host: Host, standing: HostStanding | None = None) -> HostRow:
    """Return a host."""
    known = standing or frame.application.host_checks.standing(host.name)
    return HostRow(
        host.name,
        "host",
        reached_by(host),
        known.health,
        targets_on(frame, host.name),
        set_up=host.confirmed,
        fingerprints=[fingerprint_of(key) for key in host.host_keys],
        facts=known.facts,
        knock=_knock(host),
    )


def cluster_row(frame: Frame, cluster: Cluster) -> HostRow:
    """Return a cluster."""
    known = frame.application.cluster_checks.standing(cluster)
    return HostRow(
        cluster.name,
        "cluster",
        "the cluster that the daemon runs in" if cluster.in_cluster else "Kubernetes",
        known.health,
        targets_on(frame, cluster.name),
        set_up=cluster.in_cluster or bool(cluster.kubeconfig_fingerprint),
        version=known.version,
    )


def reached_by(host: Host) -> str:
    """Return how a host is reached, in words."""
    if host.alias:
        return f"alias {host.alias}"
    port = "" if host.port == 22 else f", port {host.port}"
    return f"{host.user}@{host.address}{port}"


def _knock(host: Host) -> str:
    if host.alias:
        return f"ssh {host.alias} true"
    port = "" if host.port == 22 else f"-p {host.port} "
    return f"ssh {port}{host.user}@{host.address} true"


def targets_on(frame: Frame, name: HostName) -> list[Target]:
    """Return what is deployed there, by project."""
    every = (target for one in frame.summaries for target in one.project.where)
    return [target for target in every if target.host == name]
