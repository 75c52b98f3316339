"""What a Kubernetes API server keeps: objects with resource versions, and how they changed.

Source: Kubernetes API Concepts ("Resource versions", "Efficient detection of changes"); API
conventions ("Metadata", "Patch operations"); the list's merge keys are of the strategic merge.
"""

import copy
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

#: plural → API group, kind
RESOURCES = {
    "deployments": ("apps", "Deployment"),
    "statefulsets": ("apps", "StatefulSet"),
    "daemonsets": ("apps", "DaemonSet"),
    "replicasets": ("apps", "ReplicaSet"),
    "controllerrevisions": ("apps", "ControllerRevision"),
    "pods": ("", "Pod"),
    "events": ("", "Event"),
    "namespaces": ("", "Namespace"),
    "resourcequotas": ("", "ResourceQuota"),
}
_MERGED_BY_NAME = {"containers", "initContainers", "env", "volumes"}
_TERM = re.compile(r"\s*(!?)([\w./-]+)\s*(?:(=|==|!=)\s*([\w.-]*)|(in|notin)\s*\(([^)]*)\))?\s*")


class ApiFailure(Exception):
    """A ``Status`` object that says what is wrong."""

    def __init__(
        self, code: int, reason: str, message: str, *, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.retry_after = retry_after

    @property
    def status(self) -> Object:
        """As JSON has it."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }


@dataclass(frozen=True)
class Change:
    """One entry of the history that watches read."""

    version: int
    type: str  #: ``ADDED``, ``MODIFIED`` or ``DELETED``
    resource: str
    object: Object


@dataclass
class Objects:
    """Everything there is. Whoever changes something holds ``changed``, which wakes the watches."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    version: int = 100
    oldest: int = 0  #: changes before this one are forgotten
    history: list[Change] = field(default_factory=list)
    _all: dict[tuple[str, str, str], Object] = field(default_factory=dict)

    def create(self, resource: str, given: Object, namespace: str = "") -> Object:
        """Add an object, as POST does."""
        with self.changed:
            group, kind = RESOURCES[resource]
            made = copy.deepcopy(given)
            metadata = made.setdefault("metadata", {})
            if prefix := metadata.pop("generateName", ""):
                metadata["name"] = f"{prefix}{uuid.uuid4().hex[:5]}"
            if namespace:
                metadata["namespace"] = namespace
            key = (resource, namespace, metadata["name"])
            if key in self._all:
                message = f'{qualified(resource)} "{metadata["name"]}" already exists'
                raise ApiFailure(409, "AlreadyExists", message)
            made |= {"apiVersion": "apps/v1" if group else "v1", "kind": kind}
            metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": stamp()}
            if "spec" in made and group:
                metadata["generation"] = 1
            self._all[key] = made
            return self._note("ADDED", resource, made)

    def get(self, resource: str, namespace: str, name: str) -> Object:
        """Return a copy."""
        with self.changed:
            return copy.deepcopy(self._find(resource, namespace, name))

    def list(self, resource: str, namespace: str, selector: str = "") -> list[Object]:
        """Return copies of those in a namespace, by name; of all where it is empty."""
        with self.changed:
            found = [
                one
                for (kind, where, _), one in sorted(self._all.items())
                if kind == resource and namespace in {"", where} and selects(selector, one)
            ]
            return copy.deepcopy(found)

    def replace(self, resource: str, given: Object) -> Object:
        """Store an object anew; a changed ``spec`` is a new generation."""
        with self.changed:
            metadata = given["metadata"]
            old = self._find(resource, metadata.get("namespace", ""), metadata["name"])
            new = copy.deepcopy(given)
            new["metadata"] |= {
                key: old["metadata"][key]
                for key in ("uid", "creationTimestamp", "generation", "resourceVersion")
                if key in old["metadata"]
            }
            if new == old:
                return copy.deepcopy(old)
            if new.get("spec") != old.get("spec") and "generation" in new["metadata"]:
                new["metadata"]["generation"] += 1
            self._all[resource, metadata.get("namespace", ""), metadata["name"]] = new
            return self._note("MODIFIED", resource, new)

    def delete(self, resource: str, namespace: str, name: str) -> None:
        """Remove it, and what it owns."""
        with self.changed:
            gone = self._find(resource, namespace, name)
            del self._all[resource, namespace, name]
            self._note("DELETED", resource, gone)
            for (kind, where, other), one in list(self._all.items()):
                owners = one["metadata"].get("ownerReferences", ())
                owned = any(owner["uid"] == gone["metadata"]["uid"] for owner in owners)
                inside = resource == "namespaces" and where == name
                if (owned or inside) and (kind, where, other) in self._all:
                    self.delete(kind, where, other)

    def forget_history(self) -> None:
        """Compact: a watch from any version before now is answered 410 Gone."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
            self.history.clear()

    def since(self, version: int) -> Iterator[Change]:
        """Return what changed after ``version``."""
        if version < self.oldest:
            message = f"too old resource version: {version} ({self.oldest})"
            raise ApiFailure(410, "Expired", message)
        return iter([one for one in self.history if one.version > version])

    def _find(self, resource: str, namespace: str, name: str) -> Object:
        try:
            return self._all[resource, namespace, name]
        except KeyError:
            message = f'{qualified(resource)} "{name}" not found'
            raise ApiFailure(404, "NotFound", message) from None

    def _note(self, type_: str, resource: str, changed: Object) -> Object:
        self.version += 1
        changed["metadata"]["resourceVersion"] = str(self.version)
        kept = copy.deepcopy(changed)
        self.history.append(Change(self.version, type_, resource, kept))
        self.changed.notify_all()
        return copy.deepcopy(kept)


def qualified(resource: str) -> str:
    """Return a resource as messages name it, e.g. ``deployments.apps``."""
    group = RESOURCES.get(resource, ("", ""))[0]
    return f"{resource}.{group}" if group else resource


def stamp() -> str:
    """Return now, as ``metav1.Time`` is written."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def selects(selector: str, one: Object) -> bool:
    """Say whether the labels of an object are what a label selector asks for."""
    labels = one["metadata"].get("labels", {})
    terms = re.findall(r"[^,(]+(?:\([^)]*\))?", selector)
    return all(_fits(term, labels) for term in terms)


def _fits(term: str, labels: Mapping[str, str]) -> bool:
    parsed = _TERM.fullmatch(term)
    if not parsed:
        raise ApiFailure(400, "BadRequest", f'unable to parse requirement: "{term}"')
    absent, key, equality, value, among, values = parsed.groups()
    found = labels.get(key)
    if equality:
        return (found == value) is (equality != "!=")
    if among:
        return (found in [one.strip() for one in values.split(",")]) is (among == "in")
    return (found is None) is bool(absent)


def has_fields(selector: str, one: Object) -> bool:
    """Say whether an object is one that a field selector asks for."""
    for term in filter(None, selector.split(",")):
        path, _, value = term.replace("==", "=").partition("=")
        found: Any = one
        for step in path.split("."):
            found = found.get(step, "") if isinstance(found, dict) else ""
        if found != value:
            return False
    return True


def strategic_merge(old: Any, patch: Any) -> Any:
    """Return ``old`` with a strategic merge patch; only the merge keys of pods are known."""
    if not isinstance(old, dict) or not isinstance(patch, dict):
        return patch
    merged = dict(old)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif key in _MERGED_BY_NAME and isinstance(value, list):
            merged[key] = _merge_by_name(merged.get(key, []), value)
        elif not key.startswith("$"):
            merged[key] = strategic_merge(merged.get(key, {}), value)
    return merged


def _merge_by_name(old: list[Object], patch: list[Object]) -> list[Object]:
    merged = {one["name"]: one for one in old}
    for one in patch:
        if one.get("$patch") == "delete":
            merged.pop(one["name"], None)
        else:
            merged[one["name"]] = strategic_merge(merged.get(one["name"], {}), one)
    return list(merged.values())
