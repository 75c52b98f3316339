"""The recorded facts of projects, for one or for all, in few statements."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, select, true

from reconciler.domain.deployment import Deployment, Status
from reconciler.domain.references import ProjectName
from reconciler.domain.state import ProjectState, Quarantine
from reconciler.store.codec import commit_from_text, digests_from_json, revision_from_json
from reconciler.store.deployment_rows import select_deployments
from reconciler.store.tables import DEPLOYMENT, PROJECT_STATE, QUARANTINE


def select_states(
    connection: Connection, name: ProjectName | None = None
) -> Mapping[ProjectName, ProjectState]:
    """Return the facts of one project, or of all by name."""
    rows = connection.execute(
        select(PROJECT_STATE).where(_of(PROJECT_STATE, name)).order_by(PROJECT_STATE.c.project)
    ).all()
    deployments = _current_deployments(connection, name)
    quarantines = select_quarantines(connection, name)
    return {
        row.project: _state(row, deployments.get(row.project, ()), quarantines.get(row.project, ()))
        for row in rows
    }


def select_quarantines(
    connection: Connection, name: ProjectName | None = None
) -> Mapping[ProjectName, Sequence[Quarantine]]:
    """Return the quarantines in force, oldest first."""
    found: dict[ProjectName, list[Quarantine]] = defaultdict(list)
    statement = select(QUARANTINE).where(_of(QUARANTINE, name)).order_by(QUARANTINE.c.id)
    for row in connection.execute(statement):
        found[row.project].append(
            Quarantine(revision_from_json(row.revision), row.deployment, row.since, row.reason)
        )
    return found


def _current_deployments(
    connection: Connection, name: ProjectName | None
) -> Mapping[ProjectName, Sequence[Deployment]]:
    """Return those that wait, run, are live, or are the newest."""
    of_project = _of(PROJECT_STATE, name)
    live = select(PROJECT_STATE.c.live_deployment_id).where(of_project)
    latest = select(PROJECT_STATE.c.latest_deployment_id).where(of_project)
    found: dict[ProjectName, dict[int, Deployment]] = defaultdict(dict)
    for condition in (
        # One condition a statement: databases use no index for several joined by OR.
        DEPLOYMENT.c.status.in_([Status.QUEUED, Status.RUNNING]) & _of(DEPLOYMENT, name),
        DEPLOYMENT.c.id.in_(live),
        DEPLOYMENT.c.id.in_(latest),
    ):
        for deployment in select_deployments(connection, condition):
            found[deployment.project][deployment.id] = deployment
    return {project: tuple(deployments.values()) for project, deployments in found.items()}


def _state(
    row: Row[Any], deployments: Sequence[Deployment], quarantines: Sequence[Quarantine]
) -> ProjectState:
    def first(test: Callable[[Deployment], bool]) -> Deployment | None:
        return next(filter(test, deployments), None)

    return ProjectState(
        name=ProjectName(row.project),
        tracked_commit=commit_from_text(row.tracked_commit),
        tracked_images=digests_from_json(row.tracked_images),
        images_seeded=row.images_seeded,
        queued=first(lambda one: one.status is Status.QUEUED),
        running=first(lambda one: one.status is Status.RUNNING),
        live=first(lambda one: one.id == row.live_deployment_id),
        latest=first(lambda one: one.id == row.latest_deployment_id),
        quarantined=tuple(quarantines),
    )


def _of(table: Table, name: ProjectName | None) -> ColumnElement[bool]:
    return true() if name is None else table.c.project == name
