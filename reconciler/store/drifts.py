"""What looks at the targets found: whether what runs is what was deployed."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update

from reconciler.domain.deployment import DeploymentId, Status
from reconciler.domain.references import ProjectName
from reconciler.domain.state import Drift
from reconciler.store.codec import drift_from_json, drift_to_json
from reconciler.store.family import Family, lock_project
from reconciler.store.tables import DEPLOYMENT, PROJECT_STATE


class SqlDrifts(Family):
    """The part of ``ProjectStore`` about drift."""

    def record_drift(
        self, name: ProjectName, live: DeploymentId, differences: Sequence[str], now: datetime
    ) -> bool:
        """Keep what a look found that compared with ``live``; see ``ProjectStore``."""
        mine = PROJECT_STATE.c.project == name
        with self._database.writing() as connection:
            lock_project(connection, name)
            row = connection.execute(
                select(PROJECT_STATE.c.live_deployment_id, PROJECT_STATE.c.drift).where(mine)
            ).one()
            running = (DEPLOYMENT.c.project == name) & (DEPLOYMENT.c.status == Status.RUNNING)
            if row.live_deployment_id != live or connection.scalar(
                select(DEPLOYMENT.c.id).where(running).limit(1)
            ):
                return False
            known = drift_from_json(row.drift)
            since = known.since if known else now
            drift = Drift(since, tuple(differences)) if differences else None
            if drift == known:
                return False
            values = {"drift": drift_to_json(drift)}
            connection.execute(update(PROJECT_STATE).where(mine).values(values))
        return True
