"""What runs in a Kubernetes cluster: workloads, and the clusters themselves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reconciler.domain.errors import InvalidInput
from reconciler.domain.host import HostName
from reconciler.domain.numbers import shown
from reconciler.domain.problems import Problems, unknown_fields
from reconciler.domain.references import ImageReference, ServiceName, parse_service_name
from reconciler.domain.revision import is_image_name

MOST_WORKLOADS = 20
MOST_CONTAINERS = 20

#: Source: Kubernetes, "Object Names and IDs": RFC 1123 label and subdomain names.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(
    r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?){0,3}"
)
_CONTEXT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/@-]{0,252}")
_FIELDS = ("kind", "name", "containers")


class WorkloadKind(StrEnum):
    """The kinds of workload whose images can be set."""

    DEPLOYMENT = "deployment"
    STATEFUL_SET = "statefulset"
    DAEMON_SET = "daemonset"


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload, and which image each of its named containers gets."""

    kind: WorkloadKind
    name: str
    #: Name of a container → what its revision calls the image: a reference, or the service of the
    #: environment before that built it. Others of its containers are left as they are.
    containers: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    def service_of(self, container: str) -> ServiceName:
        """Return what one of its containers is called among a target's services.

        No name in a cluster has a ``_``, so that no two are called the same.
        """
        whose = "" if self.kind is WorkloadKind.DEPLOYMENT else f"{self.kind}_"
        return ServiceName(f"{whose}{self.name}_{container}")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kubernetes cluster. Targets name it as they name a host."""

    name: HostName
    created_at: datetime
    context: str = ""  #: of the kubeconfig; empty: its current one
    in_cluster: bool = False  #: the daemon's own, by its service account: no kubeconfig
    #: Of the kubeconfig, as secrets have one; empty: none is kept.
    kubeconfig_fingerprint: str = ""
    kubeconfig_stored_at: datetime | None = None


def parse_namespace(value: object, field: str = "namespace") -> str:
    """Return ``value`` as the name of a namespace. Raises ``InvalidInput``."""
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        problem = "must be 1 to 63 of a-z, 0-9 and '-', as Kubernetes names a namespace"
        raise InvalidInput(field, shown(value), problem)
    return value


def parse_context(value: str, field: str = "context") -> str:
    """Return ``value`` as the name of a kubeconfig's context. Raises ``InvalidInput``."""
    if not _CONTEXT.fullmatch(value):
        problem = "must be at most 253 of letters, digits and '_.:/@-'"
        raise InvalidInput(field, value[:100], problem)
    return value


def parse_workloads(value: object, field: str = "workloads") -> tuple[Workload, ...]:
    """Return the workloads that ``value`` lists, at least one.

    Args:
        value: a list of objects: ``kind`` (deployment, statefulset or daemonset; deployment unless
            given), ``name``, and ``containers``, an object of container → image.
        field: what problems are named after, e.g. ``workloads.0.name``.

    Raises:
        InvalidInput: one field is wrong.
        SeveralInvalid: more are; every one is named.
    """
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_WORKLOADS:
        problem = f"must be a list of 1 to {MOST_WORKLOADS} workloads"
        raise InvalidInput(field, shown(value), problem)
    problems = Problems()
    found: list[Workload] = []
    for at, one in enumerate(value):
        try:
            found.append(_parse_workload(one, f"{field}.{at}"))
        except InvalidInput as problem_of_one:
            problems.found.append(problem_of_one)
    names = [str(one) for one in found]
    if len(set(names)) < len(names):
        problems.found.append(InvalidInput(field, None, "names one workload twice"))
    if problems.found:
        raise problems.error()
    return tuple(found)


def declaration_of(workload: Workload) -> dict[str, object]:
    """Return what ``parse_workloads`` makes ``workload`` of, as JSON has it."""
    return {
        "kind": str(workload.kind),
        "name": workload.name,
        "containers": dict(workload.containers),
    }


def _parse_workload(value: object, field: str) -> Workload:
    if not isinstance(value, Mapping):
        raise InvalidInput(field, shown(value), "must be an object with kind, name and containers")
    for unknown in unknown_fields(value, _FIELDS, field, "a workload"):
        raise unknown
    kind = value.get("kind", WorkloadKind.DEPLOYMENT)
    if not isinstance(kind, str) or kind not in set(WorkloadKind):
        raise InvalidInput(f"{field}.kind", shown(kind), f"is not one of {', '.join(WorkloadKind)}")
    name = value.get("name")
    if not isinstance(name, str) or not _SUBDOMAIN.fullmatch(name):
        problem = "must be its name in the cluster, of a-z, 0-9, '-' and '.'"
        raise InvalidInput(f"{field}.name", shown(name), problem)
    containers = _parse_containers(value.get("containers"), f"{field}.containers")
    workload = Workload(WorkloadKind(kind), name, containers)
    for container in containers:
        parse_service_name(workload.service_of(container), f"{field}.containers.{container}")
    return workload


def _parse_containers(value: object, field: str) -> dict[str, str]:
    if not isinstance(value, Mapping) or not 1 <= len(value) <= MOST_CONTAINERS:
        problem = f"must name 1 to {MOST_CONTAINERS} containers, each with its image"
        raise InvalidInput(field, shown(value), problem)
    for name, image in value.items():
        if not isinstance(name, str) or not _LABEL.fullmatch(name):
            raise InvalidInput(field, shown(name), "is no name of a container")
        if not isinstance(image, str):
            raise InvalidInput(f"{field}.{name}", shown(image), "must be the name of an image")
    return {name: parse_image_name(image, f"{field}.{name}") for name, image in value.items()}


def parse_image_name(text: str, field: str) -> str:
    """Return what a revision calls an image: a reference in full, or the name of a service.

    What has neither ``/`` nor ``:`` names a service of the environment before that built it.

    Raises:
        InvalidInput: neither.
    """
    if not is_image_name(text):
        return parse_service_name(text, field)
    return str(ImageReference.parse(text, field))
