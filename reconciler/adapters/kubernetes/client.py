"""``ClusterClient``: one cluster's workloads, as its API has them."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TypeVar
from urllib.parse import quote, urlencode

import lightkube
from lightkube.core.resource import NamespacedResource
from lightkube.resources.apps_v1 import ControllerRevision, DaemonSet, Deployment, ReplicaSet
from lightkube.resources.core_v1 import Event, Pod

from reconciler.adapters.kubernetes import objects
from reconciler.adapters.kubernetes.bells import Bells
from reconciler.adapters.kubernetes.bridge import lightkube_over
from reconciler.adapters.kubernetes.connection import Connection, Question
from reconciler.adapters.kubernetes.permissions import check_permissions, server_version
from reconciler.adapters.kubernetes.refusals import Deed, Refusals
from reconciler.domain.errors import (
    ChangedMeanwhile,
    CommandFailed,
    Interrupted,
    PreconditionFailed,
    TargetUnreachable,
)
from reconciler.domain.host import HostName
from reconciler.domain.workload import WorkloadKind
from reconciler.log import Redactor, plain, shorten
from reconciler.ports import ClusterEvent, PodState, WorkloadState

_Listed = TypeVar("_Listed", bound=NamespacedResource)
_PAGE = 200
_MOST_LISTED = 5000
_LOG_BYTES = 1 << 20
_LONGEST_LINE = 2000
#: It is looked at so often while its watches ring, and while it can't be watched.
_ANYWAY = timedelta(seconds=5)
_POLLED = timedelta(seconds=2)
_GATHERED = 0.1  #: seconds: what comes in a burst is one look


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """How often a workload is looked at although nothing rang."""

    anyway: timedelta = _ANYWAY
    polled: timedelta = _POLLED


class KubernetesClient:
    """``ClusterClient`` over one connection. Threads may share it."""

    def __init__(
        self, connection: Connection, redactor: Redactor, times: WatchTimes = WatchTimes()
    ) -> None:
        """Ask nothing yet."""
        self.connection = connection
        self.refusals = Refusals(connection.name, redactor)
        self._redactor = redactor
        self._times = times
        self._api: lightkube.Client = lightkube_over(connection)

    @property
    def name(self) -> HostName:
        """Its name here."""
        return self.connection.name

    def check(self, namespace: str = "") -> str:
        """Return the server's version; what we may not do in ``namespace`` is refused by name."""
        version = server_version(self.connection, self.refusals)
        check_permissions(self._api, self.refusals, namespace)
        return version

    def get_workload(self, namespace: str, kind: WorkloadKind, name: str) -> WorkloadState:
        """Return it as it is now. Raises ``PreconditionFailed``: there is none."""
        deed = Deed("get", _resource(kind), namespace, name)
        with self.refusals.named(deed):
            found = self._api.get(objects.TYPES[kind], name, namespace=namespace)
            return objects.workload_state(found, self._revision_of(found, namespace))

    def set_images(
        self,
        seen: WorkloadState,
        images: Mapping[str, str],
        annotations: Mapping[str, str],
    ) -> WorkloadState:
        """Set images of containers, under our field manager; see ``ClusterClient``.

        A strategic merge patch, since its lists merge by a container's name: it changes these
        images and nothing beside them, whoever manages the rest. Server-side apply would want all
        that we ever set in each request: two projects with a container each in one workload would
        take one another's image away.
        """
        missing = [name for name in images if name not in seen.images]
        if missing:
            named = f"{seen.kind}/{seen.name} in namespace {seen.namespace}"
            known = ", ".join(seen.images)
            problem = f"has no container {', '.join(missing)}; it has {known}"
            raise PreconditionFailed(f"{named} {problem}", host=self.name)
        if _has(seen, images, annotations):
            return seen
        try:
            return self._patch(seen, images, annotations)
        except (TargetUnreachable, ChangedMeanwhile) as error:
            return self._look_after(seen, images, annotations, error)

    def list_pods(self, workload: WorkloadState) -> Sequence[PodState]:
        """Return its pods, by name; those that are being deleted, too."""
        owners = self._owners(workload)
        with self.refusals.named(Deed("list", "pods", workload.namespace)):
            found = self._list(Pod, workload.namespace, workload.selector)
            pods = [objects.pod_state(one) for one in found if objects.is_owned(one, owners)]
        return sorted(pods, key=lambda one: one.name)

    def list_events(
        self, workload: WorkloadState, pods: Sequence[PodState]
    ) -> Sequence[ClusterEvent]:
        """Return what was noted of it, its replica sets and its pods, oldest first."""
        subjects = {*self._owners(workload), workload.uid, *(one.uid for one in pods)}
        with self.refusals.named(Deed("list", "events", workload.namespace)):
            # A namespace may have any number; what it notes says why, and decides nothing.
            found = islice(self._pages(Event, workload.namespace, {}), _MOST_LISTED)
            events = [
                objects.cluster_event(one) for one in found if objects.is_about(one, subjects)
            ]
        return sorted(events, key=lambda one: one.at.timestamp() if one.at else 0.0)

    def watch(
        self, workload: WorkloadState, within: timedelta, cancel: threading.Event
    ) -> Iterator[WorkloadState]:
        """Yield it each time it, or one of its pods, may have changed; now and then anyway.

        Where it can't be watched, it is looked at more often instead.
        """
        ends = time.monotonic() + within.total_seconds()
        namespace, kind, name = workload.namespace, workload.kind, workload.name
        with Bells(self.connection, _watched(workload)) as bells:
            while True:
                bells.rung.clear()
                yield self.get_workload(namespace, kind, name)
                every = self._times.anyway if bells.all_watch else self._times.polled
                due = min(ends, time.monotonic() + every.total_seconds())
                while time.monotonic() < due and not bells.rung.wait(0.1):
                    _stop_if(cancel)
                    if not bells.all_watch:
                        due = min(due, time.monotonic() + self._times.polled.total_seconds())
                cancel.wait(_GATHERED)
                _stop_if(cancel)
                if time.monotonic() >= ends:
                    return

    def last_lines(
        self, namespace: str, pod: str, container: str, count: int, *, previous: bool = False
    ) -> Sequence[str]:
        """Return the newest lines that a container wrote, or that its last life did."""
        asked = {"container": container, "tailLines": str(count), "limitBytes": str(_LOG_BYTES)}
        if previous:
            asked["previous"] = "true"
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/log?{urlencode(asked)}"
        # Not `text/plain` alone: a refusal is JSON.
        question = Question("GET", path, {"Accept": "*/*"}, most_bytes=_LOG_BYTES)
        reply = self.connection.ask(question)
        if reply.status in {400, 404}:
            return ()  # it has not begun yet, had no life before, or is gone
        self.refusals.check(Deed("get", "pods/log", namespace, pod), reply)
        lines = reply.body.decode(errors="replace").splitlines()[-count:]
        return tuple(shorten(plain(self._redactor.redact(one)), _LONGEST_LINE) for one in lines)

    def _patch(
        self, seen: WorkloadState, images: Mapping[str, str], annotations: Mapping[str, str]
    ) -> WorkloadState:
        type_ = objects.TYPES[seen.kind]
        with self.refusals.named(Deed("get", _resource(seen.kind), seen.namespace, seen.name)):
            now = self._api.get(type_, seen.name, namespace=seen.namespace)
        lists: dict[str, list[dict[str, str]]] = {}
        for name, image in images.items():
            listed = "initContainers" if objects.is_init(now, name) else "containers"
            lists.setdefault(listed, []).append({"name": name, "image": image})
        patch = {
            "metadata": {
                "resourceVersion": seen.resource_version,
                "annotations": dict(annotations),
            },
            "spec": {"template": {"spec": lists}},
        }
        with self.refusals.named(Deed("patch", _resource(seen.kind), seen.namespace, seen.name)):
            found = self._api.patch(type_, seen.name, patch, namespace=seen.namespace)
            return objects.workload_state(found, self._revision_of(found, seen.namespace))

    def _look_after(
        self,
        seen: WorkloadState,
        images: Mapping[str, str],
        annotations: Mapping[str, str],
        error: TargetUnreachable | ChangedMeanwhile,
    ) -> WorkloadState:
        """Find out what became of a change whose answer was lost, or that came too late."""
        now = self.get_workload(seen.namespace, seen.kind, seen.name)
        if now.uid == seen.uid and _has(now, images, annotations):
            return now
        if now.resource_version == seen.resource_version:
            raise error
        raise ChangedMeanwhile

    def _revision_of(self, found: objects.AnyWorkload, namespace: str) -> str:
        labels = found.spec.selector.matchLabels or {}
        owner = [found.metadata.uid or ""] if found.metadata else []
        if isinstance(found, Deployment):
            sets = self._list(ReplicaSet, namespace, labels)
            return objects.newest_set(found, [one for one in sets if objects.is_owned(one, owner)])
        if isinstance(found, DaemonSet):
            kept = self._list(ControllerRevision, namespace, labels)
            owned = [one for one in kept if objects.is_owned(one, owner)]
            return objects.newest_revision(found, owned)
        return objects.update_revision(found)

    def _owners(self, workload: WorkloadState) -> Sequence[str]:
        """Return the uids of what its pods belong to."""
        if workload.kind is not WorkloadKind.DEPLOYMENT:
            return (workload.uid,)
        with self.refusals.named(Deed("list", "replicasets.apps", workload.namespace)):
            sets = self._list(ReplicaSet, workload.namespace, workload.selector)
            return [objects.uid_of(one) for one in sets if objects.is_owned(one, [workload.uid])]

    def _list(
        self, type_: type[_Listed], namespace: str, labels: Mapping[str, str]
    ) -> Sequence[_Listed]:
        found = list(islice(self._pages(type_, namespace, labels), _MOST_LISTED + 1))
        if len(found) > _MOST_LISTED:
            problem = f"has over {_MOST_LISTED} {type_.__name__}s in namespace {namespace}"
            raise CommandFailed(f"cluster {self.name} {problem}, too many to look at")
        return found

    def _pages(
        self, type_: type[_Listed], namespace: str, labels: Mapping[str, str]
    ) -> Iterator[_Listed]:
        return iter(
            self._api.list(
                type_, namespace=namespace, labels=dict(labels) or None, chunk_size=_PAGE
            )
        )


def _has(state: WorkloadState, images: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
    return images.items() <= state.images.items() and (
        annotations.items() <= state.annotations.items()
    )


def _resource(kind: WorkloadKind) -> str:
    return f"{kind}s.apps"


def _watched(workload: WorkloadState) -> Sequence[str]:
    """Return the lists to watch: of the workload alone, and of its pods."""
    namespace = quote(workload.namespace)
    alone = urlencode({"fieldSelector": f"metadata.name={workload.name}"})
    labels = ",".join(f"{key}={value}" for key, value in workload.selector.items())
    pods = urlencode({"labelSelector": labels})
    return (
        f"/apis/apps/v1/namespaces/{namespace}/{workload.kind}s?{alone}",
        f"/api/v1/namespaces/{namespace}/pods?{pods}",
    )


def _stop_if(cancel: threading.Event) -> None:
    if cancel.is_set():
        raise Interrupted("watching the roll-out was interrupted")
