"""An HTTPS double of a Kubernetes API server, with a cluster behind it that rolls out.

Written from the API reference of Kubernetes 1.34: paths, verbs, ``Status`` objects, lists with
continue tokens, watches with bookmarks and 410 Gone, strategic merge patches with field managers
and resource versions, ``pods/log`` and ``pods/proxy``, access reviews, 401 and 403 as RBAC says it.
"""

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.parts.certificates import CertificateAuthority, ServerCertificate
from tests.parts.http_server import Answer, HttpServer, Request
from tests.parts.kubernetes_access import Asked, Rule, User, asked_of, forbidden, may
from tests.parts.kubernetes_controllers import Controllers, pods_of
from tests.parts.kubernetes_manifests import Workload
from tests.parts.kubernetes_objects import (
    RESOURCES,
    ApiFailure,
    Object,
    Objects,
    has_fields,
    qualified,
    selects,
    strategic_merge,
)

__all__ = ["SERVER_VERSION", "Asked", "KubernetesApi", "Rule", "User", "Workload", "failed"]

SERVER_VERSION = "v1.34.1"
_PATCHES = {
    "application/strategic-merge-patch+json",
    "application/merge-patch+json",
}


@dataclass
class _Call:
    """A request on its way through the server."""

    request: Request
    asked: Asked
    user: User

    def query(self, name: str) -> str:
        """Return one parameter, or nothing."""
        return self.request.query.get(name, [""])[0]


class KubernetesApi(HttpServer):
    """A cluster. ``admin`` is a token that may do everything.

    ``instead``: answers before all else; what it returns is sent, unless it is None.
    ``apps``: what pods answer over ``pods/proxy``: pod, port and request to an answer.
    """

    def __init__(
        self,
        authority: CertificateAuthority,
        *,
        instead: Callable[[Request], Answer | None] = lambda _request: None,
        tls: ServerCertificate | None = None,
    ) -> None:
        """Make an empty cluster with a namespace ``default``."""
        super().__init__(self._answer, tls=tls or authority.issue())
        self.authority = authority
        self.instead = instead
        self.apps: Callable[[Object, str, Request], Answer] = lambda _pod, _port, _asked: Answer()
        self.objects = Objects()
        self.controllers = Controllers(self.objects)
        self.users: dict[str, User] = {}
        self.asked: list[Asked] = []
        #: 410 as the answer itself, or as the ``ERROR`` event of a watch: servers do both.
        self.gone_as_event = True
        self.bookmark_every = 0.2  #: seconds of a watch without anything else
        self.page_size = 500
        self.admin = self.add_user("admin")
        #: Who comes with a client certificate and without a token.
        self.certificate_user: User | None = None
        self.objects.create("namespaces", {"metadata": {"name": "default"}})

    # ── for tests ────────────────────────────────────────────────────────────────────────────────

    def add_user(self, name: str, rules: Sequence[Rule] | None = None, namespace: str = "") -> str:
        """Return the token of a new user."""
        token = secrets.token_urlsafe(24)
        self.users[token] = User(name, rules, namespace)
        return token

    def kubeconfig(self, token: str, **cluster: Any) -> str:
        """Return a kubeconfig with inline data alone; ``cluster`` adds to its cluster."""
        authority = base64.b64encode(self.authority.ca_path.read_bytes()).decode()
        known = {"server": self.url, "certificate-authority-data": authority} | cluster
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "main",
            "contexts": [{"name": "main", "context": {"cluster": "here", "user": "us"}}],
            "clusters": [{"name": "here", "cluster": known}],
            "users": [{"name": "us", "user": {"token": token}}],
        }
        return json.dumps(config, indent=2)

    def create(self, manifest: Object, namespace: str = "default") -> Object:
        """Add an object, and its namespace."""
        names = [one["metadata"]["name"] for one in self.objects.list("namespaces", "")]
        if namespace not in names:
            self.objects.create("namespaces", {"metadata": {"name": namespace}})
        return self.objects.create(_plural(manifest["kind"]), manifest, namespace)

    def get(self, kind: str, name: str, namespace: str = "default") -> Object:
        """Return an object."""
        return self.objects.get(_plural(kind), namespace, name)

    def pods(self, kind: str, name: str, namespace: str = "default") -> list[Object]:
        """Return the pods of a workload."""
        return pods_of(self.objects, self.get(kind, name, namespace))

    @contextmanager
    def running(self, seconds_a_step: float = 0.02) -> Iterator[None]:
        """Let the cluster's time pass by itself, so much faster than ours."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(seconds_a_step):
                self.controllers.step()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    def _answer(self, request: Request) -> Answer:
        answer = self.instead(request)
        if answer is not None:
            return answer
        try:
            return self._served(request)
        except ApiFailure as failure:
            return failed(failure)

    def _served(self, request: Request) -> Answer:
        if request.path == "/version":
            return _json({"major": "1", "minor": "34", "gitVersion": SERVER_VERSION})
        user = self._user(request)
        asked = asked_of(request, user)
        self.asked.append(asked)
        if asked.resource == "selfsubjectaccessreviews":
            return self._review(request, user)
        if not may(user, asked):
            raise forbidden(asked)
        return self._do(_Call(request, asked, user))

    def _user(self, request: Request) -> User:
        token = (request.authorization or "").removeprefix("Bearer ")
        user = self.users.get(token) if token else self.certificate_user
        if user is None or user.expired:
            raise ApiFailure(401, "Unauthorized", "Unauthorized")
        return user

    def _review(self, request: Request, user: User) -> Answer:
        review = json.loads(request.body)
        asks = review["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asks["resource"], asks.get("subresource"))))
        asked = Asked(
            asks["verb"], asks.get("group", ""), resource, asks.get("namespace", ""), "", user.name
        )
        return _json(review | {"status": {"allowed": may(user, asked)}}, 201)

    def _do(self, call: _Call) -> Answer:
        resource, _, sub = call.asked.resource.partition("/")
        if sub == "log":
            return self._log(call)
        if sub == "proxy":
            return self._proxy(call)
        if resource not in RESOURCES or sub:
            raise ApiFailure(404, "NotFound", "the server could not find the requested resource")
        do = {
            "watch": self._watch,
            "list": self._list,
            "get": self._get,
            "create": self._create,
            "patch": self._patch,
            "delete": self._delete,
        }
        return do[call.asked.verb](call)

    def _get(self, call: _Call) -> Answer:
        asked = call.asked
        return _json(self.objects.get(asked.resource, asked.namespace, asked.name))

    def _list(self, call: _Call) -> Answer:
        asked = call.asked
        with self.objects.changed:
            found = [
                one
                for one in self.objects.list(
                    asked.resource, asked.namespace, call.query("labelSelector")
                )
                if has_fields(call.query("fieldSelector"), one)
            ]
            metadata: Object = {"resourceVersion": str(self.objects.version)}
        size = min(int(call.query("limit") or self.page_size), self.page_size)
        start = int(call.query("continue") or 0)
        if start + size < len(found):
            metadata |= {
                "continue": str(start + size),
                "remainingItemCount": len(found) - start - size,
            }
        group, kind = RESOURCES[asked.resource]
        return _json(
            {
                "kind": f"{kind}List",
                "apiVersion": "apps/v1" if group else "v1",
                "metadata": metadata,
                "items": found[start : start + size],
            }
        )

    def _create(self, call: _Call) -> Answer:
        asked = call.asked
        if asked.namespace:
            self.objects.get("namespaces", "", asked.namespace)
        given = json.loads(call.request.body)
        return _json(self.objects.create(asked.resource, given, asked.namespace), 201)

    def _delete(self, call: _Call) -> Answer:
        asked = call.asked
        self.objects.delete(asked.resource, asked.namespace, asked.name)
        return _json({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def _patch(self, call: _Call) -> Answer:
        asked, kind = call.asked, call.request.headers.get("content-type", "")
        if kind not in _PATCHES:
            message = f"the body of the request was in an unknown format - {kind}"
            raise ApiFailure(415, "UnsupportedMediaType", message)
        patch = json.loads(call.request.body)
        with self.objects.changed:
            old = self.objects.get(asked.resource, asked.namespace, asked.name)
            wanted = patch.get("metadata", {}).pop("resourceVersion", None)
            if wanted not in {None, old["metadata"]["resourceVersion"]}:
                message = (
                    f'Operation cannot be fulfilled on {qualified(asked.resource)} "{asked.name}": '
                    "the object has been modified; please apply your changes to the latest version "
                    "and try again"
                )
                raise ApiFailure(409, "Conflict", message)
            new = strategic_merge(old, patch)
            _check_containers(asked, new)
            manager = call.query("fieldManager")
            managers = [*new["metadata"].get("managedFields", ())]
            if manager and new != old:
                managers = [one for one in managers if one["manager"] != manager]
                managers.append({"manager": manager, "operation": "Update"})
                new["metadata"]["managedFields"] = managers
            return _json(self.objects.replace(asked.resource, new))

    # ── watches ──────────────────────────────────────────────────────────────────────────────────

    def _watch(self, call: _Call) -> Answer:
        given = call.query("resourceVersion")
        version = int(given or 0)
        try:
            if version:
                with self.objects.changed:
                    self.objects.since(version)
        except ApiFailure as failure:
            if not self.gone_as_event:
                raise
            return Answer(200, _JSON, iter([_line("ERROR", failure.status)]))
        return Answer(200, _JSON, self._events(call, version))

    def _events(self, call: _Call, version: int) -> Iterator[bytes]:
        ends = time.monotonic() + float(call.query("timeoutSeconds") or 1800)
        bookmarks = call.query("allowWatchBookmarks") == "true"
        if not version:
            with self.objects.changed:
                version = self.objects.version
                found = self.objects.list(call.asked.resource, "")
            yield from (_line("ADDED", one) for one in found if _concerns(call, one))
        spoken = time.monotonic()
        while (left := ends - time.monotonic()) > 0 and not self.closing.is_set():
            with self.objects.changed:
                if self.objects.version <= version:
                    self.objects.changed.wait(min(left, 0.05))
                try:
                    changes = list(self.objects.since(version))
                except ApiFailure as failure:
                    yield _line("ERROR", failure.status)
                    return
                version = max(version, self.objects.version)
            for one in changes:
                if one.resource == call.asked.resource and _concerns(call, one.object):
                    spoken = time.monotonic()
                    yield _line(one.type, one.object)
            if bookmarks and time.monotonic() - spoken > self.bookmark_every:
                spoken = time.monotonic()
                yield _line("BOOKMARK", _bookmark(call.asked.resource, version))

    # ── pods ─────────────────────────────────────────────────────────────────────────────────────

    def _log(self, call: _Call) -> Answer:
        asked = call.asked
        pod = self.objects.get("pods", asked.namespace, asked.name)
        container = call.query("container") or pod["spec"]["containers"][0]["name"]
        fate = self.controllers.fate_of(pod, container)
        found = pod["status"].get("containerStatuses", ())
        status: Object = next((one for one in found if one["name"] == container), {})
        previous = call.query("previous") == "true"
        if previous and not status.get("lastState", {}).get("terminated"):
            message = f'previous terminated container "{container}" in pod "{asked.name}" not found'
            raise ApiFailure(400, "BadRequest", message)
        if not previous and "containerID" not in status:
            why = status.get("state", {}).get("waiting", {}).get("reason", "ContainerCreating")
            message = f'container "{container}" in pod "{asked.name}" is waiting to start: {why}'
            raise ApiFailure(400, "BadRequest", message)
        lines = fate.log[-int(call.query("tailLines") or len(fate.log)) :]
        text = "".join(f"{line}\n" for line in lines).encode()
        limit = int(call.query("limitBytes") or len(text))
        return Answer(200, {"Content-Type": "text/plain"}, text[:limit])

    def _proxy(self, call: _Call) -> Answer:
        asked = call.asked
        name, _, port = asked.name.partition(":")
        pod = self.objects.get("pods", asked.namespace, name)
        if not pod["status"].get("podIP"):
            message = "error trying to reach service: address not allowed"
            raise ApiFailure(400, "BadRequest", message)
        if pod["status"].get("phase") != "Running":
            address = f"{pod['status']['podIP']}:{port or 80}"
            message = f"error trying to reach service: dial tcp {address}: connection refused"
            raise ApiFailure(503, "ServiceUnavailable", message)
        head = f"/api/v1/namespaces/{asked.namespace}/pods/{asked.name}/proxy"
        target = call.request.target.removeprefix(head) or "/"
        inner = Request(call.request.method, target, call.request.headers, call.request.body)
        return self.apps(pod, port, inner)


_JSON = {"Content-Type": "application/json"}


def failed(failure: ApiFailure) -> Answer:
    """Return the answer that says what is wrong."""
    pause = failure.retry_after
    headers = _JSON | ({"Retry-After": str(pause)} if pause is not None else {})
    return Answer(failure.code, headers, json.dumps(failure.status).encode())


def _json(said: Object, status: int = 200) -> Answer:
    return Answer(status, _JSON, json.dumps(said).encode())


def _plural(kind: str) -> str:
    return next(plural for plural, (_, named) in RESOURCES.items() if named == kind)


def _check_containers(asked: Asked, workload: Object) -> None:
    containers = workload.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ())
    for at, one in enumerate(containers):
        if not one.get("image"):
            kind = RESOURCES[asked.resource][1]
            message = (
                f'{kind}.apps "{asked.name}" is invalid: '
                f"spec.template.spec.containers[{at}].image: Required value"
            )
            raise ApiFailure(422, "Invalid", message)


def _concerns(call: _Call, one: Object) -> bool:
    return (
        one["metadata"].get("namespace", "") == call.asked.namespace
        and selects(call.query("labelSelector"), one)
        and has_fields(call.query("fieldSelector"), one)
    )


def _line(type_: str, said: Object) -> bytes:
    return json.dumps({"type": type_, "object": said}).encode() + b"\n"


def _bookmark(resource: str, version: int) -> Object:
    group, kind = RESOURCES[resource]
    return {
        "kind": kind,
        "apiVersion": "apps/v1" if group else "v1",
        "metadata": {"resourceVersion": str(version), "creationTimestamp": None},
    }
