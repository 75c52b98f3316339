"""An app of two environments in a store, and what goes from one to the other."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from reconciler.domain.deployment import DeploymentId, Stage, Status
from reconciler.domain.project import Project
from reconciler.domain.promotion import (
    Environment,
    EnvironmentName,
    Promotion,
    PromotionId,
    Vote,
    handed_on,
)
from reconciler.domain.references import ProjectName
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, claim, prepared, project, queue

T = TypeVar("T")
SHOP, LIVE = ProjectName("shop"), ProjectName("shop-production")
#: After every instant that a test runs in.
FAR = NOW + timedelta(days=10_000)


def production(name: ProjectName = LIVE, origin: ProjectName = SHOP, **changes: object) -> Project:
    """Return a project that is promoted from another."""
    environment = Environment(EnvironmentName(name.rpartition("-")[2]), origin)
    return replace(project(name), environment=environment, **changes)  # type: ignore[arg-type]


def verify(
    store: SqlStore,
    letter: str = "a",
    *,
    name: ProjectName = SHOP,
    status: Status = Status.DEPLOYED,
    rolled_back_to: DeploymentId | None = None,
    now: datetime = NOW,
) -> DeploymentId:
    """Have commit ``letter`` deployed, or fail; nothing else may wait."""
    # What another environment gets is a promotion of something, whatever that is.
    promotes = DeploymentId(1) if store.get_project(name).promoted_from else None
    queue(store, letter, name=name, force=True, promotes=promotes)
    held = claim(store, now=now)
    store.record_prepared(held, prepared(letter))
    for stage in (Stage.PREPARE, Stage.APPLY):
        store.begin_stage(held, stage, now)
    store.finish(held, status, now, rolled_back_to=rolled_back_to)
    return held.deployment.id


def proposal(
    deployment: DeploymentId,
    letter: str = "a",
    *,
    name: ProjectName = LIVE,
    origin: ProjectName = SHOP,
    **changes: object,
) -> Promotion:
    """Return a promotion of what ``deployment`` verified, to be proposed."""
    revision = handed_on(prepared(letter))
    promotion = Promotion(PromotionId(0), name, origin, deployment, revision, NOW, FAR)
    return replace(promotion, **changes)  # type: ignore[arg-type]


def at_once(works: Sequence[Callable[[], T]]) -> list[T]:
    """Do them side by side, begun at one moment; return what each gave."""
    start = threading.Barrier(len(works))

    def begin(work: Callable[[], T]) -> T:
        start.wait(10)
        return work()

    with ThreadPoolExecutor(max_workers=len(works)) as pool:
        return list(pool.map(begin, works))


def vote(person: str, *, approves: bool = True, after: int = 0, reason: str = "") -> Vote:
    """Return what ``person`` says."""
    return Vote(person, approves, NOW + timedelta(seconds=after), reason)
