"""Deployments as rows and back, each with its stages."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select

from reconciler.domain.deployment import (
    Deployment,
    DeploymentId,
    Stage,
    StageRecord,
    Status,
    TargetRecord,
    TargetStatus,
)
from reconciler.domain.host import HostName
from reconciler.domain.migration import MigrationState
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Revision
from reconciler.store.codec import (
    cause_from_json,
    commit_from_text,
    digests_from_json,
    failure_from_json,
    prepared_from_json,
    revision_from_json,
)
from reconciler.store.tables import DEPLOYMENT, DEPLOYMENT_TARGET, STAGE

#: SQLite takes at least so many parameters in one statement, and PostgreSQL many more.
MOST_PARAMETERS = 500


def select_deployments(
    connection: Connection, *conditions: ColumnElement[bool], limit: int | None = None
) -> Sequence[Deployment]:
    """Return those that meet every condition, newest first, in three statements."""
    statement = select(DEPLOYMENT).where(*conditions).order_by(DEPLOYMENT.c.id.desc()).limit(limit)
    rows = connection.execute(statement).all()
    ids = [row.id for row in rows]
    stages, targets = _select_stages(connection, ids), _select_targets(connection, ids)
    return [_deployment(row, stages.get(row.id, []), targets.get(row.id, [])) for row in rows]


def find_deployment(connection: Connection, deployment: DeploymentId) -> Deployment | None:
    """Return the one with this id."""
    return next(iter(select_deployments(connection, DEPLOYMENT.c.id == deployment)), None)


def get_deployment(connection: Connection, deployment: int) -> Deployment:
    """Return the one with this id, which this transaction has locked."""
    found = find_deployment(connection, DeploymentId(deployment))
    assert found is not None  # noqa: S101  its row is locked
    return found


def _select_stages(connection: Connection, ids: Sequence[int]) -> dict[int, list[StageRecord]]:
    found: dict[int, list[StageRecord]] = defaultdict(list)
    for start in range(0, len(ids), MOST_PARAMETERS):
        some = ids[start : start + MOST_PARAMETERS]
        for row in connection.execute(
            select(STAGE).where(STAGE.c.deployment.in_(some)).order_by(STAGE.c.id)
        ):
            found[row.deployment].append(
                StageRecord(Stage(row.stage), row.started_at, row.finished_at, row.outcome)
            )
    return found


def _select_targets(connection: Connection, ids: Sequence[int]) -> dict[int, list[TargetRecord]]:
    found: dict[int, list[TargetRecord]] = defaultdict(list)
    for start in range(0, len(ids), MOST_PARAMETERS):
        some = ids[start : start + MOST_PARAMETERS]
        for row in connection.execute(
            select(DEPLOYMENT_TARGET)
            .where(DEPLOYMENT_TARGET.c.deployment.in_(some))
            .order_by(DEPLOYMENT_TARGET.c.host)
        ):
            found[row.deployment].append(
                TargetRecord(
                    HostName(row.host),
                    TargetStatus(row.status),
                    row.started_at,
                    row.changed_at,
                    failure_from_json(row.error),
                    MigrationState(row.migration) if row.migration else None,
                    row.migration_changed_at,
                    row.evidence,
                )
            )
    return found


def _deployment(
    row: Row[Any], stages: Sequence[StageRecord], targets: Sequence[TargetRecord]
) -> Deployment:
    return Deployment(
        id=DeploymentId(row.id),
        project=ProjectName(row.project),
        revision=revision_from_json(row.revision),
        causes=tuple(cause_from_json(cause) for cause in row.causes),
        status=Status(row.status),
        created_at=row.created_at,
        forced=row.forced,
        stage=Stage(row.stage),
        attempt=row.attempt,
        fence=row.fence,
        not_before=row.not_before,
        started_at=row.started_at,
        finished_at=row.finished_at,
        prepared=prepared_from_json(row.prepared),
        restores=row.restores,
        rolled_back_to=row.rolled_back_to,
        superseded_by=row.superseded_by,
        error=failure_from_json(row.error),
        withdrawal=failure_from_json(row.withdrawal),
        stages=tuple(stages),
        hosts=tuple(HostName(host) for host in row.hosts),
        before=Revision(commit_from_text(row.before_commit), digests_from_json(row.before_images)),
        targets=tuple(targets),
        correlation=row.correlation,
        promotes=row.promotes,
        override=row.override,
    )
