"""Kubernetes clusters: what runs in them, and the one thing that is changed there."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from reconciler.domain.host import HostName
from reconciler.domain.probing import Reading
from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target
from reconciler.domain.version_check import VersionCheck
from reconciler.domain.workload import Cluster, WorkloadKind


@dataclass(frozen=True, slots=True)
class Condition:
    """What a controller says of an object, e.g. ``Progressing`` is ``False``."""

    type: str
    status: str  #: ``True``, ``False`` or ``Unknown``
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """A workload as the cluster has it now. Counts are of pods."""

    kind: WorkloadKind
    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    observed_generation: int
    wanted: int  #: daemon sets: scheduled on as many nodes
    updated: int
    ready: int
    available: int
    total: int  #: those of older revisions included
    images: Mapping[str, str]  #: container → image, as its pod template names it
    selector: Mapping[str, str]  #: labels that its pods have
    #: Those of its containers that run before the others, which may end.
    init: frozenset[str] = frozenset()
    paused: bool = False
    #: Which of its pods are of the newest template: ``pod-template-hash`` of a deployment's
    #: replica set, ``controller-revision-hash`` of the others; empty where it is not known yet.
    revision: str = ""
    update_on_delete: bool = False  #: its pods are replaced only when somebody deletes them
    partition: int = 0  #: stateful sets: pods below that ordinal are not updated
    conditions: tuple[Condition, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerState:
    """One container of a pod. Init containers are among them, and say so."""

    name: str
    image: str  #: as the pod's spec names it
    image_id: str  #: as the runtime knows it, e.g. ``registry/app@sha256:…``; empty: not there yet
    id: str = ""
    state: str = "waiting"  #: ``waiting``, ``running`` or ``terminated``
    reason: str = ""  #: e.g. ``CrashLoopBackOff``, ``ImagePullBackOff``
    message: str = ""
    exit_status: int | None = None  #: of its last end
    restarts: int = 0
    ready: bool = False
    probed: bool = False  #: whether it has a readiness probe, so that ``ready`` says something
    started_at: str = ""
    init: bool = False


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod of a workload."""

    name: str
    uid: str
    revision: str  #: see ``WorkloadState.revision``
    phase: str
    ip: str = ""
    deleting: bool = False
    containers: tuple[ContainerState, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether it gets traffic."""
        return any(one.type == "Ready" and one.status == "True" for one in self.conditions)


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """Something that a controller noted, e.g. that a pod can't be scheduled."""

    object: str  #: e.g. ``Pod/web-5d4…``
    reason: str
    message: str
    warning: bool
    at: datetime | None
    count: int = 1


class ClusterClient(Protocol):
    """One cluster. Threads may share it.

    Every call is bounded in time and size, follows 429 with its ``Retry-After`` within that, shows
    expired tokens anew, and may raise:
        TargetUnreachable: the API server can't be reached, or gave no answer of one.
        HostRefused: it doesn't let us in, or do that; the message names the verb and resource.
        PreconditionFailed: the kubeconfig can't be used, with the reason.
        Interrupted: ``cancel`` was set.
    """

    @property
    def name(self) -> HostName:
        """Its name here."""
        ...

    def check(self, namespace: str = "") -> str:
        """Return the server's version; what we may not do in ``namespace`` is refused by name.

        Without a namespace it is only looked whether it lets us in.
        """
        ...

    def get_workload(self, namespace: str, kind: WorkloadKind, name: str) -> WorkloadState:
        """Return it as it is now. Raises ``PreconditionFailed``: there is none."""
        ...

    def set_images(
        self,
        seen: WorkloadState,
        images: Mapping[str, str],
        annotations: Mapping[str, str],
    ) -> WorkloadState:
        """Set images of containers, under our field manager; others stay.

        Only if it is as it was ``seen``: ``resource_version`` is a precondition. Nothing is sent
        where it has these images and annotations already.

        Args:
            seen: what the decision was made on.
            images: container → image by digest.
            annotations: of the workload itself, not of its pods.

        Raises:
            ChangedMeanwhile: it is another by now; look again.
            PreconditionFailed: it has no such container.
            CommandFailed: the API server refused the change, e.g. an admission policy; it says why.
        """
        ...

    def list_pods(self, workload: WorkloadState) -> Sequence[PodState]:
        """Return its pods, by name; those that are being deleted, too."""
        ...

    def list_events(
        self, workload: WorkloadState, pods: Sequence[PodState]
    ) -> Sequence[ClusterEvent]:
        """Return what was noted of it, its replica sets and its pods, oldest first."""
        ...

    def watch(
        self, workload: WorkloadState, within: timedelta, cancel: threading.Event
    ) -> Iterator[WorkloadState]:
        """Yield it each time it, or one of its pods, may have changed; now and then anyway.

        Ends once ``within`` is over. A watch that the server ends, also as 410 Gone, goes on.
        """
        ...

    def last_lines(
        self, namespace: str, pod: str, container: str, count: int, *, previous: bool = False
    ) -> Sequence[str]:
        """Return the newest lines that a container wrote, or that its last life did."""
        ...


class ClusterProber(Protocol):
    """Asks pods over the API server's proxy, wherever the daemon is; see ``Prober``."""

    def probe(self, target: Target, commit: CommitSha | None, *, ready: bool = False) -> Reading:
        """Ask each ready pod once; the first that is not well is the answer."""
        ...

    def probe_version(
        self, cluster: HostName, address: str, check: VersionCheck, commit: CommitSha
    ) -> Reading:
        """Ask one pod, whose ``address`` is ``namespace/pod``, whether it is ``commit``."""
        ...


class Clusters(Protocol):
    """All clusters."""

    def get(self, name: HostName) -> ClusterClient:
        """Return it; nothing is opened before it is asked for something. Raises ``NotFound``."""
        ...

    def check_kubeconfig(self, kubeconfig: Secret, context: str) -> None:
        """Look whether ``context`` of it, or its current one, can be used; nothing is asked there.

        Raises:
            InvalidInput: it can't, e.g. since it names files or programs.
        """
        ...


class ClusterStore(Protocol):
    """Clusters as they were declared, and how one gets into them."""

    def create_cluster(self, cluster: Cluster) -> None:
        """Add it. Raises ``AlreadyExists``, also where a host has that name."""
        ...

    def update_cluster(self, cluster: Cluster, seen: Cluster | None = None) -> None:
        """Replace the declaration that was ``seen``; the kubeconfig stays.

        Raises:
            NotFound: no such cluster. ``ChangedMeanwhile``: it is declared otherwise by now.
        """
        ...

    def remove_cluster(self, name: HostName, seen: Cluster | None = None) -> None:
        """Delete it with its kubeconfig. Raises ``NotFound``; ``Conflict``: a target is in it."""
        ...

    def get_cluster(self, name: HostName) -> Cluster:
        """Return it. Raises ``NotFound``."""
        ...

    def list_clusters(self) -> Sequence[Cluster]:
        """Return all, by name."""
        ...

    def put_kubeconfig(self, name: HostName, kubeconfig: Secret, now: datetime) -> str:
        """Seal and store it; return its fingerprint. Raises ``NotFound``."""
        ...

    def kubeconfig(self, name: HostName) -> Secret | None:
        """Return it in clear text, to be used at once."""
        ...
