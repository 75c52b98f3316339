"""Following one workload's roll-out until it is over, or can be seen to fail."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from reconciler.domain.errors import NoRoom, ReconcilerError, WorkloadChanged, WorkloadFailed
from reconciler.domain.workload import Workload, WorkloadKind
from reconciler.ports import Clock, ClusterClient, ClusterEvent, LineSink, PodState, WorkloadState
from reconciler.strategies.kubernetes.patience import Patience
from reconciler.strategies.kubernetes.progress import is_seen, refusal_of, timed_out, waiting_for
from reconciler.strategies.kubernetes.trouble import (
    Trouble,
    is_of,
    not_created,
    trouble_of,
    unscheduled,
    with_cause,
)

LAST_LINES = 20
_MOST_EVENTS = 50


@dataclass(slots=True)
class Following:
    """One roll-out. Pods of older revisions are not judged: their trouble is not ours."""

    client: ClusterClient
    clock: Clock
    patience: Patience
    workload: Workload
    images: Mapping[str, str]  #: container → image, as we set them
    say: LineSink
    #: What was noted before: event → how often.
    told: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _said: str = field(default="", init=False)
    _conditions: dict[str, str] = field(default_factory=dict, init=False)
    _unscheduled: dict[str, float] = field(default_factory=dict, init=False)
    _held_up: set[str] = field(default_factory=set, init=False)
    _generation: int = field(default=0, init=False)
    _events_told: int = field(default=0, init=False)

    def ignore(self, state: WorkloadState) -> None:
        """Take what was noted of the workload so far as known: it is of earlier roll-outs."""
        self._new(self.client.list_events(state, ()))

    def until_over(self, begun: WorkloadState, cancel: threading.Event) -> None:
        """Return once every pod is of the newest revision, and available.

        Raises:
            WorkloadFailed: its pods don't come up, which is known before the time is over where
                the cluster says why. ``NoRoom``: it has no room for them.
            WorkloadChanged: somebody else changed it so that it does not run our images.
            TargetUnreachable, Interrupted: as ``ClusterClient``.
        """
        watched = self.client.watch(begun, self.patience.roll_out, cancel)
        for state in chain((begun,), watched):
            self._require_ours(state)
            waiting = waiting_for(state)
            self._tell(state, waiting)
            if not waiting:
                return
            if is_seen(state):
                self._require_hope(state)
        within = f"{self.patience.roll_out.total_seconds():g} s"
        raise WorkloadFailed(f"{self.workload}: not rolled out within {within}: {self._said}")

    # ── Whose it is ───────────────────────────────────────────────────────────────────────────

    def _require_ours(self, state: WorkloadState) -> None:
        for container, image in self.images.items():
            if state.images.get(container) != image:
                found = state.images.get(container, "no such container")
                raise WorkloadChanged(
                    f"{self.workload}: somebody changed it meanwhile: {container} is to run "
                    f"{found}, and we had set {image}",
                    expected=image,
                    observed=found,
                )
        if why := refusal_of(state)[0]:
            raise WorkloadChanged(f"{self.workload}: somebody changed it meanwhile: it {why}")
        if self._generation and state.generation > self._generation:
            self.say(f"{self.workload}: somebody changed it meanwhile; its images are ours still")
        self._generation = state.generation

    # ── Whether it gets anywhere ──────────────────────────────────────────────────────────────

    def _require_hope(self, state: WorkloadState) -> None:
        every = self.client.list_pods(state)
        self._tell_held_up(state, every)
        pods = [pod for pod in every if self._is_new(state, pod)]
        events = [one for one in self.client.list_events(state, pods) if is_of(state, one)]
        new = self._new(events)
        self._tell_events(new)
        if found := trouble_of(pods) or not_created(state, new) or self._without_node(pods):
            self._tell_crash(state, found)
            found = with_cause(found, events)
            error = NoRoom if found.lacks_room else WorkloadFailed
            raise error(f"{self.workload}: {found}", reason=found.reason, where=found.where)
        if condition := timed_out(state):
            raise WorkloadFailed(
                f"{self.workload}: {condition.reason}: {condition.message}", reason=condition.reason
            )

    def _is_new(self, state: WorkloadState, pod: PodState) -> bool:
        images = {one.name: one.image for one in pod.containers}
        # Before the cluster tells its newest revision, what a pod runs tells.
        ours = all(images.get(name, image) == image for name, image in self.images.items())
        return ours and not pod.deleting and state.revision in {"", pod.revision}

    def _without_node(self, pods: Sequence[PodState]) -> Trouble | None:
        """Return a pod that no node has taken for longer than an autoscaler needs."""
        now = self.clock.monotonic()
        waiting = {pod.uid: found for pod in pods if (found := unscheduled(pod))}
        self._unscheduled = {uid: self._unscheduled.get(uid, now) for uid in waiting}
        longest = self.patience.unschedulable.total_seconds()
        late = (uid for uid, since in self._unscheduled.items() if now - since >= longest)
        return next((waiting[uid] for uid in late), None)

    # ── What is told ──────────────────────────────────────────────────────────────────────────

    def _tell(self, state: WorkloadState, waiting: str) -> None:
        said = waiting or "rolled out"
        if said != self._said:
            self._said = said
            self.say(f"{self.workload}: {said}")
        for one in state.conditions:
            shown = f"{one.type} is {one.status}" + (f" ({one.reason})" if one.reason else "")
            if is_seen(state) and self._conditions.get(one.type) != shown:
                self._conditions[one.type] = shown
                self.say(f"{self.workload}: {shown}: {one.message}".removesuffix(": "))

    def _tell_held_up(self, state: WorkloadState, pods: Sequence[PodState]) -> None:
        """Say which pod a stateful set waits for; we may not delete it, and some do by themselves.

        Source: Kubernetes, "StatefulSets", "Forced rollback".
        """
        old = (pod for pod in pods if not self._is_new(state, pod) and not pod.deleting)
        found = trouble_of(old) if state.kind is WorkloadKind.STATEFUL_SET else None
        if found and found.where not in self._held_up:
            self._held_up.add(found.where)
            pod, space = found.where.partition("/")[0], state.namespace
            self.say(f"{self.workload}: an older pod may hold it up, {found}")
            self.say(f"if it does, `kubectl --namespace {space} delete pod {pod}` lets it go on")

    def _new(self, events: Sequence[ClusterEvent]) -> list[ClusterEvent]:
        """Return those that were noted since the last look."""
        found = []
        for one in events:
            key = (one.object, one.reason, one.message)
            if one.count > self.told.get(key, 0):
                found.append(one)
            self.told[key] = max(one.count, self.told.get(key, 0))
        return found

    def _tell_events(self, events: Sequence[ClusterEvent]) -> None:
        for one in events:
            if one.warning and self._events_told < _MOST_EVENTS:
                self._events_told += 1
                self.say(f"{one.object}: {one.reason}: {one.message}")

    def _tell_crash(self, state: WorkloadState, trouble: Trouble) -> None:
        """Write what a container that crashed wrote last."""
        if trouble.crashed is None:
            return
        pod = trouble.where.partition("/")[0]
        tell_last_lines(self.client, state.namespace, pod, trouble.crashed.name, self.say)


def tell_last_lines(
    client: ClusterClient, namespace: str, pod: str, container: str, say: LineSink
) -> None:
    """Write the last lines of a container's last life, or of this one where there is none."""
    say(f"{pod}/{container}: its last lines:")
    try:
        lines = client.last_lines(namespace, pod, container, LAST_LINES, previous=True)
        lines = lines or client.last_lines(namespace, pod, container, LAST_LINES)
    except ReconcilerError as error:
        say(f"  they can't be had: {error.message}")
        return
    for line in lines or ["(it wrote nothing)"]:
        say(f"  {line}")
