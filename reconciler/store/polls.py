"""When external sources are due, and what looking gave."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, case, exists, func, or_, select, update

from reconciler.domain.project import ExternalSource, ProjectKind
from reconciler.domain.references import ProjectName
from reconciler.domain.wish import Wish
from reconciler.ports import PollResult, PollTask
from reconciler.store.announcements import record_moves
from reconciler.store.aside import done_aside
from reconciler.store.codec import commit_from_text, wish_from_json, wish_to_json
from reconciler.store.database import LONG_AGO
from reconciler.store.family import Family, lock_project
from reconciler.store.notices import tell_of_sources
from reconciler.store.project_rows import health_columns, health_from_row, source_from_row
from reconciler.store.tables import PROJECT, PROJECT_STATE, SECRET, SOURCE_HEALTH

#: What has a branch to follow, where it has a source at all.
_POLLED = [kind for kind in ProjectKind if kind.deployable]
_MOST_WISHED_FOR = 500
#: More than the clocks of replicas ever do.
_CLOCKS_DIFFER = timedelta(minutes=10)


class SqlPolls(Family):
    """``PollStore``."""

    def claim_due_polls(
        self, now: datetime, *, hold_for: timedelta, limit: int
    ) -> Sequence[PollTask]:
        """Return sources that are due, those wished for first; held for ``hold_for``."""
        due = _due(now)
        wished_for = (SOURCE_HEALTH.c.next_look_at == LONG_AGO, SOURCE_HEALTH.c.wish.is_not(None))
        with self._database.writing() as connection:
            rows = connection.execute(due.where(*wished_for).limit(_MOST_WISHED_FOR)).all()
            _hold(connection, rows, now + hold_for)
            others = connection.execute(due.limit(limit)).all() if limit > 0 else ()
            _hold(connection, others, now + hold_for)
        return [_task(row) for row in (*rows, *others)]

    def record_polls(self, results: Iterable[PollResult]) -> None:
        """Record what was seen, in one transaction, with the moves that a webhook should announce.

        A wish for another look that came while one was under way is kept, and a project that was
        switched off meanwhile stays off.
        """
        ordered = sorted(results, key=lambda result: result.project)
        values = [
            {
                "name": result.project,
                "next_look": result.health.next_look_at,
                **health_columns(result.health),
            }
            for result in ordered
        ]
        if not values:
            return
        held = SOURCE_HEALTH.c.held_until.is_not(None)
        wanted_again = held & (SOURCE_HEALTH.c.next_look_at == LONG_AGO)
        switched_off = SOURCE_HEALTH.c.next_look_at.is_(None)
        next_look_at = case(
            (wanted_again | switched_off, SOURCE_HEALTH.c.next_look_at),
            else_=bindparam("next_look", type_=SOURCE_HEALTH.c.next_look_at.type),
        )
        statement = (
            update(SOURCE_HEALTH)
            .where(SOURCE_HEALTH.c.project == bindparam("name"))
            .values(
                next_look_at=next_look_at,
                held_until=None,
                **{column: bindparam(column) for column in values[0] if column in SOURCE_HEALTH.c},
            )
        )
        with self._database.writing() as connection:
            record_moves(connection, ordered)
            connection.execute(statement, values)
            seen = {str(result.project): result.health for result in ordered}
            tell = partial(tell_of_sources, connection, seen, self._database.now())
            done_aside(connection, "telling others of sources", tell)

    def poll_now(self, name: ProjectName, wish: Wish | None = None) -> None:
        """Make the project's source due at once; without effect where nothing is polled."""
        values: dict[str, Any] = {"next_look_at": LONG_AGO}
        if wish is not None:
            values["wish"] = wish_to_json(wish)
        with self._database.writing() as connection:
            lock_project(connection, name)
            connection.execute(
                update(SOURCE_HEALTH)
                .where(SOURCE_HEALTH.c.project == name, SOURCE_HEALTH.c.next_look_at.is_not(None))
                .values(values)
            )

    def next_poll(self, now: datetime, projects: Collection[str] | None = None) -> datetime | None:
        """Return when a source is due next after ``now``, of some projects or of all."""
        due = SOURCE_HEALTH.c.next_look_at
        soonest = select(func.min(due, type_=due.type)).where(due > now)
        if projects is not None:
            soonest = soonest.where(SOURCE_HEALTH.c.project.in_(projects))
        with self._database.reading() as connection:
            found: datetime | None = connection.execute(soonest).scalar_one()
        return found

    def correct_polls(self, now: datetime) -> None:
        """Make due what a clock timed that has been set back since."""
        ahead = func.coalesce(SOURCE_HEALTH.c.held_until, SOURCE_HEALTH.c.looked_at)
        with self._database.writing() as connection:
            connection.execute(
                update(SOURCE_HEALTH)
                .where(SOURCE_HEALTH.c.next_look_at.is_not(None), ahead > now + _CLOCKS_DIFFER)
                .values(next_look_at=LONG_AGO, held_until=None)
            )


_HAS_CREDENTIALS = (
    exists()
    .where(SECRET.c.project == SOURCE_HEALTH.c.project, SECRET.c.name.startswith("git-"))
    .label("has_credentials")
)

_HEALTH = [column for column in SOURCE_HEALTH.c if column.name != "project"]


def _due(now: datetime) -> Select[*tuple[Any, ...]]:
    return (
        select(
            PROJECT.c.name,
            PROJECT.c.source_url,
            PROJECT.c.source_repository,
            PROJECT.c.source_branch,
            PROJECT_STATE.c.tracked_commit,
            _HAS_CREDENTIALS,
            *_HEALTH,
        )
        .select_from(SOURCE_HEALTH)
        .join(PROJECT, PROJECT.c.name == SOURCE_HEALTH.c.project)
        .join(PROJECT_STATE, PROJECT_STATE.c.project == SOURCE_HEALTH.c.project)
        .where(
            SOURCE_HEALTH.c.next_look_at <= now,
            or_(SOURCE_HEALTH.c.held_until.is_(None), SOURCE_HEALTH.c.held_until <= now),
            PROJECT.c.kind.in_(_POLLED),
            PROJECT.c.source_url.is_not(None),
            PROJECT.c.auto_deploy,
        )
        .order_by(SOURCE_HEALTH.c.next_look_at, SOURCE_HEALTH.c.project)
        .with_for_update(of=SOURCE_HEALTH, skip_locked=True)
    )


def _hold(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]], until: datetime) -> None:
    if rows:
        connection.execute(
            update(SOURCE_HEALTH)
            .where(SOURCE_HEALTH.c.project == bindparam("name"))
            .values(next_look_at=until, held_until=until, wish=None),
            [{"name": row.name} for row in rows],
        )


def _task(row: Row[*tuple[Any, ...]]) -> PollTask:
    source = source_from_row(row)
    assert isinstance(source, ExternalSource)  # noqa: S101  the query asks for its URL
    return PollTask(
        project=ProjectName(row.name),
        source=source,
        tracked=commit_from_text(row.tracked_commit),
        health=health_from_row(row),
        has_credentials=bool(row.has_credentials),
        wish=wish_from_json(row.wish),
        due_at=None if row.next_look_at == LONG_AGO else row.next_look_at,
    )
