"""What keeps pods from coming up, named as the cluster names it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from reconciler.ports import ClusterEvent, ContainerState, PodState, WorkloadState
from reconciler.strategies.kubernetes.progress import is_newest

#: Reasons of a container that waits which another minute does not mend.
#: Source: Kubernetes, ``pkg/kubelet/images/types.go`` and ``pkg/kubelet/kuberuntime``.
_HOPELESS = frozenset(
    {
        *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
        *("ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"),
        *("CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
        *("PreCreateHookError", "PreStartHookError", "PostStartHookError"),
    }
)
_BACK_OFF = "ImagePullBackOff"
CRASH_LOOP = "CrashLoopBackOff"
#: What an admission check of the API server says, and what a quota says in it.
_FORBIDDEN, _QUOTA = "is forbidden", "exceeded quota"
_NOT_CREATED = "FailedCreate"
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a pod, a container of it, or the making of pods."""

    where: str  #: e.g. ``web-5d4f-x7k2/app``
    reason: str
    message: str = ""
    #: Whether it is the cluster that lacks something, and not the revision that is wrong.
    lacks_room: bool = False
    crashed: ContainerState | None = None  #: whose last life's output tells more

    def __str__(self) -> str:
        message = " ".join(self.message.split())
        cut = f"{message[: _LONGEST - 1]}…" if len(message) > _LONGEST else message
        return f"{self.where}: {self.reason}" + (f": {cut}" if cut else "")


def container_trouble(pod: PodState, container: ContainerState) -> Trouble | None:
    """Return why the container does not start, or not for long."""
    where = f"{pod.name}/{container.name}"
    if container.state != "waiting":
        return None
    if container.reason == CRASH_LOOP:
        status = container.exit_status
        ended = "" if status is None else f"it ended with exit status {status}; "
        return Trouble(where, CRASH_LOOP, f"{ended}{container.message}", crashed=container)
    if container.reason in _HOPELESS:
        return Trouble(where, container.reason, container.message)
    return None


def unscheduled(pod: PodState) -> Trouble | None:
    """Return why no node takes the pod."""
    for one in pod.conditions:
        if one.type == "PodScheduled" and one.status == "False" and one.reason == "Unschedulable":
            return Trouble(pod.name, one.reason, one.message, lacks_room=True)
    return None


def trouble_of(pods: Iterable[PodState]) -> Trouble | None:
    """Return what is hopeless with the first of ``pods`` that will not come up."""
    for pod in pods:
        for container in pod.containers:
            if found := container_trouble(pod, container):
                return found
    return None


def with_cause(trouble: Trouble, events: Iterable[ClusterEvent]) -> Trouble:
    """Return trouble with an image as its first failed pull told it: later ones only say so."""
    if trouble.reason != _BACK_OFF or trouble.message.count(": ") > 0:
        return trouble
    pod = trouble.where.partition("/")[0]
    said = [one.message for one in events if one.object == f"Pod/{pod}" and one.reason == "Failed"]
    return replace(trouble, message=said[0]) if said else trouble


def not_created(state: WorkloadState, events: Iterable[ClusterEvent]) -> Trouble | None:
    """Return why pods of the newest revision are not made.

    Args:
        state: the workload; a deployment's says so itself.
        events: that were noted of it since its roll-out is followed.
    """
    said = [
        (str(state.kind), one.message)
        for one in state.conditions
        if one.type == "ReplicaFailure" and one.status == "True" and is_newest(state, one.message)
    ]
    said += [(one.object, one.message) for one in events if one.reason == _NOT_CREATED]
    for where, message in said:
        if _FORBIDDEN in message:
            lacks_room = _QUOTA in message
            reason = _QUOTA if lacks_room else _NOT_CREATED
            return Trouble(where, reason, message, lacks_room=lacks_room)
    return None


def is_of(state: WorkloadState, event: ClusterEvent) -> bool:
    """Tell whether an event is of the newest revision, or of the workload itself."""
    kind, _, name = event.object.partition("/")
    return kind != "ReplicaSet" or is_newest(state, name)
