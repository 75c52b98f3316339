"""How long what was verified has stood: a stretch is open while it is what runs, and well."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, select, update

from reconciler.domain.deployment import Deployment, DeploymentId, Stage, Status
from reconciler.domain.promotion import Standing
from reconciler.domain.references import ProjectName
from reconciler.store.codec import clean_text
from reconciler.store.environments import select_origins
from reconciler.store.family import Family, lock_project
from reconciler.store.tables import DEPLOYMENT, PROJECT_STATE, STANDING

#: How many stretches are kept of each project: what is well now and then makes many.
MOST_STANDINGS = 200

_STANDS = STANDING.c.until.is_(None)
_MAY_CHANGE = [stage for stage in Stage if not stage.is_before_any_change]


class SqlStandings(Family):
    """The part of ``PromotionStore`` about the environments, and what stands in them."""

    def list_standings(
        self, project: ProjectName, *, of: Collection[DeploymentId] = (), limit: int = 50
    ) -> Sequence[Standing]:
        """Return newest first, those of some deployments or of all."""
        among = [STANDING.c.deployment.in_(of)] if of else []
        statement = select(STANDING).where(STANDING.c.project == project, *among)
        newest = statement.order_by(STANDING.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_standing(row) for row in connection.execute(newest)]

    def list_origins(self) -> Mapping[ProjectName, ProjectName | None]:
        """Return which project each is promoted from; None: from none."""
        with self._database.reading() as connection:
            return select_origins(connection)

    def current_standings(self) -> Mapping[ProjectName, Standing]:
        """Return what stands now, of each project where something does."""
        with self._database.reading() as connection:
            rows = connection.execute(select(STANDING).where(_STANDS)).all()
        return {ProjectName(row.project): _standing(row) for row in rows}

    def break_standing(self, standing: Standing, because: str, now: datetime) -> bool:
        """End a stretch because what runs is not well; False if it ended already."""
        this = STANDING.c.deployment == standing.deployment, STANDING.c.since == standing.since
        with self._database.writing() as connection:
            lock_project(connection, standing.project)
            return _end(connection, standing.project, now, because, *this)

    def resume_standing(self, project: ProjectName, live: DeploymentId, now: datetime) -> bool:
        """Begin another stretch of what is live still, and well again; False if one stands."""
        with self._database.writing() as connection:
            lock_project(connection, project)
            if not _is_live(connection, project, live) or _is_changing(connection, project):
                return False
            if connection.execute(select(_stands(project))).scalar_one():
                return False
            _begin(connection, project, live, now)
        return True


def stand(connection: Connection, deployment: Deployment, now: datetime) -> None:
    """Have what runs verified after a deployment's end stand from now on; its project is locked."""
    standing = {
        Status.DEPLOYED: deployment.id,
        Status.ROLLED_BACK: deployment.rolled_back_to,
    }.get(deployment.status)
    if standing is not None:
        since = deployment.finished_at or now
        _end(connection, deployment.project, since, f"deployment {deployment.id}")
        _begin(connection, deployment.project, standing, since)


def end_standing(
    connection: Connection, project: ProjectName, deployment: DeploymentId, now: datetime
) -> None:
    """End what stands, for ``deployment`` begins to change it; the project is locked."""
    _end(connection, project, now, f"deployment {deployment}")


def _begin(
    connection: Connection, project: ProjectName, deployment: DeploymentId, now: datetime
) -> None:
    values = {"project": project, "deployment": deployment, "since": now, "ended_because": ""}
    connection.execute(insert(STANDING).values(values))
    its = STANDING.c.project == project
    newest = select(STANDING.c.id).where(its).order_by(STANDING.c.id.desc())
    too_old = newest.offset(MOST_STANDINGS).limit(1).scalar_subquery()
    connection.execute(delete(STANDING).where(its, STANDING.c.id <= too_old))


def _end(
    connection: Connection, project: ProjectName, now: datetime, because: str, *this: Any
) -> bool:
    ended = connection.execute(
        update(STANDING)
        .where(STANDING.c.project == project, _STANDS, *this)
        .values(until=now, ended_because=clean_text(because))
    )
    return ended.rowcount == 1


def _stands(project: ProjectName) -> Any:
    return exists().where(STANDING.c.project == project, _STANDS)


def _is_live(connection: Connection, project: ProjectName, live: DeploymentId) -> bool:
    mine = PROJECT_STATE.c.project == project
    statement = select(PROJECT_STATE.c.live_deployment_id).where(mine)
    return bool(connection.execute(statement).scalar_one() == live)


def _is_changing(connection: Connection, project: ProjectName) -> bool:
    """Tell whether a deployment of the project may be changing what runs."""
    statement = exists().where(
        DEPLOYMENT.c.project == project,
        DEPLOYMENT.c.status == Status.RUNNING,
        DEPLOYMENT.c.stage.in_(_MAY_CHANGE),
    )
    return bool(connection.execute(select(statement)).scalar_one())


def _standing(row: Row[Any]) -> Standing:
    return Standing(
        ProjectName(row.project),
        DeploymentId(row.deployment),
        row.since,
        row.until,
        row.ended_because,
    )
