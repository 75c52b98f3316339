"""What runs of a target, for a person to read."""

from collections.abc import Iterator, Sequence

from reconciler.domain.errors import ReconcilerError
from reconciler.domain.target import Target
from reconciler.domain.verification import RunState, Sample
from reconciler.domain.workload import Workload
from reconciler.ports import ClusterClient, LineSink, PodState, TargetReport, WorkloadState
from reconciler.strategies.kubernetes.following import tell_last_lines
from reconciler.strategies.kubernetes.notes import commit_of, deployment_of
from reconciler.strategies.kubernetes.progress import refusal_of, waiting_for

_MOST_PODS = 5  #: whose output is told
_MOST_EVENTS = 20


def report_of(
    seen: Sequence[tuple[Workload, WorkloadState]], samples: Sequence[Sample]
) -> TargetReport:
    """Return what workloads and their pods amount to."""
    running = [one for one in samples if one.state is RunState.RUNNING]
    commits = {commit_of(state, workload.containers) for workload, state in seen}
    over = not any(waiting_for(state) for _, state in seen)
    return TargetReport(
        state=", ".join(f"{one}: {state.ready} of {state.wanted} ready" for one, state in seen),
        commit=commits.pop() if len(commits) == 1 and running and over else None,
        release=" ".join(sorted({digest.short for one in running for digest in one.digests})),
        since=min((one.started_at for one in running if one.started_at), default=""),
        detail=tuple(fact for one, state in seen for fact in _facts(one, state)),
    )


def _facts(workload: Workload, state: WorkloadState) -> Iterator[tuple[str, str]]:
    for container in workload.containers:
        name = workload.service_of(container)
        yield name, state.images.get(container, "there is no such container")
    if waiting := refusal_of(state)[0] or waiting_for(state):
        yield str(workload), waiting
    if number := deployment_of(state):
        yield f"{workload} deployment", number


def log_trouble(client: ClusterClient, target: Target, log: LineSink) -> None:
    """Write what is known of pods that are not well into ``log``. Never raises."""
    try:
        for workload in target.workloads:
            state = client.get_workload(target.namespace, workload.kind, workload.name)
            pods = [one for one in client.list_pods(state) if _in_trouble(one)]
            for event in client.list_events(state, pods)[-_MOST_EVENTS:]:
                if event.warning:
                    log(f"{event.object}: {event.reason}: {event.message}")
            for pod in pods[:_MOST_PODS]:
                _log_pod(client, target, pod, log)
    except ReconcilerError as error:
        log(f"what the pods say can't be had: {error.message}")


def _log_pod(client: ClusterClient, target: Target, pod: PodState, log: LineSink) -> None:
    for condition in pod.conditions:
        if condition.status != "True" and condition.message:
            log(f"{pod.name}: {condition.type} is {condition.status}: {condition.message}")
    for one in pod.containers:
        if one.restarts or (one.state == "running" and not one.ready):
            tell_last_lines(client, target.namespace, pod.name, one.name, log)


def _in_trouble(pod: PodState) -> bool:
    every = (one for one in pod.containers if not one.init)
    return not pod.deleting and any(one.restarts or not one.ready for one in every)
