"""What becomes of pods: the scheduler and the kubelet.

Source: Kubernetes documentation: "Pod Lifecycle", "Images".
"""

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import Any

from tests.parts.kubernetes_objects import ApiFailure, Object, Objects, stamp
from tests.parts.kubernetes_status import (
    before,
    condition,
    hash_of,
    image_id,
    is_ending,
    is_too_large,
    kept,
)


@dataclass(frozen=True)
class Fate:
    """What becomes of the containers of an image. Times are steps."""

    ready_after: int = 1  #: from when it runs
    pull_problem: str = ""  #: e.g. ``not found``: its image never comes
    crash_after: int | None = None  #: from when it runs; 0: it never gets ready
    exit_status: int = 1
    never_ready: bool = False
    unschedulable: bool = False
    log: tuple[str, ...] = ("started",)


@dataclass
class _Life:
    """What the kubelet remembers of a pod."""

    age: int = 0
    ran: int = 0  #: steps since it was last started
    pulls: int = 0
    restarts: int = 0
    down: bool = False
    gone: int = 0  #: steps since its deletion was asked for


@dataclass
class Kubelet:
    """Looks after the pods of all nodes."""

    objects: Objects
    nodes: tuple[str, ...] = ("node-a", "node-b")
    #: A part of an image's reference → its fate. The first that fits counts.
    fates: dict[str, Fate] = field(default_factory=dict)
    terminating_for: int = 1  #: steps that a pod takes to end
    _lives: dict[str, _Life] = field(default_factory=dict)

    def _kubelet(self, pod: Object) -> None:
        life = self._lives.setdefault(pod["metadata"]["uid"], _Life())
        life.age += 1
        if is_ending(pod):
            life.gone += 1
            if life.gone > self.terminating_for:
                self.objects.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
            return
        fates = [self._fate(one) for one in pod["spec"]["containers"]]
        if any(fate.unschedulable for fate in fates) or is_too_large(pod):
            self._leave_unscheduled(pod, life)
            return
        pod["spec"].setdefault("nodeName", self.nodes[life.age % len(self.nodes)])
        statuses = [
            self._container(pod, one, life, fate)
            for one, fate in zip(pod["spec"]["containers"], fates, strict=True)
        ]
        life.ran += 1
        running = all("running" in one["state"] for one in statuses)
        ready = all(one["ready"] for one in statuses)
        waits = [one["name"] for one in statuses if not one["ready"]]
        unready = f"containers with unready status: [{' '.join(waits)}]"
        why = ("", "") if ready else ("ContainersNotReady", unready)
        begun = running or any(one["restartCount"] for one in statuses)
        number = int(pod["metadata"]["uid"][:4], 16)
        pod["status"] = {
            "phase": "Running" if begun else "Pending",
            "conditions": kept(
                pod,
                [
                    condition("Ready", ready, *why),
                    condition("ContainersReady", ready, *why),
                    condition("PodScheduled", True),
                ],
            ),
            "hostIP": "192.0.2.10",
            "podIP": f"10.1.{number >> 8}.{number & 255}",
            "startTime": pod["status"].get("startTime") or stamp(),
            "containerStatuses": statuses,
        }
        self.objects.replace("pods", pod)

    def _leave_unscheduled(self, pod: Object, life: _Life) -> None:
        message = f"0/{len(self.nodes)} nodes are available: insufficient memory."
        unscheduled = condition("PodScheduled", False, "Unschedulable", message)
        pod["status"] = {"phase": "Pending", "conditions": kept(pod, [unscheduled])}
        self.objects.replace("pods", pod)
        if life.age == 1:
            self.note(pod, "FailedScheduling", message)

    def _container(self, pod: Object, container: Object, life: _Life, fate: Fate) -> Object:
        name, image = container["name"], container["image"]
        status: Object = {
            "name": name,
            # What the runtime calls it is not what the pod asked for.
            "image": f"sha256:{hashlib.sha256(b'config' + image.encode()).hexdigest()}",
            "imageID": "",
            "ready": False,
            "started": False,
            "restartCount": life.restarts,
            "lastState": {},
        }
        if fate.pull_problem:
            life.ran = 0
            return status | {"image": image, "state": self._pull(pod, image, life, fate)}
        if life.age == 1:
            return status | {"image": image, "state": {"waiting": {"reason": "ContainerCreating"}}}
        status["imageID"] = image_id(image)
        status["containerID"] = f"containerd://{hash_of(pod, name, life.restarts)}"
        earlier = before(pod, name)
        if fate.crash_after is not None and life.ran > fate.crash_after:
            return status | self._crash(pod, name, life, fate)
        started = earlier.get("state", {}).get("running", {}).get("startedAt") or stamp()
        return status | {
            "state": {"running": {"startedAt": started}},
            "lastState": earlier.get("lastState", {}),
            "started": True,
            "ready": not fate.never_ready and life.ran > fate.ready_after,
        }

    def _pull(self, pod: Object, image: str, life: _Life, fate: Fate) -> Object:
        life.pulls += 1
        if life.pulls == 1:
            problem = f'failed to pull and unpack image "{image}": {fate.pull_problem}'
            self.note(pod, "Failed", f'Failed to pull image "{image}": {problem}')
            return {"waiting": {"reason": "ErrImagePull", "message": problem}}
        message = f'Back-off pulling image "{image}"'
        if life.pulls == 2:
            self.note(pod, "BackOff", message, warning=False)
        return {"waiting": {"reason": "ImagePullBackOff", "message": message}}

    def _crash(self, pod: Object, name: str, life: _Life, fate: Fate) -> Object:
        ended = {"exitCode": fate.exit_status, "reason": "Error", "finishedAt": stamp()}
        if not life.down:
            life.down = True
            return {"state": {"terminated": ended}}
        if before(pod, name).get("state", {}).get("terminated"):
            life.restarts += 1
            self.note(pod, "BackOff", f"Back-off restarting failed container {name}")
        waiting = {
            "reason": "CrashLoopBackOff",
            "message": f"back-off 10s restarting failed container={name}",
        }
        last = {"terminated": ended}
        return {"state": {"waiting": waiting}, "lastState": last, "restartCount": life.restarts}

    def note(self, about: Object, reason: str, message: str, *, warning: bool = True) -> None:
        """Write an event; as the scheduler does, with ``eventTime``, where it is its own."""
        metadata = about["metadata"]
        by_scheduler = reason == "FailedScheduling"
        event = {
            "metadata": {"generateName": f"{metadata['name']}."},
            "involvedObject": {
                "kind": about["kind"],
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "reason": reason,
            "message": message,
            "type": "Warning" if warning else "Normal",
            "firstTimestamp": None if by_scheduler else stamp(),
            "lastTimestamp": None if by_scheduler else stamp(),
            "eventTime": stamp().replace("Z", ".000000Z") if by_scheduler else None,
        } | ({} if by_scheduler else {"count": 1})
        same = [
            one
            for one in self.objects.list("events", metadata["namespace"])
            if one["involvedObject"] == event["involvedObject"] and one["message"] == message
        ]
        if same:
            count = same[0].get("count", 1) + 1
            self.objects.replace("events", same[0] | {"count": count, "lastTimestamp": stamp()})
        else:
            self.objects.create("events", event, metadata["namespace"])

    def _fate(self, container: Object) -> Fate:
        for part, fate in self.fates.items():
            if part in container["image"]:
                return fate
        command = " ".join(container.get("command", ()))
        says = tuple(re.findall(r"echo ([^;>]+);", command)) or Fate.log
        if ends := re.search(r"exit (\d+)", command):
            return Fate(crash_after=0, exit_status=int(ends[1]), log=says)
        return Fate(log=says)

    def fate_of(self, pod: Object, container: str) -> Fate:
        """Return the fate of a container of a pod."""
        found = [one for one in pod["spec"]["containers"] if one["name"] == container]
        if not found:
            message = f"container {container} is not valid for pod {pod['metadata']['name']}"
            raise ApiFailure(400, "BadRequest", message)
        return self._fate(found[0])

    def change_fate(self, image: str, **changes: Any) -> None:
        """Change what becomes of an image, also of what runs of it."""
        self.fates[image] = replace(self.fates.get(image, Fate()), **changes)
