"""A cluster behind the API double, with the strategy that changes workloads in it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.adapters.kubernetes.client import KubernetesClient, WatchTimes
from reconciler.adapters.kubernetes.connection import Connection, Limits
from reconciler.adapters.kubernetes.kubeconfig import parse_kubeconfig
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import (
    DeploymentId,
    Pin,
    PlannedService,
    PreparedRevision,
    PreparedTarget,
)
from reconciler.domain.host import HostName
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.promotion import Environment, EnvironmentName, handed_on
from reconciler.domain.references import (
    CommitSha,
    Digest,
    ImageReference,
    ProjectName,
    ServiceName,
)
from reconciler.domain.revision import Revision
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.verification import Judgement, Observation, Window, judge
from reconciler.domain.workload import Workload, WorkloadKind
from reconciler.log import Redactor
from reconciler.ports import ClusterClient, IndexedRegistry, Work
from reconciler.strategies.kubernetes import KubernetesStrategy, Patience
from reconciler.testing import digest_of
from tests.parts.kubernetes_api import KubernetesApi
from tests.parts.kubernetes_api import Workload as Manifest

CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
COMMIT = CommitSha("c" * 40)
IMAGE = "registry.example/team/shop:main"
REPOSITORY = IMAGE.rpartition(":")[0]
PROD = HostName("prod")
SHOP, PRODUCTION = ProjectName("shop"), ProjectName("shop-production")
_KINDS = {"Deployment": "deployment", "StatefulSet": "statefulset", "DaemonSet": "daemonset"}
_AT_ONCE = Window(healthy=timedelta(0), unchecked=timedelta(0), timeout=timedelta(hours=1))


class NoRegistry:
    """Registries that nobody may ask: what is promoted is not looked up."""

    def __getattr__(self, name: str) -> Any:
        """Refuse."""
        raise AssertionError(f"a registry was asked: {name}")


@dataclass(frozen=True)
class OneCluster:
    """``Clusters`` of one, whatever it is called."""

    client: ClusterClient

    def check_kubeconfig(self, kubeconfig: Secret, context: str) -> None:
        """Accept any."""

    def get(self, name: HostName) -> ClusterClient:
        """Return it."""
        return self.client


@dataclass
class ClusterRig:
    """A project that is promoted to a cluster, and deployments of it, numbered from 1."""

    api: KubernetesApi
    client: KubernetesClient
    project: Project
    target: Target
    registry: IndexedRegistry = field(default_factory=NoRegistry)
    patience: Patience = field(default_factory=lambda: Patience(unschedulable=timedelta(0)))
    log: list[str] = field(default_factory=list)
    cancel: threading.Event = field(default_factory=threading.Event)
    token: str = ""  #: that we show now; each request reads it, as in a cluster
    deployments: int = 0
    steps: int = 0  #: seconds of the cluster's time that went by

    @property
    def strategy(self) -> KubernetesStrategy:
        """A strategy as a daemon has it that just started."""
        return KubernetesStrategy(
            OneCluster(self.client), self.registry, SystemClock(), self.patience
        )

    def run(self, manifest: Manifest, *, steps: int = 8) -> None:
        """Create a workload, and let it come up; the target is that workload, too."""
        self.api.create(manifest.manifest, self.target.namespace)
        self.api.controllers.step(steps)
        kind = WorkloadKind(_KINDS[manifest.kind])
        containers = dict.fromkeys(manifest.images, IMAGE)
        workload = Workload(kind, manifest.name, containers)
        self.target = replace(self.target, workloads=(*self.target.workloads, workload))
        self.project = replace(self.project, targets=(self.target,))

    def work(self, seed: str, **changes: Any) -> Work:
        """Return the next deployment's work: of an image that was verified before."""
        self.deployments += 1
        pin = Pin(ImageReference.parse(IMAGE), digest_of(seed))
        verified = verified_with({"web": pin})
        work = Work(
            deployment=DeploymentId(self.deployments),
            project=self.project,
            target=self.target,
            revision=handed_on(verified),
            variables=dict[str, Secret](),
            credentials=None,
            log=self.log.append,
            cancel=self.cancel,
            fence=self.deployments,
            handed_on=verified,
        )
        return replace(work, **changes)

    def deploy(self, seed: str, **changes: Any) -> PreparedTarget:
        """Prepare and apply; whether it runs well is ``judged``'s to say."""
        work = self.work(seed, **changes)
        prepared = self.strategy.prepare(work)
        self.apply(work, prepared)
        return prepared

    def apply(self, work: Work, prepared: PreparedTarget) -> None:
        """Apply, while the cluster's time goes by."""
        with self.moving():
            self.strategy.apply(work, prepared)

    def judged(self, prepared: PreparedTarget) -> Judgement:
        """Say at a glance whether what runs is what was prepared."""
        samples = tuple(self.strategy.observe(self.target))
        return judge(prepared, (Observation(timedelta(0), samples),), _AT_ONCE)

    def images(self, at: int = 0) -> Mapping[str, str]:
        """Return what a workload's template names, by container."""
        workload = self.target.workloads[at]
        kind = next(kind for kind, word in _KINDS.items() if word == workload.kind)
        found = self.api.get(kind, workload.name, self.target.namespace)
        every = found["spec"]["template"]["spec"]["containers"]
        return {one["name"]: one["image"] for one in every}

    def change(self, change: Callable[[dict[str, Any]], object], at: int = 0) -> None:
        """Change a workload as somebody else would."""
        workload = self.target.workloads[at]
        kind = next(kind for kind, word in _KINDS.items() if word == workload.kind)
        with self.api.objects.changed:
            found = self.api.get(kind, workload.name, self.target.namespace)
            change(found)
            self.api.objects.replace(f"{workload.kind}s", found)

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Let the cluster's time go by, much faster than ours."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(0.03):
                self.api.controllers.step()
                self.steps += 1

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)

    def output(self) -> str:
        """Return all that was logged."""
        return "\n".join(self.log)


def pinned(seed: str) -> str:
    """Return the image that a template names for what ``work(seed)`` is given."""
    return f"{REPOSITORY}@{digest_of(seed)}"


def verified_with(pins: Mapping[str, Any]) -> PreparedRevision:
    """Return what the environment before verified: service → what it ran."""
    images: dict[str, Digest] = {
        str(pin.image): pin.digest for pin in pins.values() if isinstance(pin, Pin)
    }
    revision = Revision(COMMIT, images)
    services = tuple(PlannedService(ServiceName(name), pin) for name, pin in pins.items())
    return PreparedRevision(revision, (PreparedTarget(revision, services),))


@contextmanager
def open_rig(api: KubernetesApi) -> Iterator[ClusterRig]:
    """Give an empty cluster with a project that is promoted to it, until the block ends."""
    entrance = parse_kubeconfig(Secret.of(api.kubeconfig(api.admin)), "")
    entrance = replace(entrance, token=lambda: Secret.of(rig.token))
    often = timedelta(seconds=0.1)
    limits = Limits(total=timedelta(seconds=2), first_pause=timedelta(milliseconds=10))
    connection = Connection(PROD, entrance, Redactor(), limits)
    client = KubernetesClient(connection, Redactor(), WatchTimes(often, often))
    environment = Environment(EnvironmentName("production"), SHOP)
    project = Project(
        PRODUCTION, ProjectKind.IMAGE, CREATED_AT, CREATED_AT, environment=environment
    )
    target = Target(PRODUCTION, PROD, TargetStrategy.KUBERNETES, namespace="shop")
    rig = ClusterRig(api, client, project, target, token=api.admin)
    yield rig
