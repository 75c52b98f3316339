"""What the store's hot paths cost, on SQLite (``synchronous=FULL``) and PostgreSQL side by side."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

import pytest

from reconciler.domain.deployment import Stage, Status
from reconciler.domain.references import ProjectName
from reconciler.domain.state import SourceHealth
from reconciler.ports import PollResult
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import (
    LEASE,
    NOW,
    Site,
    ask,
    claim,
    commit,
    postgres_template,
    prepared,
    project,
    queue,
    site,
    sqlite_template,
    store,
)

__all__ = ["postgres_template", "site", "sqlite_template", "store"]
pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

Answer = TypeVar("Answer")
PROJECTS = 10_000
BATCH = 500


class Stopwatch:
    """What calls took, by kind."""

    def __init__(self) -> None:
        self.took: dict[str, list[tuple[float, float]]] = {}

    def __call__(
        self, what: str, call: Callable[..., Answer], *args: object, **more: object
    ) -> Answer:
        start, cpu = time.perf_counter(), time.process_time()
        result = call(*args, **more)
        elapsed = time.perf_counter() - start, time.process_time() - cpu
        self.took.setdefault(what, []).append(elapsed)
        return result

    def report(self, site: Site) -> None:
        kind = "PostgreSQL" if "://" in site.location else "SQLite"
        print(f"\n{kind:24}{'n':>6}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}")
        for what, times in self.took.items():
            walls = sorted(wall * 1000 for wall, _ in times)
            p50, p99 = walls[len(walls) // 2], walls[min(len(walls) - 1, len(walls) * 99 // 100)]
            cpu = sum(cpu for _, cpu in times) / len(times) * 1000
            print(f"{what:24}{len(times):6}{p50:9.2f}{p99:9.2f}{cpu:9.2f}")


def test_cost_of_a_deployment(site: Site, store: SqlStore) -> None:
    """Trigger, claim, stages and end: 300 deployments of 300 projects."""
    names = [ProjectName(f"p{number}") for number in range(300)]
    lines = ["a line of output " * 5] * 50
    for name in names:
        store.create_project(project(name))
    watch = Stopwatch()
    for name in names:
        watch("trigger admitted", queue, store, "a", name=name)
    for name in names:
        watch("trigger coalesced", ask, store, "a", name=name)
    for _ in names:
        held = watch("claim", claim, store)
        watch("extend", store.extend, held, lease=LEASE)
        watch("begin stage", store.begin_stage, held, Stage.PREPARE, NOW)
        watch("50 lines", store.append_log, held.deployment.id, Stage.PREPARE, lines, NOW)
        store.record_prepared(held, prepared("a"))
        watch("finish", store.finish, held, Status.DEPLOYED, NOW)
    watch("claim, nothing there", store.claim_next, "w", NOW, lease=LEASE)
    for name in names:
        watch("state of one", store.get_state, name)
    for _ in range(5):
        watch("states of all 300", store.list_states)
    watch.report(site)


def test_cost_of_polls(site: Site, store: SqlStore) -> None:
    """10,000 projects, polled in batches of 500."""
    for number in range(PROJECTS):
        store.create_project(project(f"p{number}"))
    watch = Stopwatch()
    for turn in range(2):
        at = NOW + timedelta(minutes=turn)
        due = partial(store.claim_due_polls, at, hold_for=timedelta(seconds=30), limit=BATCH)
        while tasks := watch("500 due of 10,000", due):
            seen = SourceHealth(at, at + timedelta(minutes=1), commit("a"), at)
            results = [PollResult(task.project, seen) for task in tasks]
            watch("record 500 polls", store.record_polls, results)
        watch("nothing due", due)
    watch.report(site)
