"""What became of deployments and of calls of ``trigger_deployment``."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    case,
    cast,
    exists,
    func,
    or_,
    select,
    union_all,
    update,
)

from reconciler.domain.deployment import UNTOUCHED, Deployment, DeploymentId, Stage, Status
from reconciler.domain.durations import UsualDurations, usual_durations
from reconciler.domain.errors import NotFound
from reconciler.domain.host import HostName
from reconciler.domain.references import ProjectName
from reconciler.ports import EVERY, DeploymentFilter, QueuePlace, TriggerRecord
from reconciler.store.codec import cause_from_json, reasons_from_json, revision_from_json
from reconciler.store.deployment_rows import find_deployment, select_deployments
from reconciler.store.family import Family, below
from reconciler.store.tables import DEPLOYMENT, DEPLOYMENT_TARGET, STAGE, TRIGGER

#: Verified deployments that say how long it usually takes.
_USUAL_OF = 5


class SqlHistory(Family):
    """The part of ``DeploymentStore`` that needs no claim."""

    def get_deployment(self, deployment: DeploymentId) -> Deployment:
        """Return it with its stages. Raises ``NotFound``."""
        with self._database.reading() as connection:
            found = find_deployment(connection, deployment)
        if found is None:
            raise NotFound(
                f"there is no deployment {deployment}; `reconciler deployments` lists them"
            )
        return found

    def list_deployments(
        self,
        project: ProjectName | None = None,
        *,
        statuses: Sequence[Status] = (),
        only: DeploymentFilter = EVERY,
        before: DeploymentId | None = None,
        limit: int = 50,
    ) -> Sequence[Deployment]:
        """Return newest first, with their stages."""
        conditions = [below(DEPLOYMENT.c.id, before), *_conditions(only)]
        if project is not None:
            conditions.append(DEPLOYMENT.c.project == project)
        if statuses:
            conditions.append(DEPLOYMENT.c.status.in_(statuses))
        with self._database.reading() as connection:
            return select_deployments(connection, *conditions, limit=limit)

    def count_deployments(self, project: ProjectName) -> int:
        """Return how many the project ever had."""
        of_it = DEPLOYMENT.c.project == project
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).where(of_it)).scalar_one()

    def queue_place(self, deployment: DeploymentId, now: datetime) -> QueuePlace:
        """Return what stands before a deployment that waits."""
        is_running = DEPLOYMENT.c.status == Status.RUNNING
        is_ahead = (
            (DEPLOYMENT.c.status == Status.QUEUED)
            & (DEPLOYMENT.c.id < deployment)
            & or_(DEPLOYMENT.c.not_before.is_(None), DEPLOYMENT.c.not_before <= now)
        )
        under_way = DEPLOYMENT.c.status.in_([Status.QUEUED, Status.RUNNING])
        with self._database.reading() as connection:
            running, ahead = connection.execute(
                select(func.count(case((is_running, 1))), func.count(case((is_ahead, 1)))).where(
                    under_way
                )
            ).one()
        return QueuePlace(running, ahead)

    def usual_durations(self, project: ProjectName) -> UsualDurations:
        """Return the median of each stage that went well, of the last few verified deployments."""
        return self.list_usual_durations([project])[project]

    def list_usual_durations(
        self, projects: Collection[ProjectName]
    ) -> Mapping[ProjectName, UsualDurations]:
        """Return the same for each of several projects, in one statement."""
        if not projects:
            return {}
        last = union_all(*map(_last_verified, projects)).subquery()
        statement = (
            select(last.c.project, STAGE.c.stage, STAGE.c.started_at, STAGE.c.finished_at)
            .join(last, last.c.id == STAGE.c.deployment)
            .where(STAGE.c.outcome == "ok", STAGE.c.finished_at.is_not(None))
        )
        took: dict[ProjectName, list[tuple[Stage, timedelta]]] = {name: [] for name in projects}
        with self._database.reading() as connection:
            for row in connection.execute(statement):
                took[row.project].append((Stage(row.stage), row.finished_at - row.started_at))
        return {name: usual_durations(some) for name, some in took.items()}

    def list_touched_hosts(self, project: ProjectName) -> frozenset[HostName]:
        """Return where any deployment of ``project`` began to change something."""
        statement = (
            select(DEPLOYMENT_TARGET.c.host)
            .join(DEPLOYMENT, DEPLOYMENT.c.id == DEPLOYMENT_TARGET.c.deployment)
            .where(
                DEPLOYMENT.c.project == project,
                DEPLOYMENT_TARGET.c.status.not_in(list(UNTOUCHED)),
            )
            .distinct()
        )
        with self._database.reading() as connection:
            return frozenset(HostName(row.host) for row in connection.execute(statement))

    def list_restorable(self, project: ProjectName) -> Sequence[Deployment]:
        """Return those that were verified and whose override is still kept, newest first."""
        with self._database.reading() as connection:
            return select_deployments(
                connection,
                DEPLOYMENT.c.project == project,
                DEPLOYMENT.c.status == Status.DEPLOYED,
                DEPLOYMENT.c.prepared_kept,
            )

    def drop_prepared(self, deployment: DeploymentId) -> None:
        """Note that its override is gone; what it was stays on record."""
        with self._database.writing() as connection:
            connection.execute(
                update(DEPLOYMENT).where(DEPLOYMENT.c.id == deployment).values(prepared_kept=False)
            )

    def list_triggers(
        self, project: ProjectName, *, before: int | None = None, limit: int = 50
    ) -> Sequence[TriggerRecord]:
        """Return newest first; those with a number below ``before``."""
        statement = (
            select(TRIGGER)
            .where(TRIGGER.c.project == project, below(TRIGGER.c.id, before))
            .order_by(TRIGGER.c.id.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [
            TriggerRecord(
                project=ProjectName(row.project),
                cause=cause_from_json(row.cause),
                revision=revision_from_json(row.revision),
                outcome=row.outcome,
                reasons=reasons_from_json(row.reasons),
                deployment=DeploymentId(row.deployment) if row.deployment else None,
                at=row.at,
                count=row.calls,
                last_at=row.last_at,
                number=row.id,
                correlation=row.correlation,
            )
            for row in rows
        ]


def _last_verified(project: ProjectName) -> Select[*tuple[Any, ...]]:
    last = (
        select(DEPLOYMENT.c.id, DEPLOYMENT.c.project)
        .where(DEPLOYMENT.c.project == project, DEPLOYMENT.c.status == Status.DEPLOYED)
        .order_by(DEPLOYMENT.c.id.desc())
        .limit(_USUAL_OF)
        .subquery()  # only so may each of a union have a limit
    )
    return select(last.c.id, last.c.project)


def _conditions(only: DeploymentFilter) -> Iterator[ColumnElement[bool]]:
    if only.trigger is not None:
        # As both databases keep it; within a text of it every quote has a backslash before it.
        kept = f'"trigger": "{only.trigger}"'
        yield cast(DEPLOYMENT.c.causes, String).contains(kept, autoescape=True)
    if only.actor:
        kept = f'"actor": {json.dumps(only.actor)}'
        yield cast(DEPLOYMENT.c.causes, String).contains(kept, autoescape=True)
    if only.host is not None:
        yield exists().where(
            DEPLOYMENT_TARGET.c.deployment == DEPLOYMENT.c.id,
            DEPLOYMENT_TARGET.c.host == only.host,
        )
    if only.since is not None:
        yield DEPLOYMENT.c.created_at >= only.since
    if only.until is not None:
        yield DEPLOYMENT.c.created_at < only.until
    if only.projects is not None:
        yield DEPLOYMENT.c.project.in_(only.projects)
