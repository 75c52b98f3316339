"""What makes a cluster move: the controllers of workloads, the scheduler and the kubelet.

Nothing happens by itself: ``Controllers.step`` is a second of the cluster's time.

Source: Kubernetes documentation: "Deployments" (rolling update, progress deadline, conditions),
"StatefulSets" (update strategies, partitions), "DaemonSet", "Pod Lifecycle", "Images".
"""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.parts.kubernetes_kubelet import Fate, Kubelet
from tests.parts.kubernetes_objects import ApiFailure, Object, stamp
from tests.parts.kubernetes_status import (
    COUNTS,
    REVISION,
    REVISIONS,
    condition,
    count,
    is_ending,
    is_ready,
    kept,
    newest,
    owner_of,
    pods_of,
    revision_of,
    template_hash,
    unavailable,
    without_zeros,
)

__all__ = ["Controllers", "Fate", "pods_of"]


@dataclass
class Controllers(Kubelet):
    """All of them, for all namespaces."""

    quotas: dict[str, int] = field(default_factory=dict)  #: namespace → most pods
    _progressed: dict[str, tuple[Any, int]] = field(default_factory=dict)
    _second: int = 0

    def step(self, times: int = 1) -> None:
        """Let a second pass, or several."""
        for _ in range(times):
            with self.objects.changed:
                self._second += 1
                for kind, control in (
                    ("deployments", self._deployment),
                    ("replicasets", self._replica_set),
                    ("statefulsets", self._stateful_set),
                    ("daemonsets", self._daemon_set),
                    ("pods", self._kubelet),
                    ("replicasets", self._replica_set_status),
                    ("deployments", self._deployment_status),
                    ("statefulsets", self._stateful_set_status),
                    ("daemonsets", self._daemon_set_status),
                ):
                    for one in self.objects.list(kind, ""):
                        control(one)

    def settle(self, most: int = 60) -> None:
        """Let seconds pass until nothing changes any more."""
        for _ in range(most):
            before = self.objects.version
            self.step()
            if self.objects.version == before:
                return

    # ── deployments ──────────────────────────────────────────────────────────────────────────────

    def _deployment(self, deployment: Object) -> None:
        spec, sets = deployment["spec"], self._owned("replicasets", deployment)
        wanted = spec.get("replicas", 1)
        new = self._newest_set(deployment, sets)
        if spec.get("paused"):
            return
        if new is None:
            new = self._make_set(deployment, sets)
        elif new["metadata"]["annotations"][REVISION] != str(newest(sets)):
            # What was rolled back to is the newest again.
            self._number(deployment, new, newest(sets) + 1)
            return
        old = [one for one in sets if one["metadata"]["name"] != new["metadata"]["name"]]
        rolling = spec.get("strategy", {}).get("rollingUpdate", {})
        surge = count(rolling.get("maxSurge", "25%"), wanted, up=True)
        down = count(rolling.get("maxUnavailable", "25%"), wanted, up=False)
        total = sum(one["spec"]["replicas"] for one in (*old, new))
        # Unavailable pods of old sets go first, then as many as there are available ones to spare.
        spare = max(0, total - (wanted - down) - unavailable(new))
        for one in old:
            drop = min(one["spec"]["replicas"], spare)
            spare -= drop
            self._scale(one, one["spec"]["replicas"] - drop)
        total = sum(one["spec"]["replicas"] for one in (*old, new))
        size = new["spec"]["replicas"]
        self._scale(new, min(wanted, size + max(0, wanted + max(surge, not down) - total)))

    def _newest_set(self, deployment: Object, sets: list[Object]) -> Object | None:
        hashed = template_hash(deployment)
        found = [one for one in sets if one["metadata"]["labels"]["pod-template-hash"] == hashed]
        return found[0] if found else None

    def _make_set(self, deployment: Object, sets: list[Object]) -> Object:
        metadata, hashed = deployment["metadata"], template_hash(deployment)
        template = json.loads(json.dumps(deployment["spec"]["template"]))
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels["pod-template-hash"] = hashed
        revision = newest(sets) + 1
        annotations = metadata.get("annotations", {}) | {REVISION: str(revision)}
        made = self.objects.create(
            "replicasets",
            {
                "metadata": {
                    "name": f"{metadata['name']}-{hashed}",
                    "labels": labels,
                    "annotations": annotations,
                    "ownerReferences": [owner_of(deployment)],
                },
                "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
                "status": {"replicas": 0},
            },
            metadata["namespace"],
        )
        self._number(deployment, made, revision)
        return made

    def _number(self, deployment: Object, replica_set: Object, revision: int) -> None:
        for kind, one in (("replicasets", replica_set), ("deployments", deployment)):
            one["metadata"].setdefault("annotations", {})[REVISION] = str(revision)
            self.objects.replace(kind, one)

    def _scale(self, replica_set: Object, size: int) -> None:
        if replica_set["spec"]["replicas"] != size:
            replica_set["spec"]["replicas"] = size
            self.objects.replace("replicasets", replica_set)

    def _deployment_status(self, deployment: Object) -> None:
        spec, sets = deployment["spec"], self._owned("replicasets", deployment)
        new = self._newest_set(deployment, sets)
        wanted = spec.get("replicas", 1)
        total, ready = (sum(one["status"].get(key, 0) for one in sets) for key in COUNTS)
        updated = new["status"].get("replicas", 0) if new else 0
        down = spec.get("strategy", {}).get("rollingUpdate", {}).get("maxUnavailable", "25%")
        enough = ready >= wanted - count(down, wanted, up=False)
        reason = "MinimumReplicas" + ("Available" if enough else "Unavailable")
        conditions = [condition("Available", enough, reason)]
        done = bool(new) and updated == wanted == ready == total
        conditions.append(self._progress(deployment, (updated, ready, total), done=done))
        conditions += [
            one
            for found in sets
            for one in found["status"].get("conditions", ())
            if one["type"] == "ReplicaFailure"
        ][:1]
        deployment["status"] = without_zeros(
            observedGeneration=deployment["metadata"]["generation"],
            replicas=total,
            updatedReplicas=updated,
            readyReplicas=ready,
            availableReplicas=ready,
            unavailableReplicas=max(0, wanted - ready),
        ) | {"conditions": kept(deployment, conditions)}
        self.objects.replace("deployments", deployment)

    def _progress(self, deployment: Object, counts: tuple[int, ...], *, done: bool) -> Object:
        uid, seen = deployment["metadata"]["uid"], (template_hash(deployment), counts)
        if self._progressed.get(uid, (None, 0))[0] != seen:
            self._progressed[uid] = (seen, self._second)
        idle = self._second - self._progressed[uid][1]
        name = f"{deployment['metadata']['name']}-{template_hash(deployment)}"
        message = f'ReplicaSet "{name}" has successfully progressed.'
        # What has once come to its end has no deadline any more, whatever its pods do later.
        before = deployment.get("status", {}).get("conditions", ())
        if done or any(one.get("message") == message for one in before):
            return condition("Progressing", True, "NewReplicaSetAvailable", message)
        if deployment["spec"].get("paused"):
            return condition("Progressing", None, "DeploymentPaused", "Deployment is paused")
        if idle >= deployment["spec"].get("progressDeadlineSeconds", 600):
            message = f'ReplicaSet "{name}" has timed out progressing.'
            return condition("Progressing", False, "ProgressDeadlineExceeded", message)
        message = f'ReplicaSet "{name}" is progressing.'
        return condition("Progressing", True, "ReplicaSetUpdated", message)

    # ── replica sets ─────────────────────────────────────────────────────────────────────────────

    def _replica_set(self, replica_set: Object) -> None:
        pods = [one for one in self._owned("pods", replica_set) if not is_ending(one)]
        wanted = replica_set["spec"]["replicas"]
        for one in sorted(pods, key=is_ready)[: max(0, len(pods) - wanted)]:
            self._end(one)
        labels = replica_set["spec"]["template"]["metadata"]["labels"]
        problem = ""
        for _ in range(wanted - len(pods)):
            try:
                self._make_pod(replica_set, f"{replica_set['metadata']['name']}-", labels)
            except ApiFailure as failure:
                problem = failure.message
                self.note(replica_set, "FailedCreate", f"Error creating: {problem}")
                break
        conditions = [condition("ReplicaFailure", True, "FailedCreate", problem)] if problem else []
        replica_set["status"]["conditions"] = conditions
        self.objects.replace("replicasets", replica_set)

    def _replica_set_status(self, replica_set: Object) -> None:
        pods = [one for one in self._owned("pods", replica_set) if not is_ending(one)]
        ready = sum(map(is_ready, pods))
        replica_set["status"] = {
            "replicas": len(pods),
            "conditions": replica_set["status"].get("conditions", []),
            "observedGeneration": replica_set["metadata"]["generation"],
        } | without_zeros(readyReplicas=ready, availableReplicas=ready)
        self.objects.replace("replicasets", replica_set)

    # ── stateful sets ────────────────────────────────────────────────────────────────────────────

    def _stateful_set(self, workload: Object) -> None:
        revision, wanted = self._revision(workload), workload["spec"].get("replicas", 1)
        pods = {one["metadata"]["name"]: one for one in self._owned("pods", workload)}
        name = workload["metadata"]["name"]
        current = workload.get("status", {}).get("currentRevision") or revision
        update = workload["spec"].get("updateStrategy", {})
        partition = update.get("rollingUpdate", {}).get("partition", 0)
        for at in range(wanted):
            pod = pods.get(f"{name}-{at}")
            if pod is None:
                wants = revision if at >= partition else current
                self._make_of_revision(workload, wants, f"{name}-{at}")
                return
            if is_ending(pod) or not is_ready(pod):
                return  # one after another, and none while an older one is not well
        if update.get("type") == "OnDelete":
            return
        for at in range(wanted - 1, partition - 1, -1):
            if revision_of(pods[f"{name}-{at}"]) != revision:
                self._end(pods[f"{name}-{at}"])
                return

    def _stateful_set_status(self, workload: Object) -> None:
        revision, wanted = self._revision(workload), workload["spec"].get("replicas", 1)
        pods = self._owned("pods", workload)
        updated = sum(revision_of(one) == revision for one in pods if not is_ending(one))
        ready = sum(is_ready(one) for one in pods)
        before = workload.get("status", {}).get("currentRevision", revision)
        done = updated == wanted == ready
        workload["status"] = {
            "observedGeneration": workload["metadata"]["generation"],
            "replicas": len(pods),
            "updateRevision": revision,
            "currentRevision": revision if done else before,
            "collisionCount": 0,
            "availableReplicas": ready,
        } | without_zeros(updatedReplicas=updated, readyReplicas=ready)
        self.objects.replace("statefulsets", workload)

    # ── daemon sets ──────────────────────────────────────────────────────────────────────────────

    def _daemon_set(self, workload: Object) -> None:
        revision = self._revision(workload)
        pods = {one["spec"].get("nodeName"): one for one in self._owned("pods", workload)}
        for node in self.nodes:
            if node not in pods:
                self._make_of_revision(workload, revision, "", node)
        old = [one for one in pods.values() if revision_of(one) != revision]
        update = workload["spec"].get("updateStrategy", {})
        if update.get("type") == "OnDelete":
            return
        unavailable = sum(is_ending(one) or not is_ready(one) for one in pods.values())
        most = count(update.get("rollingUpdate", {}).get("maxUnavailable", 1), len(pods), up=True)
        for one in [one for one in old if not is_ending(one)]:
            if not is_ready(one) or unavailable < most:
                unavailable += is_ready(one)
                self._end(one)

    def _daemon_set_status(self, workload: Object) -> None:
        revision, pods = self._revision(workload), self._owned("pods", workload)
        running = [one for one in pods if not is_ending(one)]
        ready = sum(map(is_ready, running))
        workload["status"] = {
            "observedGeneration": workload["metadata"]["generation"],
            "currentNumberScheduled": len(running),
            "desiredNumberScheduled": len(self.nodes),
            "numberMisscheduled": 0,
            "numberReady": ready,
        } | without_zeros(
            updatedNumberScheduled=sum(revision_of(one) == revision for one in running),
            numberAvailable=ready,
            numberUnavailable=len(self.nodes) - ready,
        )
        self.objects.replace("daemonsets", workload)

    # ── pods ─────────────────────────────────────────────────────────────────────────────────────

    def _revision(self, workload: Object) -> str:
        name = f"{workload['metadata']['name']}-{template_hash(workload)}"
        revision = name if workload["kind"] == "StatefulSet" else name.rpartition("-")[2]
        kept = self._owned(REVISIONS, workload)
        newest = max((one["revision"] for one in kept), default=0)
        found = next((one for one in kept if one["metadata"]["name"] == name), None)
        if found is None:
            labels = workload["metadata"].get("labels", {}) | {"controller-revision-hash": revision}
            metadata = {"name": name, "labels": labels, "ownerReferences": [owner_of(workload)]}
            data = {"spec": {"template": workload["spec"]["template"]}}
            made = {"metadata": metadata, "data": data, "revision": newest + 1}
            self.objects.create(REVISIONS, made, workload["metadata"]["namespace"])
        elif found["revision"] != newest:
            self.objects.replace(REVISIONS, found | {"revision": newest + 1})
        return revision

    def _make_of_revision(self, workload: Object, revision: str, name: str, node: str = "") -> None:
        kept = next(
            one
            for one in self._owned(REVISIONS, workload)
            if one["metadata"]["name"].endswith(revision)
        )
        template = kept["data"]["spec"]["template"]
        labels = template.get("metadata", {}).get("labels", {})
        labels = labels | {"controller-revision-hash": revision}
        owner = workload | {"spec": workload["spec"] | {"template": template}}
        prefix = name or f"{workload['metadata']['name']}-"
        try:
            self._make_pod(owner, prefix, labels, node)
        except ApiFailure as failure:
            message = f"create Pod {prefix} in {workload['kind']} failed error: {failure.message}"
            self.note(workload, "FailedCreate", message)

    def _make_pod(self, owner: Object, prefix: str, labels: dict[str, str], node: str = "") -> None:
        namespace = owner["metadata"]["namespace"]
        quotas = self.objects.list("resourcequotas", namespace)
        declared = [int(one["spec"]["hard"]["pods"]) for one in quotas]
        most = min([*declared, *filter(None, [self.quotas.get(namespace)])], default=None)
        if most is not None and len(self.objects.list("pods", namespace)) >= most:
            message = (
                f'pods "{prefix}" is forbidden: exceeded quota: pods, requested: pods=1, '
                f"used: pods={most}, limited: pods={most}"
            )
            raise ApiFailure(403, "Forbidden", message)
        named = {"generateName": prefix} if prefix.endswith("-") else {"name": prefix}
        spec = json.loads(json.dumps(owner["spec"]["template"]["spec"]))
        if node:
            spec["nodeName"] = node
        metadata = named | {"labels": labels, "ownerReferences": [owner_of(owner)]}
        made = {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}
        self.objects.create("pods", made, namespace)

    def _end(self, pod: Object) -> None:
        pod["metadata"] |= {"deletionTimestamp": stamp(), "deletionGracePeriodSeconds": 30}
        self.objects.replace("pods", pod)

    def _owned(self, resource: str, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        return [
            one
            for one in self.objects.list(resource, owner["metadata"]["namespace"])
            if any(by["uid"] == uid for by in one["metadata"].get("ownerReferences", ()))
        ]
