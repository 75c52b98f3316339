"""What the objects of a cluster say, in our words.

Source: Kubernetes API reference: apps/v1 and core/v1. Counts of zero are left out there.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain

from lightkube.models import apps_v1, core_v1, meta_v1
from lightkube.resources.apps_v1 import (
    ControllerRevision,
    DaemonSet,
    Deployment,
    ReplicaSet,
    StatefulSet,
)
from lightkube.resources.core_v1 import Event, Pod

from reconciler.domain.workload import WorkloadKind
from reconciler.log import plain, shorten
from reconciler.ports import ClusterEvent, Condition, ContainerState, PodState, WorkloadState

AnyWorkload = Deployment | StatefulSet | DaemonSet
TYPES: dict[WorkloadKind, type[AnyWorkload]] = {
    WorkloadKind.DEPLOYMENT: Deployment,
    WorkloadKind.STATEFUL_SET: StatefulSet,
    WorkloadKind.DAEMON_SET: DaemonSet,
}
_SET_REVISION = "deployment.kubernetes.io/revision"
_SET_HASH = "pod-template-hash"
_HASH = "controller-revision-hash"
_LONGEST_SAID = 2000
_AnyCondition = (
    apps_v1.DeploymentCondition
    | apps_v1.StatefulSetCondition
    | apps_v1.DaemonSetCondition
    | core_v1.PodCondition
)


def workload_state(found: AnyWorkload, revision: str) -> WorkloadState:
    """Return a workload as it is.

    Args:
        found: as the API has it.
        revision: see ``WorkloadState``.
    """
    metadata, spec, status = _metadata(found), found.spec, found.status
    if spec is None:
        raise ValueError("a workload without a spec")
    kind = next(kind for kind, type_ in TYPES.items() if isinstance(found, type_))
    wanted, updated, ready, available, total = _counts(found)
    return WorkloadState(
        kind,
        metadata.namespace or "",
        metadata.name or "",
        metadata.uid or "",
        metadata.resourceVersion or "",
        metadata.generation or 0,
        (status.observedGeneration if status else 0) or 0,
        wanted=wanted,
        updated=updated,
        ready=ready,
        available=available,
        total=total,
        images={one.name: _said(one.image) for one in containers_of(found)},
        selector=dict(spec.selector.matchLabels or {}),
        init=frozenset(one.name for one in containers_of(found) if is_init(found, one.name)),
        paused=bool(isinstance(spec, apps_v1.DeploymentSpec) and spec.paused),
        revision=revision,
        update_on_delete=_on_delete(found),
        partition=_partition(found),
        conditions=_conditions((status.conditions if status else None) or ()),
        # Whoever may change the workload may write anything into them.
        annotations={name: _said(text) for name, text in (metadata.annotations or {}).items()},
    )


def containers_of(found: AnyWorkload) -> Iterator[core_v1.Container]:
    """Yield the containers of its pod template, those that run first included."""
    pod = found.spec.template.spec
    if pod is not None:
        yield from chain(pod.initContainers or (), pod.containers)


def is_init(found: AnyWorkload, container: str) -> bool:
    """Tell whether a container of it is one that runs before the others."""
    pod = found.spec.template.spec
    return any(one.name == container for one in (pod and pod.initContainers) or ())


def newest_set(deployment: Deployment, sets: Iterable[ReplicaSet]) -> str:
    """Return the hash by which the pods of its newest template are known; empty: not known yet."""
    if _is_behind(deployment):
        return ""
    wanted = (_metadata(deployment).annotations or {}).get(_SET_REVISION)
    for one in sets:
        metadata = _metadata(one)
        if wanted and (metadata.annotations or {}).get(_SET_REVISION) == wanted:
            return _label(one, _SET_HASH)
    return ""


def newest_revision(daemon_set: DaemonSet, revisions: Iterable[ControllerRevision]) -> str:
    """Return the same of a daemon set."""
    newest = sorted(revisions, key=lambda one: one.revision or 0)[-1:]
    if not newest or _is_behind(daemon_set):
        return ""
    return _label(newest[0], _HASH)


def update_revision(stateful_set: StatefulSet) -> str:
    """Return the same of a stateful set."""
    known = stateful_set.status.updateRevision if stateful_set.status else None
    return "" if _is_behind(stateful_set) else known or ""


def is_owned(found: Pod | ReplicaSet | ControllerRevision, owners: Iterable[str]) -> bool:
    """Tell whether one of these uids controls it."""
    wanted = set(owners)
    references = _metadata(found).ownerReferences or ()
    return any(one.controller and one.uid in wanted for one in references)


def uid_of(found: ReplicaSet) -> str:
    """Return its uid."""
    return _metadata(found).uid or ""


def pod_state(pod: Pod) -> PodState:
    """Return a pod as it is."""
    metadata, status = _metadata(pod), pod.status
    return PodState(
        metadata.name or "",
        metadata.uid or "",
        _label(pod, _SET_HASH) or _label(pod, _HASH),
        (status.phase if status else None) or "Unknown",
        ip=(status.podIP if status else None) or "",
        deleting=metadata.deletionTimestamp is not None,
        containers=tuple(_containers(pod)),
        conditions=_conditions((status.conditions if status else None) or ()),
    )


def cluster_event(event: Event) -> ClusterEvent:
    """Return an event. The newer kind of them has its instants elsewhere, and its count, too."""
    series = event.series
    instants = (
        series.lastObservedTime if series else None,
        event.lastTimestamp,
        event.eventTime,
        event.firstTimestamp,
        _metadata(event).creationTimestamp,
    )
    about = event.involvedObject
    return ClusterEvent(
        f"{about.kind or ''}/{about.name or ''}",
        _said(event.reason),
        _said(event.message),
        event.type == "Warning",
        next((_aware(one) for one in instants if one), None),
        (series.count if series else None) or event.count or 1,
    )


def is_about(event: Event, uids: Iterable[str]) -> bool:
    """Tell whether it is about one of these."""
    return event.involvedObject.uid in set(uids)


def _counts(found: AnyWorkload) -> Sequence[int]:
    """Return how many pods are wanted, updated, ready, available, and there in all."""
    status, spec = found.status, found.spec
    if isinstance(status, apps_v1.DaemonSetStatus):
        counts: Sequence[int | None] = (
            status.desiredNumberScheduled,
            status.updatedNumberScheduled,
            status.numberReady,
            status.numberAvailable,
            status.currentNumberScheduled,
        )
        return [count or 0 for count in counts]
    wanted = None if isinstance(spec, apps_v1.DaemonSetSpec) else spec.replicas
    there = (
        (status.updatedReplicas, status.readyReplicas, status.availableReplicas, status.replicas)
        if isinstance(status, apps_v1.DeploymentStatus | apps_v1.StatefulSetStatus)
        else (0, 0, 0, 0)
    )
    return [1 if wanted is None else wanted, *(count or 0 for count in there)]


def _on_delete(found: AnyWorkload) -> bool:
    spec = found.spec
    if isinstance(spec, apps_v1.DeploymentSpec):
        return False
    return bool(spec.updateStrategy and spec.updateStrategy.type == "OnDelete")


def _partition(found: AnyWorkload) -> int:
    strategy = found.spec.updateStrategy if isinstance(found, StatefulSet) else None
    rolling = strategy.rollingUpdate if strategy else None
    return (rolling.partition if rolling else None) or 0


def _is_behind(found: AnyWorkload) -> bool:
    """Tell whether its controller has not looked at it since it was changed."""
    seen = (found.status.observedGeneration if found.status else None) or 0
    return seen < (_metadata(found).generation or 0)


def _conditions(conditions: Iterable[_AnyCondition]) -> tuple[Condition, ...]:
    return tuple(
        Condition(one.type or "", one.status or "", _said(one.reason), _said(one.message))
        for one in conditions
    )


def _containers(pod: Pod) -> Iterator[ContainerState]:
    spec, status = pod.spec, pod.status
    init = {one.name: one for one in (status.initContainerStatuses if status else None) or ()}
    rest = {one.name: one for one in (status.containerStatuses if status else None) or ()}
    for one in (spec.initContainers if spec else None) or ():
        yield _container(one, init.get(one.name), init=True)
    for one in spec.containers if spec else ():
        yield _container(one, rest.get(one.name), init=False)


def _container(
    declared: core_v1.Container, status: core_v1.ContainerStatus | None, *, init: bool
) -> ContainerState:
    image = str(declared.image or "")
    if status is None:
        return ContainerState(declared.name, image, "", init=init)
    now, last = status.state, status.lastState
    ended = (now and now.terminated) or (last and last.terminated)
    running = now.running if now else None
    waiting = now.waiting if now else None
    said = None if running else waiting or ended
    return ContainerState(
        declared.name,
        image,
        str(status.imageID or ""),
        status.containerID or "",
        state="running" if running else "terminated" if now and now.terminated else "waiting",
        reason=_said(said.reason if said else None),
        message=_said(said.message if said else None),
        exit_status=ended.exitCode if ended else None,
        restarts=status.restartCount,
        ready=status.ready,
        probed=declared.readinessProbe is not None,
        started_at=_stamp(running.startedAt if running else None),
        init=init,
    )


def _said(text: str | None) -> str:
    """Return what may be anything, and as long as an answer may be, as it may stand in an error."""
    return shorten(plain(" ".join(str(text or "").split())), _LONGEST_SAID)


def _stamp(at: datetime | str | None) -> str:
    return at.isoformat() if isinstance(at, datetime) else at or ""


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _label(found: Pod | ReplicaSet | ControllerRevision, name: str) -> str:
    return str((_metadata(found).labels or {}).get(name, ""))


def _metadata(
    found: AnyWorkload | Pod | ReplicaSet | ControllerRevision | Event,
) -> meta_v1.ObjectMeta:
    return found.metadata or meta_v1.ObjectMeta()
