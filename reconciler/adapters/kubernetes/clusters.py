"""``Clusters``: those that are declared, each opened when it is first asked for something."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.adapters.kubernetes.entrance import SERVICE_ACCOUNT, Entrance, in_cluster
from reconciler.adapters.kubernetes.kubeconfig import parse_kubeconfig
from reconciler.domain.errors import InvalidInput, PreconditionFailed
from reconciler.domain.host import HostName
from reconciler.domain.secret import Secret
from reconciler.domain.workload import Cluster, WorkloadKind
from reconciler.log import Redactor
from reconciler.ports import ClusterEvent, ClusterStore, PodState, WorkloadState

if TYPE_CHECKING:
    from reconciler.adapters.kubernetes.client import KubernetesClient


@dataclass(frozen=True, slots=True)
class OwnPod:
    """What a daemon that runs in a cluster is told of it."""

    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = SERVICE_ACCOUNT


class KubernetesClusters:
    """``Clusters``. Keeps a connection until the cluster is declared otherwise."""

    def __init__(self, store: ClusterStore, redactor: Redactor, own: OwnPod = OwnPod()) -> None:
        """Open nothing."""
        self._store = store
        self._redactor = redactor
        self._own = own
        self._lock = threading.Lock()
        self._open: dict[HostName, tuple[Cluster, KubernetesClient]] = {}

    def get(self, name: HostName) -> "LazyClient":
        """Return it; nothing is opened before it is asked for something. Raises ``NotFound``."""
        self._store.get_cluster(name)
        return LazyClient(name, lambda: self.open(name))

    def check_kubeconfig(self, kubeconfig: Secret, context: str) -> None:
        """Raise ``InvalidInput`` if it can't be used; nothing is asked of the cluster."""
        parse_kubeconfig(kubeconfig, context)

    def open(self, name: HostName) -> "KubernetesClient":
        """Return the client of one that is declared.

        Raises:
            NotFound: no such cluster. ``PreconditionFailed``: its kubeconfig can't be used.
        """
        cluster = self._store.get_cluster(name)
        with self._lock:
            known = self._open.get(name)
            if known is not None and known[0] == cluster:
                return known[1]
        client = self._make(cluster)
        with self._lock:
            self._open[name] = (cluster, client)
        return client

    def _make(self, cluster: Cluster) -> "KubernetesClient":
        # Heavy, and only needed by who has a cluster.
        from reconciler.adapters.kubernetes.client import KubernetesClient
        from reconciler.adapters.kubernetes.connection import Connection

        with _usable(cluster.name):
            connection = Connection(cluster.name, self._entrance(cluster), self._redactor)
        return KubernetesClient(connection, self._redactor)

    def _entrance(self, cluster: Cluster) -> Entrance:
        if cluster.in_cluster:
            return in_cluster(self._own.environment, self._own.folder)
        kubeconfig = self._store.kubeconfig(cluster.name)
        if kubeconfig is None:
            error = PreconditionFailed(f"cluster {cluster.name} has no kubeconfig yet")
            error.remedy = f"store one: `reconciler cluster kubeconfig {cluster.name}`"
            raise error
        entrance = parse_kubeconfig(kubeconfig, cluster.context)
        if entrance.certificate is not None:
            self._redactor.register(entrance.certificate)
        return entrance


@dataclass(frozen=True, slots=True)
class LazyClient:
    """``ClusterClient`` that is opened when it is first asked; see there."""

    name: HostName
    _open: Callable[[], "KubernetesClient"]

    def check(self, namespace: str = "") -> str:
        """Return the server's version; what we may not do in ``namespace`` is refused by name."""
        return self._open().check(namespace)

    def get_workload(self, namespace: str, kind: WorkloadKind, name: str) -> WorkloadState:
        """Return it as it is now."""
        return self._open().get_workload(namespace, kind, name)

    def set_images(
        self, seen: WorkloadState, images: Mapping[str, str], annotations: Mapping[str, str]
    ) -> WorkloadState:
        """Set images of containers."""
        return self._open().set_images(seen, images, annotations)

    def list_pods(self, workload: WorkloadState) -> Sequence[PodState]:
        """Return its pods."""
        return self._open().list_pods(workload)

    def list_events(
        self, workload: WorkloadState, pods: Sequence[PodState]
    ) -> Sequence[ClusterEvent]:
        """Return what was noted of it and them."""
        return self._open().list_events(workload, pods)

    def watch(
        self, workload: WorkloadState, within: timedelta, cancel: threading.Event
    ) -> Iterator[WorkloadState]:
        """Yield it each time that it may have changed."""
        return self._open().watch(workload, within, cancel)

    def last_lines(
        self, namespace: str, pod: str, container: str, count: int, *, previous: bool = False
    ) -> Sequence[str]:
        """Return the newest lines that a container wrote."""
        return self._open().last_lines(namespace, pod, container, count, previous=previous)


@contextmanager
def _usable(name: HostName) -> Iterator[None]:
    """Say of a kubeconfig that can't be used whose it is."""
    try:
        yield
    except InvalidInput as error:
        raise PreconditionFailed(f"cluster {name}: {error.message}", host=name) from None
