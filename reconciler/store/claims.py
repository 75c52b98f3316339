"""Claims: which worker holds which deployment, and the refusal of everyone else's writes."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select, update

from reconciler.domain.deployment import DeploymentId, Stage, Status
from reconciler.domain.errors import ClaimLost
from reconciler.domain.references import ProjectName
from reconciler.ports import Claim
from reconciler.store.database import LONG_AGO
from reconciler.store.deployment_rows import get_deployment
from reconciler.store.family import Family
from reconciler.store.tables import DEPLOYMENT, PROJECT, STAGE


class SqlClaims(Family):
    """``claim_next``, ``extend`` and ``release_all``.

    A lease is measured by the database's clock on PostgreSQL, whose replicas may disagree about
    the time; on SQLite by the daemon's own, for a daemon owns its database alone.
    """

    def claim_next(
        self,
        owner: str,
        now: datetime,
        *,
        lease: timedelta,
        held: Collection[DeploymentId] = (),
    ) -> Claim | None:
        """Claim what a worker left behind, else the oldest queued whose time has come."""
        with self._database.writing() as connection:
            abandoned = self._find_abandoned(connection, now, held)
            found = abandoned or self._find_ready(connection, now)
            if found is None:
                return None
            if abandoned:
                close_open_stages(connection, found, now)
            connection.execute(
                update(DEPLOYMENT)
                .where(DEPLOYMENT.c.id == found)
                .values(
                    status=Status.RUNNING,
                    owner=owner,
                    fence=DEPLOYMENT.c.fence + 1,
                    lease_until=self._database.lease_end(lease),
                    not_before=None,
                    started_at=_first(now),
                    # An attempt is not taken for the one before, whenever its worker dies.
                    stage=DEPLOYMENT.c.stage if abandoned else Stage.PREPARE,
                )
            )
            deployment = get_deployment(connection, found)
            self._aftermath.begun(connection, deployment)
        return Claim(deployment, owner, deployment.fence, resumed=abandoned is not None)

    def extend(self, claim: Claim, *, lease: timedelta) -> None:
        """Keep the claim. Raises ``ClaimLost``."""
        with self._database.writing() as connection:
            write_claimed(connection, claim, lease_until=self._database.lease_end(lease))

    def release_all(self, owner_prefix: str) -> int:
        """Let go of every claim of owners that begin so; their late writes are refused at once."""
        with self._database.writing() as connection:
            released = connection.execute(
                update(DEPLOYMENT)
                .where(
                    DEPLOYMENT.c.status == Status.RUNNING,
                    DEPLOYMENT.c.owner.startswith(owner_prefix, autoescape=True),
                )
                .values(owner="", lease_until=LONG_AGO)
            )
            return released.rowcount

    def _find_abandoned(
        self, connection: Connection, now: datetime, held: Collection[DeploymentId]
    ) -> DeploymentId | None:
        return _find_first(
            connection,
            DEPLOYMENT.c.status == Status.RUNNING,
            DEPLOYMENT.c.id.not_in(held),
            DEPLOYMENT.c.lease_until <= self._database.lease_clock(now),
        )

    def _find_ready(self, connection: Connection, now: datetime) -> DeploymentId | None:
        other = DEPLOYMENT.alias()
        return _find_first(
            connection,
            DEPLOYMENT.c.status == Status.QUEUED,
            or_(DEPLOYMENT.c.not_before.is_(None), DEPLOYMENT.c.not_before <= now),
            ~exists().where(
                other.c.project == DEPLOYMENT.c.project, other.c.status == Status.RUNNING
            ),
        )


def _find_first(connection: Connection, *conditions: ColumnElement[bool]) -> DeploymentId | None:
    """Return the oldest that meets the conditions, locked together with its project.

    One that somebody is changing at this moment is skipped rather than waited for.
    """
    return connection.execute(
        select(DEPLOYMENT.c.id)
        .join(PROJECT, PROJECT.c.name == DEPLOYMENT.c.project)
        .where(*conditions)
        .order_by(DEPLOYMENT.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True)
    ).scalar_one_or_none()


def write_claimed(connection: Connection, claim: Claim, **values: object) -> None:
    """Change the claimed deployment, if the claim still holds. Raises ``ClaimLost``."""
    changed = connection.execute(
        update(DEPLOYMENT)
        .where(
            DEPLOYMENT.c.id == claim.deployment.id,
            DEPLOYMENT.c.status == Status.RUNNING,
            DEPLOYMENT.c.fence == claim.fence,
            DEPLOYMENT.c.owner == claim.owner,
        )
        .values(**values)
    )
    if changed.rowcount != 1:
        raise ClaimLost(
            f"deployment {claim.deployment.id} is no longer held by {claim.owner!r}",
            fence=str(claim.fence),
        )


def close_open_stages(connection: Connection, deployment: DeploymentId, now: datetime) -> None:
    """Record stages that nobody ended as interrupted."""
    connection.execute(
        update(STAGE)
        .where(STAGE.c.deployment == deployment, STAGE.c.finished_at.is_(None))
        .values(finished_at=now, outcome="interrupted")
    )


def find_waiting(connection: Connection, name: ProjectName) -> DeploymentId | None:
    """Return the project's queued deployment."""
    return connection.execute(
        select(DEPLOYMENT.c.id).where(
            DEPLOYMENT.c.project == name, DEPLOYMENT.c.status == Status.QUEUED
        )
    ).scalar_one_or_none()


def _first(now: datetime) -> ColumnElement[Any]:
    """Return when the first attempt began."""
    return func.coalesce(DEPLOYMENT.c.started_at, now)
