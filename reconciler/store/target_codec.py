"""Targets as JSON, and back. What we wrote ourselves is trusted on the way back."""

from datetime import timedelta
from typing import Any

from reconciler.domain.health_check import HealthCheck, ProbeKind, ProbeOrigin
from reconciler.domain.host import HostName, HostPath
from reconciler.domain.references import ProjectName, RepositoryPath
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.workload import declaration_of, parse_workloads

JsonObject = dict[str, Any]


def target_to_json(target: Target) -> JsonObject:
    """Return the target as an object; whose it is stands in its row."""
    return {
        "host": target.host,
        "strategy": str(target.strategy),
        "folder": target.folder,
        "source_folder": target.source_folder,
        "build": list(target.build),
        "binary": target.binary,
        "files": list(target.files),
        "user": target.user,
        "port": target.port,
        "environment": dict(target.environment),
        "compose_files": list(target.compose_files),
        "health": _health_to_json(target.health) if target.health else None,
        "confirm_within_seconds": _seconds(target.confirm_within),
        "ready": _health_to_json(target.ready) if target.ready else None,
        "namespace": target.namespace,
        "workloads": [declaration_of(workload) for workload in target.workloads],
        "image": target.image,
        "image_folder": target.image_folder,
        "base": target.base,
    }


def target_from_json(project: ProjectName, data: JsonObject) -> Target:
    """Return what ``target_to_json`` was given."""
    folder, binary = data["source_folder"], data["binary"]
    confirm = data["confirm_within_seconds"]
    return Target(
        project=project,
        host=HostName(data["host"]),
        strategy=TargetStrategy(data["strategy"]),
        folder=HostPath(data["folder"]),
        source_folder=RepositoryPath(folder) if folder is not None else None,
        build=tuple(data["build"]),
        binary=RepositoryPath(binary) if binary is not None else None,
        files=tuple(RepositoryPath(path) for path in data["files"]),
        user=data["user"],
        port=data["port"],
        environment=data["environment"],
        compose_files=tuple(RepositoryPath(path) for path in data["compose_files"]),
        health=_health_from_json(data["health"]) if data["health"] else None,
        confirm_within=timedelta(seconds=confirm) if confirm is not None else None,
        # Not there in what earlier versions wrote.
        ready=_health_from_json(data["ready"]) if data.get("ready") else None,
        namespace=data.get("namespace", ""),
        workloads=parse_workloads(data["workloads"]) if data.get("workloads") else (),
        image=data.get("image", ""),
        image_folder=HostPath(data.get("image_folder", "")),
        base=HostPath(data.get("base", "")),
    )


def _health_to_json(check: HealthCheck) -> JsonObject:
    return {
        "kind": str(check.kind),
        "port": check.port,
        "path": check.path,
        "status": list(check.status),
        "text": check.text,
        "command": list(check.command),
        "origin": str(check.origin),
        "start_period_seconds": _seconds(check.start_period),
        "interval_seconds": _seconds(check.interval),
        "timeout_seconds": _seconds(check.timeout),
        "retries": check.retries,
        "successes": check.successes,
    }


def _health_from_json(data: JsonObject) -> HealthCheck:
    lowest, highest = data["status"]
    return HealthCheck(
        kind=ProbeKind(data["kind"]),
        port=data["port"],
        path=data["path"],
        status=(lowest, highest),
        text=data["text"],
        command=tuple(data["command"]),
        origin=ProbeOrigin(data["origin"]),
        start_period=timedelta(seconds=data["start_period_seconds"]),
        interval=timedelta(seconds=data["interval_seconds"]),
        timeout=timedelta(seconds=data["timeout_seconds"]),
        retries=data["retries"],
        successes=data["successes"],
    )


def _seconds(duration: timedelta | None) -> float | None:
    return duration.total_seconds() if duration is not None else None
