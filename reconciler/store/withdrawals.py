"""Ending deployments before they change anything, because a person asked for it."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select, update

from reconciler.domain.deployment import (
    AS_BEFORE,
    Deployment,
    DeploymentId,
    Stage,
    Status,
)
from reconciler.domain.errors import Conflict, NotFound, Withdrawn
from reconciler.domain.failure import Failure
from reconciler.store.codec import failure_from_json, failure_to_json
from reconciler.store.deployment_rows import find_deployment
from reconciler.store.family import Family, lock_project
from reconciler.store.tables import DEPLOYMENT
from reconciler.store.tracking import take_back

_STILL_HARMLESS = [stage for stage in Stage if stage.is_before_any_change]


class SqlWithdrawals(Family):
    """``withdraw_queued``, ``ask_to_withdraw`` and ``find_withdrawn``."""

    def withdraw_queued(self, deployment: DeploymentId, reason: Failure, now: datetime) -> bool:
        """End a queued one before it starts; False if it is no longer queued."""
        with self._database.writing() as connection:
            found = find_deployment(connection, deployment)
            if found is None:
                return False
            lock_project(connection, found.project)
            return self._withdraw_queued(connection, found, reason, now)

    def ask_to_withdraw(
        self, deployment: DeploymentId, reason: Failure, now: datetime
    ) -> Deployment:
        """Withdraw it if it waits, and have its worker do so if it is under way."""
        with self._database.writing() as connection:
            lock_project(connection, _get(connection, deployment).project)
            found = _get(connection, deployment)
            if found.status is Status.WITHDRAWN:
                return found
            _require_nothing_changed(found)
            if not (
                self._withdraw_queued(connection, found, reason, now)
                or _tell_worker(connection, deployment, reason)
            ):
                raise _too_late(found)
            self._ledger.append(connection, "deployment.withdraw", f"deployment {deployment}")
            return _get(connection, deployment)

    def find_withdrawn(self, among: Collection[DeploymentId]) -> Collection[DeploymentId]:
        """Return those that are under way and that a person asked to withdraw."""
        statement = select(DEPLOYMENT.c.id).where(
            DEPLOYMENT.c.id.in_(among),
            DEPLOYMENT.c.status == Status.RUNNING,
            DEPLOYMENT.c.withdrawal.is_not(None),
        )
        with self._database.reading() as connection:
            return [DeploymentId(row.id) for row in connection.execute(statement)]

    def _withdraw_queued(
        self, connection: Connection, found: Deployment, reason: Failure, now: datetime
    ) -> bool:
        changed = connection.execute(
            update(DEPLOYMENT)
            .where(DEPLOYMENT.c.id == found.id, DEPLOYMENT.c.status == Status.QUEUED)
            .values(status=Status.WITHDRAWN, finished_at=now, error=failure_to_json(reason))
        )
        if changed.rowcount == 1:
            take_back(connection, found.project, found.id)
            self._aftermath.ended(connection, _get(connection, found.id))
        return changed.rowcount == 1


def refuse_withdrawn(connection: Connection, deployment: DeploymentId) -> None:
    """Let nothing be changed that a person asked to withdraw; its row is locked.

    Raises:
        Withdrawn: somebody did.
    """
    withdrawal = connection.execute(
        select(DEPLOYMENT.c.withdrawal).where(DEPLOYMENT.c.id == deployment)
    ).scalar_one()
    if (reason := failure_from_json(withdrawal)) is not None:
        raise Withdrawn(reason.message)


def _get(connection: Connection, deployment: DeploymentId) -> Deployment:
    found = find_deployment(connection, deployment)
    if found is None:
        raise NotFound(f"there is no deployment {deployment}; `reconciler deployments` lists them")
    return found


def _tell_worker(connection: Connection, deployment: DeploymentId, reason: Failure) -> bool:
    """Note it for the worker; False if that has begun to change something meanwhile."""
    noted = connection.execute(
        update(DEPLOYMENT)
        .where(
            DEPLOYMENT.c.id == deployment,
            DEPLOYMENT.c.status == Status.RUNNING,
            DEPLOYMENT.c.stage.in_(_STILL_HARMLESS),
        )
        .values(withdrawal=failure_to_json(reason))
    )
    return noted.rowcount == 1


def _require_nothing_changed(found: Deployment) -> None:
    if found.status.final:
        raise Conflict(f"deployment {found.id} has ended already: {found.status}")
    if touched := [one.host for one in found.targets if one.status not in AS_BEFORE]:
        raise _too_late(found, f" on {', '.join(touched)}")


def _too_late(found: Deployment, where: str = "") -> Conflict:
    error = Conflict(
        f"deployment {found.id} can't be withdrawn any more: it has begun to change "
        f"what runs{where}, and goes on to its end"
    )
    error.remedy = f"`reconciler rollback {found.project}` goes back once it has ended"
    return error
