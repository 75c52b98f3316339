"""The recorded facts of projects, for one or for all, in few statements."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, select, true

from reconciler.domain.deployment import Deployment, DeploymentId, Status
from reconciler.domain.references import ProjectName
from reconciler.domain.state import ProjectState, Quarantine
from reconciler.store.codec import (
    commit_from_text,
    digests_from_json,
    drift_from_json,
    freeze_from_json,
    passed_over_from_json,
    revision_from_json,
)
from reconciler.store.deployment_rows import MOST_PARAMETERS, select_deployments
from reconciler.store.tables import DEPLOYMENT, PROJECT_STATE, QUARANTINE


def select_states(
    connection: Connection,
    name: ProjectName | None = None,
    known: Iterable[ProjectState] = (),
) -> Mapping[ProjectName, ProjectState]:
    """Return the facts of one project, or of all by name; what is ``known`` is not read again."""
    rows = connection.execute(
        select(PROJECT_STATE).where(_of(PROJECT_STATE, name)).order_by(PROJECT_STATE.c.project)
    ).all()
    verified = {one.id: one for state in known for one in _verified(state)}
    deployments = _current_deployments(connection, name, rows, verified)
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
    connection: Connection,
    name: ProjectName | None,
    states: Sequence[Row[Any]],
    known: Mapping[DeploymentId, Deployment],
) -> Mapping[ProjectName, Sequence[Deployment]]:
    """Return those that wait, run, are live, or are the newest."""
    under_way = DEPLOYMENT.c.status.in_([Status.QUEUED, Status.RUNNING]) & _of(DEPLOYMENT, name)
    found = {one.id: one for one in select_deployments(connection, under_way)}
    pointed_at = {
        one for row in states for one in (row.live_deployment_id, row.latest_deployment_id)
    }
    found |= {number: known[number] for number in pointed_at & known.keys()}
    missing = sorted(pointed_at - found.keys() - {None})
    for start in range(0, len(missing), MOST_PARAMETERS):
        some = DEPLOYMENT.c.id.in_(missing[start : start + MOST_PARAMETERS])
        found.update((one.id, one) for one in select_deployments(connection, some))
    by_project: dict[ProjectName, list[Deployment]] = defaultdict(list)
    for deployment in found.values():
        by_project[deployment.project].append(deployment)
    return by_project


def _verified(state: ProjectState) -> Iterator[Deployment]:
    """Yield what of a state never changes any more."""
    for one in (state.live, state.latest):
        if one and one.status is Status.DEPLOYED:
            yield one


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
        passed_over=passed_over_from_json(row.passed_over),
        toggled_by=row.toggled_by or "",
        toggled_at=row.toggled_at,
        freeze=freeze_from_json(row.freeze),
        drift=drift_from_json(row.drift),
    )


def _of(table: Table, name: ProjectName | None) -> ColumnElement[bool]:
    return true() if name is None else table.c.project == name
