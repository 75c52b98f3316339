"""``Strategy`` for workloads in a Kubernetes cluster.

``prepare`` decides which exact image each named container gets, and changes nothing. ``apply`` sets
these images, each workload only as it was just seen, and follows its roll-out, one workload after
another in the order of their declaration. Going back is the same step with what was verified last.
Nothing else in the cluster is changed: no other field, no object of another kind.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from reconciler.domain.deployment import Pin, PlannedService, PreparedTarget
from reconciler.domain.errors import (
    ChangedMeanwhile,
    NameTaken,
    PreconditionFailed,
    RevisionNotFound,
    SourceError,
    TargetUnreachable,
    WorkloadChanged,
)
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.domain.target import Target
from reconciler.domain.verification import Sample
from reconciler.domain.workload import Workload
from reconciler.ports import (
    Clock,
    ClusterClient,
    Clusters,
    IndexedRegistry,
    LineSink,
    TargetReport,
    Work,
    WorkloadState,
)
from reconciler.strategies.kubernetes.following import Following
from reconciler.strategies.kubernetes.images import pinned_name, pins_of
from reconciler.strategies.kubernetes.notes import notes_of, owner_of
from reconciler.strategies.kubernetes.patience import Patience
from reconciler.strategies.kubernetes.progress import refusal_of
from reconciler.strategies.kubernetes.reporting import log_trouble, report_of
from reconciler.strategies.kubernetes.samples import samples_of


@dataclass(frozen=True, slots=True)
class KubernetesStrategy:
    """``Strategy`` in clusters. Safe to use from any thread."""

    clusters: Clusters
    registry: IndexedRegistry
    clock: Clock
    patience: Patience = field(default_factory=Patience)
    #: Image by digest → what its index is made of, which never changes.
    _parts: dict[str, frozenset[Digest]] = field(default_factory=dict)

    # ── Changing ──────────────────────────────────────────────────────────────────────────────

    def prepare(self, work: Work) -> PreparedTarget:
        """Decide which image each container gets; see ``Strategy``."""
        if work.project.migration is not None:
            raise PreconditionFailed("a migration can't be run in a cluster; take it off")
        target, client = work.target, self.clusters.get(work.target.host)
        states = [(one, _look(client, target, one)) for one in target.workloads]
        for workload, state in states:
            _require_changeable(workload, state, work)
        _require_pods([state for _, state in states], target)
        pins, revision = pins_of(work, self.registry)
        services = []
        for workload, state in states:
            for container, image in workload.containers.items():
                name, pin = workload.service_of(container), pins[image]
                work.log(f"{name}: {pin}, in place of {state.images[container]}")
                # How many pods there are is for autoscalers to say; that all of them are updated
                # and available is seen to while the roll-out is followed.
                some, ends = min(state.wanted, 1), container in state.init
                services.append(PlannedService(name, pin, replicas=some, may_finish=ends))
        return PreparedTarget(
            revision=revision,
            services=tuple(services),
            rendered_sha256=_sha256_of(target, pins),
            host=target.host,
        )

    def apply(self, work: Work, prepared: PreparedTarget) -> None:
        """Set what was prepared, and follow the roll-outs; see ``Strategy``."""
        client = self.clusters.get(work.target.host)
        pins = {one.name: one.pin for one in prepared.services}
        for workload in work.target.workloads:
            images = {
                container: pinned_name(pin)
                for container in workload.containers
                if isinstance(pin := pins.get(workload.service_of(container)), Pin)
            }
            if images:
                self._roll_out(client, work, workload, images, prepared)

    def _roll_out(
        self,
        client: ClusterClient,
        work: Work,
        workload: Workload,
        images: Mapping[str, str],
        prepared: PreparedTarget,
    ) -> None:
        following = Following(client, self.clock, self.patience, workload, images, work.log)
        notes = notes_of(work, images, prepared.revision.commit)
        for _ in range(self.patience.changes):
            seen = _look(client, work.target, workload)
            _require_changeable(workload, seen, work)
            following.ignore(seen)
            try:
                begun = client.set_images(seen, images, notes)
            except ChangedMeanwhile:
                work.log(f"{workload}: somebody changed it just now; looking at it again")
                continue
            following.until_over(begun, work.cancel)
            return
        raise WorkloadChanged(f"{workload}: somebody changes it again and again")

    def confirm(self, work: Work, prepared: PreparedTarget) -> None:
        """Do nothing: no cluster goes back by itself."""

    def forget(
        self, target: Target, prepared: PreparedTarget, kept: Collection[PreparedTarget]
    ) -> None:
        """Do nothing: the cluster keeps its own."""

    def set_up(self, work: Work) -> None:
        """See that we may do there what deploying takes; nothing is made."""
        target, client = work.target, self.clusters.get(work.target.host)
        version = client.check(target.namespace)
        work.log(f"{target.host} runs Kubernetes {version}, and lets us in")
        for workload in target.workloads:
            _require_changeable(workload, _look(client, target, workload), work)
            work.log(f"{workload} is there, with {', '.join(workload.containers)}")

    # ── Looking ───────────────────────────────────────────────────────────────────────────────

    def observe(self, target: Target) -> Sequence[Sample]:
        """Return what its pods run now; see ``Strategy``."""
        return self._observe(target)[1]

    def report(self, target: Target) -> TargetReport:
        """Return what its pods run now; see ``Strategy``."""
        return report_of(*self._observe(target))

    def diagnose(self, target: Target, log: LineSink) -> None:
        """Write what the cluster says of pods in trouble into ``log``; see ``Strategy``."""
        log_trouble(self.clusters.get(target.host), target, log)

    def _observe(self, target: Target) -> tuple[list[tuple[Workload, WorkloadState]], list[Sample]]:
        client = self.clusters.get(target.host)
        seen: list[tuple[Workload, WorkloadState]] = []
        samples: list[Sample] = []
        find = self._finder(target.project)
        for workload in target.workloads:
            state = _look(client, target, workload)
            seen.append((workload, state))
            try:
                samples += samples_of(workload, state, client.list_pods(state), find)
            except SourceError as error:
                # Whether the image of a platform is the pinned one, nobody can say now.
                raise TargetUnreachable(
                    f"{workload}: its pods name an image of an index, and which ones that has "
                    f"can't be looked up: {error.message}"
                ) from error
        return seen, samples

    def _finder(self, project: ProjectName) -> Callable[[ImageReference], frozenset[Digest]]:
        def find(image: ImageReference) -> frozenset[Digest]:
            name = str(image)
            if name not in self._parts:
                try:
                    self._parts[name] = self.registry.parts(image, project)
                except RevisionNotFound:
                    return frozenset()
            return self._parts[name]

        return find


def _look(client: ClusterClient, target: Target, workload: Workload) -> WorkloadState:
    return client.get_workload(target.namespace, workload.kind, workload.name)


def _require_changeable(workload: Workload, state: WorkloadState, work: Work) -> None:
    """Refuse what would not be rolled out, or is another project's."""
    where = f"{workload} in {state.namespace} of {work.target.host}"
    if missing := [name for name in workload.containers if name not in state.images]:
        known = ", ".join(state.images)
        text = f"{where} has no container {', '.join(missing)}; it has {known}"
        raise PreconditionFailed(text, host=work.target.host)
    owner = owner_of(state)
    # That we have been in that cluster before says nothing: the workload itself says whose it is.
    if owner not in {None, work.project.name} and not work.forced:
        raise NameTaken(f"{where}: its images are set by project {owner}", host=work.target.host)
    why, remedy = refusal_of(state)
    if why:
        error = PreconditionFailed(f"{where} {why}", host=work.target.host)
        error.remedy = remedy
        raise error


def _require_pods(states: Sequence[WorkloadState], target: Target) -> None:
    """Refuse what nothing would run of: nobody could say then whether it is well."""
    if not any(state.wanted for state in states):
        where = f"{target.namespace} of {target.host}"
        error = PreconditionFailed(f"nothing would run in {where}: each workload has 0 pods")
        error.remedy = "scale one of its workloads up"
        raise error


def _sha256_of(target: Target, pins: Mapping[str, Pin]) -> str:
    """Return the hash of all that is to be set."""
    every = [
        (target.namespace, str(workload), container, pinned_name(pins[image]))
        for workload in target.workloads
        for container, image in workload.containers.items()
    ]
    return sha256(json.dumps(every).encode()).hexdigest()
