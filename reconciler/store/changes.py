"""Whether anything changed that people look at, without reading all of it."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Integer, Select, cast, func, select

from reconciler.domain.deployment import Status
from reconciler.store.family import Family
from reconciler.store.tables import (
    DEPLOYMENT,
    DEPLOYMENT_TARGET,
    PROJECT,
    PROJECT_STATE,
    QUARANTINE,
    REGISTRY_TROUBLE,
    SETTING,
    SOURCE_HEALTH,
    STAGE,
    WATCHED_IMAGE,
)


class SqlChanges(Family):
    """``Store.change_mark``."""

    def change_mark(self) -> str:
        """Return text that is another once a summary or a deployment under way is."""
        with self._database.reading() as connection:
            return repr([connection.execute(part).all() for part in _parts()])


def _parts() -> Iterator[Select[*tuple[Any, ...]]]:
    yield select(func.count(), func.max(PROJECT.c.updated_at), func.sum(PROJECT.c.generation))
    yield select(
        func.sum(PROJECT_STATE.c.live_deployment_id),
        func.sum(PROJECT_STATE.c.latest_deployment_id),
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
