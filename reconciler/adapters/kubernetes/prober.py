"""``ClusterProber``: pods asked over the API server's proxy, wherever the daemon is."""

import json
import shlex
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from reconciler.adapters.probes.http_answer import (
    BODY_LIMIT_BYTES,
    HEADERS,
    HttpAnswer,
    NoAnswer,
    expected_text,
    never_asked,
    problem_with,
    shown,
    target_of,
)
from reconciler.adapters.probes.version_answer import read_version
from reconciler.domain.errors import HostRefused, TargetUnreachable
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.host import HostName
from reconciler.domain.probing import Reading
from reconciler.domain.references import CommitSha
from reconciler.domain.target import Target
from reconciler.domain.version_check import VersionCheck

if TYPE_CHECKING:
    from reconciler.adapters.kubernetes.client import KubernetesClient
    from reconciler.adapters.kubernetes.connection import Reply

_MOST_PODS = 50
#: How the API server says that it got no answer from the pod.
_NO_ANSWER = "error trying to reach service: "


class KubernetesProber:
    """``ClusterProber``. Keeps nothing between calls; threads may share it."""

    def __init__(self, client_of: Callable[[HostName], "KubernetesClient"]) -> None:
        """Ask nothing yet."""
        self._client_of = client_of

    def probe(self, target: Target, commit: CommitSha | None, *, ready: bool = False) -> Reading:
        """Ask each ready pod once; the first that is not well is the answer.

        A workload that is scaled to 0 has none to ask; of a target, one workload has to.
        """
        check = target.ready if ready else target.health
        if check is None:
            return Reading("")
        if check.kind is not ProbeKind.HTTP:
            asked = shlex.join(check.command) or f"{check.kind}://:{check.port}"
            return Reading(asked, "only http can be asked in a cluster; declare such a check")
        client = self._client_of(target.host)
        reading = Reading(f"http://{target.namespace}", "there is no pod to ask")
        for one in target.workloads:
            workload = client.get_workload(target.namespace, one.kind, one.name)
            if not workload.wanted:
                continue
            pods = [pod for pod in client.list_pods(workload) if pod.ready and not pod.deleting]
            if not pods:
                return Reading(f"http://{target.namespace}", f"no pod of {one} is ready")
            for pod in pods[:_MOST_PODS]:
                reading = _ask(client, f"{target.namespace}/{pod.name}", check, commit)
                if reading.problem:
                    return reading
        return reading

    def probe_version(
        self, cluster: HostName, address: str, check: VersionCheck, commit: CommitSha
    ) -> Reading:
        """Ask one pod, whose ``address`` is ``namespace/pod``, whether it is ``commit``."""
        asked = f"http://{address}:{check.port}{check.path}"
        client = self._client_of(cluster)
        try:
            answer = _get(client, address, check.port, never_asked(check.path), check.timeout)
        except NoAnswer as error:
            return Reading(asked, str(error))
        return read_version(asked, answer, check, commit)


def _ask(
    client: "KubernetesClient", address: str, check: HealthCheck, commit: CommitSha | None
) -> Reading:
    asked = f"http://{address}:{check.port}{check.path}"
    try:
        text = expected_text(check, commit)
        answer = _get(client, address, check.port, target_of(check), check.timeout)
    except NoAnswer as error:
        return Reading(asked, str(error))
    return Reading(asked, problem_with(answer, check, text), answer.status)


def _get(
    client: "KubernetesClient", address: str, port: int | None, target: str, timeout: timedelta
) -> HttpAnswer:
    """Ask one pod once.

    Raises:
        NoAnswer: it gave none. ``HostRefused``: the API server does not let us ask it.
    """
    from reconciler.adapters.kubernetes.connection import Question

    namespace, _, pod = address.partition("/")
    head = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}:{port}/proxy"
    headers = {name: value for name, value in HEADERS.items() if name != "Connection"}
    question = Question("GET", f"{head}{target}", headers, most_bytes=BODY_LIMIT_BYTES)
    try:
        reply = client.connection.ask_once(question, timeout)
    except TargetUnreachable as error:
        raise NoAnswer(error.message) from error
    _check_proxy(client, address, reply)
    location = reply.headers.get("Location", "")
    return HttpAnswer(reply.status, location, reply.body, reply.broken)


def _check_proxy(client: "KubernetesClient", address: str, reply: "Reply") -> None:
    """Tell what the API server itself says from what the pod answers."""
    from reconciler.adapters.kubernetes.refusals import Deed, message_in

    namespace, _, pod = address.partition("/")
    if reply.status < 400 or not _is_status(reply.body):
        return
    said = message_in(reply.body)
    if said.startswith(_NO_ANSWER):
        raise NoAnswer(f"no answer: {shown(said.removeprefix(_NO_ANSWER))}")
    error = client.refusals.error_of(Deed("get", "pods/proxy", namespace, pod), reply.status, said)
    if isinstance(error, HostRefused):
        raise error
    raise NoAnswer(f"no answer: {shown(error.message)}")


def _is_status(body: bytes) -> bool:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(said, dict) and said.get("kind") == "Status" and said.get("apiVersion") == "v1"
    )
