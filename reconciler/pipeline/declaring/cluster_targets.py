"""The rules that a target in a cluster has to meet beyond those of every target. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.domain.errors import InvalidInput
from reconciler.domain.health_check import HealthCheck, ProbeKind, ProbeOrigin
from reconciler.domain.host import LOCAL, HostPath
from reconciler.domain.problems import Problems
from reconciler.domain.project import Project
from reconciler.domain.target import Target
from reconciler.domain.workload import Workload, parse_namespace, parse_workloads

DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class ClusterDraft:
    """What was asked for of a target in a cluster alone."""

    namespace: str | None
    workloads: Sequence[Mapping[str, object]]
    port: int | None
    has_path: bool  #: whether ``port`` is that of a check that was written short


def with_workloads(
    target: Target, draft: ClusterDraft, project: Project, problems: Problems
) -> Target:
    """Return ``target``, whose checks are parsed already, with what it changes in its cluster."""
    namespace, workloads = draft.namespace, draft.workloads
    parsed = problems.collect(lambda: parse_workloads(workloads)) or ()
    target = replace(
        target,
        folder=HostPath(""),
        namespace=problems.collect(lambda: parse_namespace(namespace or DEFAULT_NAMESPACE)) or "",
        workloads=parsed,
    )
    problems.found.extend(_misplaced(target, draft))
    if project.promoted_from is None:
        problems.found.extend(_not_followed(parsed, project))
    return target


def _misplaced(target: Target, draft: ClusterDraft) -> Iterator[InvalidInput]:
    if target.host == LOCAL:
        problem = "is the daemon's machine, and no cluster: name one that was declared"
        yield InvalidInput("host", target.host, problem)
    if draft.port is not None and not draft.has_path:
        problem = "does not belong in a kubernetes target without health_path; leave it out"
        yield InvalidInput("port", draft.port, problem)
    for name, check in (("health", target.health), ("ready", target.ready)):
        if check is not None:
            yield from _not_asked(name, check)


def _not_asked(name: str, check: HealthCheck) -> Iterator[InvalidInput]:
    """Name what can't be asked of pods, which are reached through the API server alone."""
    if check.kind is not ProbeKind.HTTP:
        problem = "can't be asked of pods: it is http in a kubernetes target"
        yield InvalidInput(f"{name}.kind", check.kind.value, problem)
    if check.origin is not ProbeOrigin.HOST:
        problem = "does not belong in a kubernetes target: the API server passes it on to the pods"
        yield InvalidInput(f"{name}.origin", check.origin.value, problem)


def _not_followed(workloads: Sequence[Workload], project: Project) -> Iterator[InvalidInput]:
    for at, workload in enumerate(workloads):
        for container, image in workload.containers.items():
            if image != str(project.image):
                field = f"workloads.{at}.containers.{container}"
                problem = f"is not {project.image}, the image that {project.name} follows"
                yield InvalidInput(field, image, problem)
