"""How things stand when they are asked for, as gauges."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

from reconciler.ports import Own, ProjectFigures, RegistryStatus, Shared, StoreFigures


def _gauge(name: str, meaning: str, samples: Mapping[str, float], label: str) -> Metric:
    family = GaugeMetricFamily(f"reconciler_{name}", meaning, labels=[label])
    for value, number in samples.items():
        family.add_metric([value], number)
    return family


def _number(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"reconciler_{name}", meaning, value=value)


def families_of_process(own: Own, threads: int, now: datetime) -> Iterator[Metric]:
    """Yield what this process alone knows."""
    built = {"version": own.version, "commit": own.commit}
    yield InfoMetricFamily("reconciler_build", "What runs.", value=built)
    yield _number("ready", "Whether it takes work.", own.ready)
    yield _number("threads", "Threads of the process.", threads)
    stuck = {name: float(is_stuck) for name, is_stuck in own.stuck_loops.items()}
    yield _gauge("loop_stuck", "Whether a loop makes no progress.", stuck, "loop")
    yield from _registries(own.registries, now)


def _registries(registries: Iterable[RegistryStatus], now: datetime) -> Iterator[Metric]:
    every = tuple(registries)
    answers = {one.host: float(one.reachable) for one in every if one.reachable is not None}
    cooling = {one.host: _until(one.cooling_until, now) for one in every}
    limits = {one.host: float(one.limit) for one in every if one.limit is not None}
    left = {
        one.host: float(one.limit_remaining) for one in every if one.limit_remaining is not None
    }
    told = "registry"
    yield _gauge("registry_up", "Whether a registry answered last time.", answers, told)
    yield _gauge("registry_cooldown_seconds", "How long it is left alone.", cooling, told)
    yield _gauge("registry_limit", "Pulls in its window, as it said.", limits, told)
    yield _gauge("registry_limit_remaining", "Pulls that are left, as it said.", left, told)


def families_of_store(shared: Shared, now: datetime, *, per_project: bool) -> Iterator[Metric]:
    """Yield what replicas have in common."""
    yield _number("master_switch", "Whether anything may start by itself.", shared.master_switch)
    hosts = {host: _until(until, now) for host, until in shared.git_hosts.items()}
    yield _gauge("git_host_cooldown_seconds", "How long a git server is left alone.", hosts, "host")
    yield from _counted(shared.store, now)
    standings: dict[str, float] = {}
    for project in shared.projects:
        standings[project.standing] = standings.get(project.standing, 0) + 1
    yield _gauge("projects", "Projects, by where they stand.", standings, "standing")
    if per_project:
        yield from _projects(shared.projects, now)
        yield from _looks(shared.store.looked_at)


def _counted(store: StoreFigures, now: datetime) -> Iterator[Metric]:
    oldest = store.oldest_queued_at
    waits = max((now - oldest).total_seconds(), 0) if oldest else 0
    yield _number("deployments_queued", "Deployments that wait.", store.queued)
    yield _number("queue_oldest_seconds", "How long the oldest of them waits.", waits)
    yield _number("deployments_running", "Deployments under way.", store.running)
    yield _gauge(
        "outbox_waiting", "Messages that wait to be sent.", _floats(store.messages_waiting), "kind"
    )
    yield _gauge(
        "outbox_failed",
        "Messages that were given up, of the last ones.",
        _floats(store.messages_given_up),
        "kind",
    )
    yield _number("audit_entries", "Entries of the audit log.", store.audit_entries)
    yield _number("sessions", "Sessions that are not over.", store.sessions)
    yield _number("store_size_bytes", "Size of the database.", store.size_bytes)


def _projects(projects: Iterable[ProjectFigures], now: datetime) -> Iterator[Metric]:
    in_sync = GaugeMetricFamily(
        "reconciler_project_in_sync", "Whether what should run does.", labels=["project"]
    )
    standing = InfoMetricFamily(
        "reconciler_project_standing",
        "Where a project stands, and the code of what explains it.",
        labels=["project"],
    )
    out = GaugeMetricFamily(
        "reconciler_project_out_of_sync_seconds",
        "How long what explains it has been so; 0 in sync.",
        labels=["project"],
    )
    for one in projects:
        name = [str(one.name)]
        in_sync.add_metric(name, one.in_sync)
        standing.add_metric(name, {"standing": one.standing, "reason": one.reason})
        if one.in_sync or one.since is not None:
            since = now if one.in_sync or one.since is None else one.since
            out.add_metric(name, max((now - since).total_seconds(), 0))
    yield from (in_sync, standing, out)


def _looks(looked_at: Mapping[str, datetime]) -> Iterator[Metric]:
    at = {name: instant.timestamp() for name, instant in looked_at.items()}
    meaning = "Last look at its source, or at an image of it, that went well."
    yield _gauge("project_last_look_timestamp_seconds", meaning, at, "project")


def _until(until: datetime | None, now: datetime) -> float:
    return max((until - now).total_seconds(), 0) if until else 0


def _floats(counts: Mapping[str, int]) -> Mapping[str, float]:
    return {name: float(count) for name, count in counts.items()}
