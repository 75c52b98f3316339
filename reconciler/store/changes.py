"""Whether anything changed that people look at, without reading all of it."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Integer, Select, case, cast, func, select

from reconciler.domain.deployment import Status
from reconciler.domain.promotion import PromotionStatus
from reconciler.store.family import Family
from reconciler.store.tables import (
    DEPLOYMENT,
    DEPLOYMENT_TARGET,
    PROJECT,
    PROJECT_STATE,
    PROMOTION,
    QUARANTINE,
    REGISTRY_TROUBLE,
    SETTING,
    SOURCE_HEALTH,
    STAGE,
    VOTE,
    WATCHED_IMAGE,
)


class SqlChanges(Family):
    """``Store.change_mark``."""

    def change_mark(self) -> str:
        """Return text that is another once a summary or a deployment under way is."""
        with self._database.reading() as connection:
            return repr([connection.execute(part).all() for part in _parts()])


def _parts() -> Iterator[Select[*tuple[Any, ...]]]:
    yield select(
        func.count(),
        func.max(PROJECT.c.updated_at),
        func.sum(PROJECT.c.generation),
        func.sum(cast(PROJECT.c.auto_deploy, Integer)),
    )
    yield select(
        func.sum(PROJECT_STATE.c.live_deployment_id),
        func.sum(PROJECT_STATE.c.latest_deployment_id),
    )
    frozen = PROJECT_STATE.c.freeze.is_not(None)
    yield select(PROJECT_STATE.c.project, PROJECT_STATE.c.freeze).where(frozen)
    # What its branch has may be seen some time before it is acted on, or passed over.
    yield select(
        PROJECT_STATE.c.project, PROJECT_STATE.c.tracked_commit, PROJECT_STATE.c.passed_over
    ).order_by(PROJECT_STATE.c.project)
    drifted = PROJECT_STATE.c.drift.is_not(None)
    yield select(PROJECT_STATE.c.project, PROJECT_STATE.c.drift).where(drifted)
    waits = PROMOTION.c.status == PromotionStatus.WAITING
    yield select(func.max(PROMOTION.c.id), func.count(case((waits, 1))))
    yield (
        select(VOTE.c.promotion, VOTE.c.person, VOTE.c.approves)
        .join(PROMOTION, PROMOTION.c.id == VOTE.c.promotion)
        .where(waits)
    )
    # Not when it was looked at: a look that found nothing new leaves all of these as they are.
    yield select(SOURCE_HEALTH.c.project, SOURCE_HEALTH.c.observed).order_by(
        SOURCE_HEALTH.c.project
    )
    yield select(
        func.sum(cast(SOURCE_HEALTH.c.branch_gone, Integer)), func.sum(SOURCE_HEALTH.c.failures)
    )
    yield select(func.count(), func.max(QUARANTINE.c.id))
    yield select(func.count(), func.max(WATCHED_IMAGE.c.first_seen_at))
    yield select(REGISTRY_TROUBLE.c.host, REGISTRY_TROUBLE.c.since)
    yield select(func.count(), func.max(SETTING.c.changed_at))
    yield select(func.max(DEPLOYMENT.c.id))
    under_way = DEPLOYMENT.c.status.in_([Status.QUEUED, Status.RUNNING])
    yield select(
        DEPLOYMENT.c.id, DEPLOYMENT.c.status, DEPLOYMENT.c.stage, DEPLOYMENT.c.attempt
    ).where(under_way)
    yield (
        select(STAGE.c.id, STAGE.c.outcome)
        .join(DEPLOYMENT, DEPLOYMENT.c.id == STAGE.c.deployment)
        .where(under_way)
    )
    yield (
        select(
            DEPLOYMENT_TARGET.c.deployment, DEPLOYMENT_TARGET.c.host, DEPLOYMENT_TARGET.c.changed_at
        )
        .join(DEPLOYMENT, DEPLOYMENT.c.id == DEPLOYMENT_TARGET.c.deployment)
        .where(under_way)
    )
