"""How far a roll-out is, judged as `kubectl rollout status` does.

Source: kubectl, ``pkg/polymorphichelpers/rollout_status.go``.
"""

from reconciler.domain.workload import WorkloadKind
from reconciler.ports import Condition, WorkloadState

#: Source: Kubernetes, "Deployments", "Failed Deployment".
_TIMED_OUT = "ProgressDeadlineExceeded"


def is_seen(state: WorkloadState) -> bool:
    """Tell whether the workload's controller has seen its newest change: counts are of that."""
    return state.observed_generation >= state.generation


def waiting_for(state: WorkloadState) -> str:
    """Return what the roll-out waits for; empty once it is over."""
    if not is_seen(state):
        return "its controller has not seen the change yet"
    if state.updated < state.wanted:
        return f"{state.updated} of {state.wanted} pods are updated"
    if state.kind is WorkloadKind.DEPLOYMENT and state.total > state.updated:
        return f"{state.total - state.updated} old pods are still to end"
    # Those of a stateful set are counted as available by newer servers only.
    good = state.ready if state.kind is WorkloadKind.STATEFUL_SET else state.available
    if good < state.wanted:
        word = "ready" if state.kind is WorkloadKind.STATEFUL_SET else "available"
        return f"{good} of {state.wanted} updated pods are {word}"
    return ""


def refusal_of(state: WorkloadState) -> tuple[str, str]:
    """Return why a new image would not be rolled out by itself, and what helps; else empty."""
    if state.paused:
        return "is paused", f"`kubectl rollout resume deployment {state.name}`"
    if state.update_on_delete:
        return (
            "replaces its pods only when somebody deletes them (updateStrategy OnDelete)",
            "set its updateStrategy to RollingUpdate",
        )
    if state.partition:
        return (
            f"would be updated in part only (partition {state.partition})",
            "set its updateStrategy.rollingUpdate.partition to 0",
        )
    return "", ""


def timed_out(state: WorkloadState) -> Condition | None:
    """Return the condition by which the cluster itself gave the roll-out up.

    On the way back, a deployment goes on saying so of the revision that it leaves, until a pod of
    that has ended: its message names whose it is.
    """
    for one in state.conditions:
        is_left = one.message.startswith("ReplicaSet ") and not is_newest(state, one.message)
        if one.reason == _TIMED_OUT and not is_left:
            return one
    return None


def is_newest(state: WorkloadState, text: str) -> bool:
    """Tell whether ``text`` names the newest replica set, as far as that is known."""
    return not state.revision or f"{state.name}-{state.revision}" in text
