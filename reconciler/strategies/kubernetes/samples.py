"""What runs of a workload, read from its pods.

A pod's ``imageID`` is the digest by which its runtime knows the image. Most name what was pulled:
the pinned digest itself. Some name the image of their own platform where an index was pinned; that
counts as the index only if the pod's spec names the index, and the registry says that the index has
that image. Neither a spec alone, which says what should run, nor a likeness of names is enough.
"""

from collections.abc import Callable, Iterable, Iterator

from reconciler.domain.errors import InvalidReference
from reconciler.domain.references import Digest, ImageReference
from reconciler.domain.verification import Health, RunState, Sample
from reconciler.domain.workload import Workload
from reconciler.ports import ContainerState, PodState, WorkloadState
from reconciler.strategies.kubernetes.trouble import Trouble, container_trouble, unscheduled

#: What an index is made of.
FindParts = Callable[[ImageReference], frozenset[Digest]]

#: A pod that has ended, as an evicted one has, is nobody's any more: its controller made another.
_ENDED = frozenset({"Succeeded", "Failed"})


def samples_of(
    workload: Workload, state: WorkloadState, pods: Iterable[PodState], find_parts: FindParts
) -> Iterator[Sample]:
    """Yield each container of the target in each pod, those of older revisions, too.

    A registry is asked of what the template names alone, and where that names it: not where a pod
    of somebody else's making does, nor of what is about to end, and may be gone from there.

    Raises:
        SourceError: as ``find_parts``.
    """
    for pod in pods:
        there = {one.name: one for one in pod.containers}
        for name in workload.containers if pod.phase not in _ENDED else ():
            # Until a node has taken the pod, nothing is there but its spec.
            one = there.get(name) or ContainerState(name, state.images.get(name, ""), "")
            template = "" if pod.deleting else state.images.get(name, "")
            yield _sample(workload, state, pod, one, _digests(one, template, find_parts))


def _sample(
    workload: Workload,
    state: WorkloadState,
    pod: PodState,
    one: ContainerState,
    digests: frozenset[Digest],
) -> Sample:
    health, detail = _health(pod, one)
    runs = one.state == "running" and not pod.deleting
    return Sample(
        id=f"{pod.name}/{one.name}",
        service=workload.service_of(one.name),
        state=_state(pod, one),
        digests=digests,
        health=health,
        restarts=one.restarts,
        exit_status=None if runs else one.exit_status,
        started_at=one.started_at,
        health_detail=detail,
        address=f"{state.namespace}/{pod.name}" if runs and pod.ip else "",
    )


def _state(pod: PodState, one: ContainerState) -> RunState:
    if pod.deleting:
        return RunState.REMOVING
    if one.state == "running":
        return RunState.RUNNING
    if one.state == "terminated":
        # What runs before the others is done; of these, none stays ended.
        return RunState.EXITED if _is_done(one) else RunState.RESTARTING
    return RunState.CREATED


def _is_done(one: ContainerState) -> bool:
    return one.init and one.state == "terminated" and one.exit_status == 0


def _health(pod: PodState, one: ContainerState) -> tuple[Health, str]:
    """Return what the cluster says of a container, and why it is not well.

    That one without a readiness probe is ready says no more than that it runs.
    """
    if _is_done(one):
        return Health.NONE, ""
    if trouble := container_trouble(pod, one) or _init_trouble(pod):
        return Health.UNHEALTHY, f"{trouble.reason}: {trouble.message}".removesuffix(": ")
    if trouble := unscheduled(pod):
        return Health.STARTING, f"{trouble.reason}: {trouble.message}"
    if one.state != "running":
        return Health.STARTING, one.reason
    if not one.ready:
        return Health.STARTING, "it is not ready"
    return (Health.HEALTHY if one.probed else Health.NONE), ""


def _init_trouble(pod: PodState) -> Trouble | None:
    """Return what keeps every other container of the pod from starting."""
    return next(
        (found for one in pod.containers if one.init and (found := container_trouble(pod, one))),
        None,
    )


def _digests(one: ContainerState, template: str, find_parts: FindParts) -> frozenset[Digest]:
    """Return each digest by which its image is known, see above."""
    named, runs = _find_digest(one.image), _find_digest(one.image_id)
    if runs is None:
        # While it waits nothing is there yet, and it becomes nothing but what its spec names.
        awaited = one.state == "waiting" and not one.image_id
        return frozenset({named} if named and awaited else ())
    if named is None or named == runs or named != _find_digest(template):
        return frozenset({runs})
    try:
        parts = find_parts(ImageReference.parse(template))
    except InvalidReference:
        return frozenset({runs})
    return frozenset({runs, named} if runs in parts else {runs})


def _find_digest(name: str) -> Digest | None:
    """Return the digest at the end of an image's name, whatever a runtime has written before it."""
    _, at, digest = name.rpartition("@")
    try:
        return Digest.parse(digest) if at else None
    except InvalidReference:
        return None
