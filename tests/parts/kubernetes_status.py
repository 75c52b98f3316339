"""What controllers write of objects, and how they count."""

import hashlib
import json
import math

from tests.parts.kubernetes_objects import Object, Objects, selects, stamp

REVISION = "deployment.kubernetes.io/revision"
REVISIONS = "controllerrevisions"
COUNTS = ("replicas", "readyReplicas")


def template_hash(workload: Object) -> str:
    """Return what tells one pod template from another."""
    template = json.dumps(workload["spec"]["template"], sort_keys=True)
    return hashlib.sha256(template.encode()).hexdigest()[:10]


def image_id(image: str) -> str:
    """Return what containerd calls the image of a reference: its repository and digest."""
    repository, _, digest = image.partition("@")
    head, slash, last = repository.rpartition("/")
    repository = head + slash + last.partition(":")[0]
    return f"{repository}@{digest or 'sha256:' + hashlib.sha256(image.encode()).hexdigest()}"


def is_ready(pod: Object) -> bool:
    """Say whether the kubelet says so."""
    conditions = pod["status"].get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def is_ending(pod: Object) -> bool:
    """Say whether it is being deleted."""
    return "deletionTimestamp" in pod["metadata"]


def revision_of(pod: Object) -> str:
    """Return which revision of its stateful or daemon set it is."""
    found: str = pod["metadata"]["labels"].get("controller-revision-hash", "")
    return found


def owner_of(owner: Object) -> Object:
    """Return the reference by which something is owned."""
    metadata = owner["metadata"]
    known = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
    return known | {"name": metadata["name"], "uid": metadata["uid"]}


def is_too_large(pod: Object) -> bool:
    """Say whether no node has room for it."""
    asked = [one.get("resources", {}).get("requests", {}) for one in pod["spec"]["containers"]]
    return any(int(one.get("cpu", 0)) > 100 for one in asked)


def newest(sets: list[Object]) -> int:
    """Return the number of the newest of some replica sets."""
    return max((int(one["metadata"]["annotations"][REVISION]) for one in sets), default=0)


def count(given: int | str, of: int, *, up: bool) -> int:
    """Return how many pods a number or a share of them means."""
    if isinstance(given, int):
        return given
    share = int(given.rstrip("%")) * of / 100
    return math.ceil(share) if up else math.floor(share)


def unavailable(replica_set: Object) -> int:
    """Return how many pods of a replica set are not available."""
    size: int = replica_set["spec"]["replicas"]
    return size - int(replica_set["status"].get("availableReplicas", 0))


def condition(type_: str, status: bool | None, reason: str = "", message: str = "") -> Object:
    """Return a condition; None is unknown."""
    said = "Unknown" if status is None else str(status)
    return {"type": type_, "status": said} | (
        {"reason": reason, "message": message} if reason else {}
    )


def kept(owner: Object, conditions: list[Object]) -> list[Object]:
    """Return conditions with when they last changed."""
    old = {one["type"]: one for one in owner.get("status", {}).get("conditions", ())}
    kept = []
    for one in conditions:
        before = old.get(one["type"], {})
        same = before.get("status") == one["status"]
        kept.append(one | {"lastTransitionTime": before["lastTransitionTime"] if same else stamp()})
    return kept


def without_zeros(**counts: int) -> dict[str, int]:
    """Return what JSON has of counts: Go leaves zeros out."""
    return {name: count for name, count in counts.items() if count}


def before(pod: Object, container: str) -> Object:
    """Return what was last said of a container."""
    found = pod["status"].get("containerStatuses", ())
    return next((one for one in found if one["name"] == container), {})


def hash_of(pod: Object, *more: object) -> str:
    """Return an id."""
    return hashlib.sha256(f"{pod['metadata']['uid']}{more}".encode()).hexdigest()


def pods_of(objects: Objects, workload: Object) -> list[Object]:
    """Return the pods that a workload's selector selects."""
    labels = workload["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    found = objects.list("pods", workload["metadata"]["namespace"])
    return [one for one in found if selects(selector, one)]
