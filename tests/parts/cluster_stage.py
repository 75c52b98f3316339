"""A namespace to deploy in: of the double, or of the cluster that a kubeconfig leads to.

``RECONCILER_TEST_KUBECONFIG`` names the kubeconfig of a real cluster, whose user may make
namespaces. ``RECONCILER_TEST_CLUSTER_IMAGES`` names two images with a shell and ``httpd``.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightkube
from lightkube.codecs import from_dict
from lightkube.config.kubeconfig import KubeConfig
from ruamel.yaml import YAML

from reconciler.adapters.kubernetes.client import KubernetesClient, WatchTimes
from reconciler.adapters.kubernetes.connection import Connection, Limits
from reconciler.adapters.kubernetes.kubeconfig import parse_kubeconfig
from reconciler.domain.host import HostName
from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.domain.workload import WorkloadKind
from reconciler.log import Redactor
from reconciler.ports import WorkloadState
from tests.parts.certificates import CertificateAuthority
from tests.parts.http_server import Answer, Request
from tests.parts.kubernetes_api import KubernetesApi, Rule, Workload, failed
from tests.parts.kubernetes_controllers import Fate
from tests.parts.kubernetes_objects import ApiFailure, Object
from tests.parts.waiting import eventually

KUBECONFIG = "RECONCILER_TEST_KUBECONFIG"
IMAGES = "RECONCILER_TEST_CLUSTER_IMAGES"
RBAC = Path(__file__).parents[2] / "packaging/kubernetes/rbac.yaml"
PORT = 8080
#: What an image of the tests does: it says so, and answers over HTTP.
COMMIT = CommitSha("a1b2c3d4" * 5)
_PAGE = f"ok {COMMIT}"
SERVE = f"echo started; mkdir /w; echo '{_PAGE}' > /w/index.html; httpd -f -p {PORT} -h /w"
CRASH = "echo going down; exit 3"
SHORT = Limits(total=timedelta(seconds=5), first_pause=timedelta(milliseconds=5))
TIMES = WatchTimes(anyway=timedelta(seconds=0.5), polled=timedelta(seconds=0.1))
KINDS = {
    WorkloadKind.DEPLOYMENT: "Deployment",
    WorkloadKind.STATEFUL_SET: "StatefulSet",
    WorkloadKind.DAEMON_SET: "DaemonSet",
}


def role_of_manifest() -> list[Rule]:
    """Return the rules that the packaged manifest grants."""
    documents = YAML(typ="safe").load_all(RBAC.read_text())
    (role,) = [one for one in documents if one["kind"] == "Role"]
    return [Rule.of(one) for one in role["rules"]]


def client_of(kubeconfig: str, redactor: Redactor | None = None) -> KubernetesClient:
    """Return a client of what a kubeconfig leads to."""
    redactor = redactor or Redactor()
    entrance = parse_kubeconfig(Secret.of(kubeconfig))
    connection = Connection(HostName("prod"), entrance, redactor, SHORT)
    return KubernetesClient(connection, redactor, TIMES)


@dataclass
class Stage:
    """A namespace of its own, and the client that is tried in it."""

    client: KubernetesClient
    admin: lightkube.Client
    namespace: str
    images: Sequence[str]  #: two that run, and one that is not there
    patience: float  #: seconds
    api: KubernetesApi | None = None  #: None: it is a real cluster
    _made: list[Workload] = field(default_factory=list)

    def make(self, workload: Workload) -> WorkloadState:
        """Create a workload, and return it as the client sees it."""
        self.create(workload.manifest)
        kind = next(kind for kind, name in KINDS.items() if name == workload.kind)
        return self.look(kind, workload.name)

    def create(self, manifest: dict[str, Any]) -> None:
        """Create an object."""
        made: Any = from_dict(manifest)
        self.admin.create(made, namespace=self.namespace)

    def workload(self, kind: WorkloadKind = WorkloadKind.DEPLOYMENT, **more: Any) -> Workload:
        """Return a workload of the first image."""
        container = {"command": ["sh", "-c", SERVE]} | more.pop("container", {})
        given = Workload(kind=KINDS[kind], images={"web": self.images[0]}, container=container)
        return replace(given, **more)

    def look(
        self, kind: WorkloadKind = WorkloadKind.DEPLOYMENT, name: str = "web"
    ) -> WorkloadState:
        """Return a workload as it is."""
        return self.client.get_workload(self.namespace, kind, name)

    def settled(
        self, kind: WorkloadKind = WorkloadKind.DEPLOYMENT, name: str = "web"
    ) -> WorkloadState:
        """Wait until all of it runs."""
        return self.until(kind, is_rolled_out, name)

    def until(
        self,
        kind: WorkloadKind,
        is_so: Callable[[WorkloadState], object],
        name: str = "web",
    ) -> WorkloadState:
        """Wait until something is so of a workload."""

        def found() -> WorkloadState | None:
            state = self.look(kind, name)
            return state if is_so(state) else None

        state = eventually(found, within=self.patience)
        assert state is not None
        return state

    @contextmanager
    def time_passes(self) -> Iterator[None]:
        """Have the cluster go on by itself, as real ones do."""
        if self.api is None:
            yield
        else:
            with self.api.running(0.005):
                yield


def is_rolled_out(state: WorkloadState) -> bool:
    """Say whether all pods are of the newest template, and ready."""
    return (
        state.observed_generation >= state.generation
        and state.wanted == state.updated == state.ready == state.total
        and bool(state.revision)
    )


@contextmanager
def staged(api: KubernetesApi | None) -> Iterator[Stage]:
    """Make a namespace on the double, or on the cluster of the environment; remove it."""
    name = f"reconciler-test-{secrets.token_hex(4)}"
    if api is not None:
        admin_config = api.kubeconfig(api.admin)
        user = f"system:serviceaccount:{name}:reconciler"
        config = api.kubeconfig(api.add_user(user, role_of_manifest(), name))
        images: Sequence[str] = _of_double()
    else:
        admin_config = config = Path(os.environ[KUBECONFIG]).read_text()
        images = os.environ.get(IMAGES, "busybox:1.36 busybox:1.37").split()
        images = [*images[:2], f"{images[0].partition(':')[0]}:this-is-not-there"]
    chosen = KubeConfig.from_dict(YAML(typ="safe").load(admin_config)).get()
    admin = lightkube.Client(chosen, trust_env=False)
    namespace: Any = from_dict(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    )
    admin.create(namespace)
    patience = 10.0 if api is not None else 120.0
    try:
        yield Stage(client_of(config), admin, name, images, patience, api)
    finally:
        admin.delete(type(namespace), name)
        admin.close()


def make_double(folder: Path) -> KubernetesApi:
    """Return a double in which images are what those of the tests are."""
    api = KubernetesApi(CertificateAuthority(folder))
    api.controllers.fates |= {"absent": Fate(pull_problem="not found")}
    api.apps = _httpd
    return api


def _httpd(_pod: Object, port: str, asked: Request) -> Answer:
    if port != str(PORT):
        message = f"error trying to reach service: dial tcp 10.1.2.3:{port}: connection refused"
        return failed(ApiFailure(503, "ServiceUnavailable", message))
    return Answer(200, body=_PAGE.encode()) if asked.path in {"/", "/index.html"} else Answer(404)


def _of_double() -> Sequence[str]:
    digests = [f"sha256:{letter * 64}" for letter in "ab"]
    return [*(f"registry.example/web@{digest}" for digest in digests), "registry.example/absent:1"]
