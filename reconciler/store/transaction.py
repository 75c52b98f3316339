"""What ``trigger_deployment`` reads and writes, in one transaction on the project's row."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from reconciler.domain.admission import Request
from reconciler.domain.deployment import Cause, Deployment, DeploymentId, Stage, Status, Trigger
from reconciler.domain.errors import StoreError
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.project import Project
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.state import ProjectState
from reconciler.ports import Transaction, TriggerRecord
from reconciler.store.aftermath import Aftermath
from reconciler.store.audit import Ledger
from reconciler.store.codec import (
    cause_to_json,
    clean_text,
    commit_to_text,
    digests_to_json,
    reasons_to_json,
    revision_to_json,
    sameness,
)
from reconciler.store.deployment_rows import get_deployment
from reconciler.store.family import Family, lock_project
from reconciler.store.project_rows import project_from_row
from reconciler.store.second_looks import put_second_look
from reconciler.store.settings import select_switch
from reconciler.store.states import select_states
from reconciler.store.tables import DEPLOYMENT, PROJECT_STATE, TRIGGER
from reconciler.store.tracking import (
    Tracked,
    forget_passed_over,
    get_tracked,
    hand_over,
    put_tracked,
)

#: How many calls of ``trigger_deployment`` are kept of each project.
MOST_TRIGGERS = 200


class SqlTransactions(Family):
    """``DeploymentStore.transaction``."""

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a write transaction; the first ``get_project`` locks the project's row."""
        with self._database.writing() as connection:
            yield SqlTransaction(connection, self._ledger, self._aftermath)


class SqlTransaction:
    """The protocol ``Transaction`` on one open connection."""

    def __init__(self, connection: Connection, ledger: Ledger, aftermath: Aftermath) -> None:
        self._connection = connection
        self._ledger = ledger
        self._aftermath = aftermath

    def get_project(self, name: ProjectName) -> Project:
        """Return the declaration, locked. Raises ``NotFound``."""
        return project_from_row(lock_project(self._connection, name))

    def get_state(self, name: ProjectName) -> ProjectState:
        """Return the recorded facts."""
        return select_states(self._connection, name)[name]

    def get_switch(self) -> MasterSwitch:
        """Return the master switch as it is recorded."""
        return select_switch(self._connection)

    def queue(self, request: Request, replaces: Deployment | None, now: datetime) -> Deployment:
        """Insert a queued deployment; ``replaces`` becomes superseded by it."""
        if replaces:
            self._supersede(replaces.id, now)
        tracked = get_tracked(self._connection, request.project)
        columns = _queued_columns(request, tracked, now)
        new: DeploymentId = self._connection.execute(
            insert(DEPLOYMENT).values(columns).returning(DEPLOYMENT.c.id)
        ).scalar_one()
        self._connection.execute(
            update(PROJECT_STATE)
            .where(PROJECT_STATE.c.project == request.project)
            .values(latest_deployment_id=new)
        )
        if replaces:
            self._point_to(replaces.id, new)
            hand_over(self._connection, older=replaces.id, newer=new)
            replaced = get_deployment(self._connection, replaces.id)
            self._aftermath.ended(self._connection, replaced)
        made = get_deployment(self._connection, new)
        self._aftermath.queued(self._connection, made)
        return made

    def add_cause(
        self, deployment: DeploymentId, cause: Cause, override: str, now: datetime
    ) -> None:
        """Note that ``deployment`` serves this request too; saying it twice changes nothing."""
        del now  # the call itself is recorded with its time
        if override:
            self._connection.execute(
                update(DEPLOYMENT)
                .where(DEPLOYMENT.c.id == deployment, DEPLOYMENT.c.override == "")
                .values(override=override)
            )
        if not cause.trigger.automatic:
            # Somebody waits now: a further attempt is not put off any longer.
            self._connection.execute(
                update(DEPLOYMENT).where(DEPLOYMENT.c.id == deployment).values(not_before=None)
            )
        causes = self._connection.execute(
            select(DEPLOYMENT.c.causes).where(DEPLOYMENT.c.id == deployment).with_for_update()
        ).scalar_one()
        if cause_to_json(cause) not in causes:
            self._connection.execute(
                update(DEPLOYMENT)
                .where(DEPLOYMENT.c.id == deployment)
                .values(causes=[*causes, cause_to_json(cause)])
            )

    def track(self, name: ProjectName, revision: Revision) -> None:
        """Record the revision as acted on: its commit, and its images into the known map."""
        known = get_tracked(self._connection, name)
        images = {**known.images, **revision.images}
        put_tracked(self._connection, name, Tracked(revision.commit, images))
        if revision.commit != known.commit:
            forget_passed_over(self._connection, name)

    def look_again(self, name: ProjectName, at: datetime, now: datetime) -> None:
        """Have it looked at when what holds it is over."""
        put_second_look(self._connection, name, at, now)

    def record_trigger(self, record: TriggerRecord) -> None:
        """Keep ``record``, or count it up if the project's newest one says the same."""
        same = _sameness_of(record)
        newest = self._connection.execute(
            select(TRIGGER.c.id, TRIGGER.c.sameness)
            .where(TRIGGER.c.project == record.project)
            .order_by(TRIGGER.c.id.desc())
            .limit(1)
        ).one_or_none()
        if newest and newest.sameness == same:
            self._connection.execute(
                update(TRIGGER)
                .where(TRIGGER.c.id == newest.id)
                .values(calls=TRIGGER.c.calls + record.count, last_at=record.last_at or record.at)
            )
        else:
            self._connection.execute(insert(TRIGGER).values(_trigger_columns(record, same)))
            self._drop_old_triggers(record.project)
        if not record.cause.trigger.automatic:
            self._audit(record)

    def _audit(self, record: TriggerRecord) -> None:
        """Have the audit log tell what a person asked for, and what became of it."""
        asked = {
            **({"override": clean_text(record.override)} if record.override else {}),
            "for": str(record.revision),
            "words": clean_text(record.cause.detail),
            "outcome": record.outcome,
            "deployment": record.deployment,
        }
        action = f"project.{'rollback' if record.cause.trigger is Trigger.ROLLBACK else 'deploy'}"
        self._ledger.append(self._connection, action, f"project {record.project}", None, asked)

    def _supersede(self, deployment: DeploymentId, now: datetime) -> None:
        """End the waiting one. Its project is locked, so that it waits still."""
        changed = self._connection.execute(
            update(DEPLOYMENT)
            .where(DEPLOYMENT.c.id == deployment, DEPLOYMENT.c.status == Status.QUEUED)
            .values(status=Status.SUPERSEDED, finished_at=now)
        )
        if changed.rowcount != 1:
            raise StoreError(f"deployment {deployment} waits no longer: it can't be replaced")

    def _point_to(self, older: DeploymentId, newer: DeploymentId) -> None:
        self._connection.execute(
            update(DEPLOYMENT).where(DEPLOYMENT.c.id == older).values(superseded_by=newer)
        )

    def _drop_old_triggers(self, name: ProjectName) -> None:
        newest_too_old = (
            select(TRIGGER.c.id)
            .where(TRIGGER.c.project == name)
            .order_by(TRIGGER.c.id.desc())
            .offset(MOST_TRIGGERS)
            .limit(1)
            .scalar_subquery()
        )
        self._connection.execute(
            delete(TRIGGER).where(TRIGGER.c.project == name, TRIGGER.c.id <= newest_too_old)
        )


def _queued_columns(request: Request, tracked: Tracked, now: datetime) -> dict[str, Any]:
    return {
        "project": request.project,
        "revision": revision_to_json(request.revision),
        "causes": [cause_to_json(request.cause)],
        "status": Status.QUEUED,
        "created_at": now,
        "forced": request.force,
        "stage": Stage.PREPARE,
        "restores": request.restores,
        "hosts": list(request.hosts),
        "before_commit": commit_to_text(tracked.commit),
        "before_images": digests_to_json(tracked.images),
        "moved_images": digests_to_json(request.revision.images),
        "correlation": request.correlation,
        "promotes": request.promotes,
        "override": request.override,
    }


def _trigger_columns(record: TriggerRecord, same: str) -> dict[str, Any]:
    return {
        "project": record.project,
        "cause": cause_to_json(record.cause),
        "revision": revision_to_json(record.revision),
        "outcome": record.outcome,
        "reasons": reasons_to_json(record.reasons),
        "sameness": same,
        "deployment": record.deployment,
        "at": record.at,
        "calls": record.count,
        "last_at": record.last_at or record.at,
        "correlation": record.correlation,
    }


def _sameness_of(record: TriggerRecord) -> str:
    codes = [str(reason.code) for reason in record.reasons]
    return sameness(str(record.cause.trigger), record.revision.fingerprint, record.outcome, codes)
