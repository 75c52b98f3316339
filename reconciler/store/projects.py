"""Projects and what is known of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, select, update

from reconciler.domain.commit_status import forge_origin
from reconciler.domain.deployment import Status
from reconciler.domain.errors import AlreadyExists, Conflict
from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.state import PassedOver, ProjectState, SourceHealth
from reconciler.ports import who_acts
from reconciler.store.audit import Ledger
from reconciler.store.bindings import Told, unbind_project
from reconciler.store.codec import clean_text, passed_over_to_json
from reconciler.store.database import LONG_AGO
from reconciler.store.deployment_rows import MOST_PARAMETERS
from reconciler.store.environments import refuse_removal, require_place
from reconciler.store.family import Family, lock_project, no_such_project, require_same
from reconciler.store.project_rows import (
    declared_columns,
    health_columns,
    health_from_row,
    is_polled,
    project_columns,
    project_from_row,
)
from reconciler.store.promotions import end_waiting
from reconciler.store.secrets import FORGE_TOKEN
from reconciler.store.states import select_states
from reconciler.store.tables import (
    DEPLOYMENT,
    PROJECT,
    PROJECT_STATE,
    QUARANTINE,
    SECRET,
    SOURCE_HEALTH,
)
from reconciler.store.told import forget_subject, forget_told
from reconciler.store.tracking import Tracked, forget_passed_over, get_tracked, put_tracked
from reconciler.store.upsert import insert_if_absent


class SqlProjects(Family):
    """``ProjectStore``."""

    def create_project(self, project: Project) -> None:
        """Add it; an external source that deploys by itself is due at once."""
        with self._database.writing() as connection:
            columns = project_columns(project)
            if not insert_if_absent(connection, PROJECT, {"name": columns.pop("name")}, columns):
                raise AlreadyExists(f"there is a project {project.name!r} already")
            require_place(connection, project, None)
            connection.execute(
                insert(PROJECT_STATE).values(
                    project=project.name, tracked_images={}, **_toggled(project)
                )
            )
            connection.execute(
                insert(SOURCE_HEALTH).values(
                    project=project.name,
                    next_look_at=LONG_AGO if is_polled(project) else None,
                    **health_columns(SourceHealth()),
                )
            )
            _tell(self._ledger, connection, "project.create", None, project)

    def update_project(self, project: Project, seen: Project | None = None) -> None:
        """Replace the declaration, the one that was ``seen``.

        A source that was edited is due at once; credentials that were bound to the origin it had
        before are deleted, for they must not reach another host.
        """
        with self._database.writing() as connection:
            before = project_from_row(lock_project(connection, project.name))
            require_same(before, seen)
            require_place(connection, project, before)
            connection.execute(
                update(PROJECT)
                .where(PROJECT.c.name == project.name)
                .values(project_columns(project))
            )
            if before.auto_deploy != project.auto_deploy:
                connection.execute(
                    update(PROJECT_STATE)
                    .where(PROJECT_STATE.c.project == project.name)
                    .values(_toggled(project))
                )
            if _choice_of(before) != _choice_of(project):
                forget_passed_over(connection, project.name)
            _reschedule(connection, before, project)
            _drop_foreign_credentials(connection, before, project)
            ended = _end_promotions(connection, before, project, self._database.now())
            if _is_followed(before) and not _is_followed(project):
                for subject in ("source", "images"):  # which nobody looks at from now on
                    forget_subject(connection, project.name, subject, self._database.now())
            _tell(self._ledger, connection, "project.change", before, project)
            for told in ended:
                self._ledger.append(connection, *told)

    def remove_project(self, name: ProjectName, seen: Project | None = None) -> None:
        """Delete it with its state, secrets and history, and with what anybody may do on it."""
        with self._database.writing() as connection:
            before = project_from_row(lock_project(connection, name))
            require_same(before, seen)
            running = select(
                exists().where(DEPLOYMENT.c.project == name, DEPLOYMENT.c.status == Status.RUNNING)
            )
            if connection.execute(running).scalar_one():
                raise Conflict(f"project {name!r} is being deployed; remove it once that has ended")
            refuse_removal(connection, name)
            connection.execute(delete(PROJECT).where(PROJECT.c.name == name))
            unbound = unbind_project(connection, name)
            forget_told(connection, project=name)
            _tell(self._ledger, connection, "project.remove", before, None)
            for told in unbound:
                self._ledger.append(connection, *told)

    def get_project(self, name: ProjectName) -> Project:
        """Return it. Raises ``NotFound``."""
        with self._database.reading() as connection:
            row = connection.execute(select(PROJECT).where(PROJECT.c.name == name)).one_or_none()
        if row is None:
            raise no_such_project(name)
        return project_from_row(row)

    def list_projects(self, known: Iterable[Project] = ()) -> Sequence[Project]:
        """Return all, by name; those of ``known`` that nobody edited since are the same objects."""
        before = {_edition(one): one for one in known}
        with self._database.reading() as connection:
            there = connection.execute(select(*_EDITION)).all() if before else ()
            same = [before[found] for found in map(tuple, there) if found in before]
            edited = [row.name for row in there if tuple(row) not in before]
            rows = list(_select_projects(connection, edited if before else None))
        found = [*same, *map(project_from_row, rows)]
        # Sorted here: databases disagree on the order of '-' and letters.
        return sorted(found, key=lambda project: project.name)

    def list_followers(self, repository: ProjectName) -> Sequence[Project]:
        """Return the projects that follow ``repository``, by name; see ``Project.follows``."""
        url = PROJECT.c.source_url
        with self._database.reading() as connection:
            rows = connection.execute(
                select(PROJECT).where(
                    (PROJECT.c.source_repository == repository)
                    | url.endswith(f"/{repository}", autoescape=True)
                    | url.endswith(f"/{repository}.git", autoescape=True)
                )
            ).all()
        # Asked again here: SQLite's LIKE takes no notice of case.
        followers = [one for one in map(project_from_row, rows) if one.follows(repository)]
        return sorted(followers, key=lambda project: project.name)

    def get_state(self, name: ProjectName) -> ProjectState:
        """Return the recorded facts. Raises ``NotFound``."""
        with self._database.reading() as connection:
            states = select_states(connection, name)
        if name not in states:
            raise no_such_project(name)
        return states[name]

    def list_states(self, known: Iterable[ProjectState] = ()) -> Mapping[ProjectName, ProjectState]:
        """Return the recorded facts of all projects, in few statements."""
        with self._database.reading() as connection:
            return select_states(connection, known=known)

    def get_health(self, name: ProjectName) -> SourceHealth:
        """Return how looking at its source has gone. Raises ``NotFound``."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(SOURCE_HEALTH).where(SOURCE_HEALTH.c.project == name)
            ).one_or_none()
        if row is None:
            raise no_such_project(name)
        return health_from_row(row)

    def list_health(self) -> Mapping[ProjectName, SourceHealth]:
        """Return the same for all projects."""
        with self._database.reading() as connection:
            rows = connection.execute(select(SOURCE_HEALTH)).all()
        return {ProjectName(row.project): health_from_row(row) for row in rows}

    def pass_over(self, project: Project, tracked: CommitSha, passed: PassedOver) -> bool:
        """Record that a tip is not to be deployed, if it was decided of what is there now."""
        with self._database.writing() as connection:
            now = project_from_row(lock_project(connection, project.name))
            if _choice_of(now) != _choice_of(project):
                return False
            recorded = connection.execute(
                update(PROJECT_STATE)
                .where(
                    PROJECT_STATE.c.project == project.name,
                    PROJECT_STATE.c.tracked_commit == tracked.text,
                )
                .values(passed_over=passed_over_to_json(passed))
            )
            return recorded.rowcount == 1

    def lift_quarantine(self, name: ProjectName) -> int:
        """Let the project's quarantined revisions deploy again; return how many there were.

        What is tracked goes back to what is live, so that the next look finds the difference.
        """
        with self._database.writing() as connection:
            lock_project(connection, name)
            lifted = connection.execute(delete(QUARANTINE).where(QUARANTINE.c.project == name))
            if lifted.rowcount:
                _track_live(connection, name)
                forget_passed_over(connection, name)
                self._ledger.append(connection, "quarantine.lift", f"project {name}")
            return lifted.rowcount


#: Columns that are others once a declaration was edited.
_EDITION = (PROJECT.c.name, PROJECT.c.updated_at, PROJECT.c.generation, PROJECT.c.auto_deploy)


def _edition(project: Project) -> tuple[object, ...]:
    return project.name, project.updated_at, project.generation, project.auto_deploy


def _select_projects(
    connection: Connection, names: Sequence[str] | None
) -> Iterator[Row[*tuple[Any, ...]]]:
    """Yield the rows of some projects, or of all."""
    if names is None:
        yield from connection.execute(select(PROJECT))
        return
    for start in range(0, len(names), MOST_PARAMETERS):
        some = PROJECT.c.name.in_(names[start : start + MOST_PARAMETERS])
        yield from connection.execute(select(PROJECT).where(some))


def _toggled(project: Project) -> dict[str, object]:
    return {"toggled_by": clean_text(who_acts().actor), "toggled_at": project.updated_at}


def _is_followed(project: Project) -> bool:
    return project.auto_deploy and project.follows_its_source


def _end_promotions(
    connection: Connection, before: Project, after: Project, now: datetime
) -> list[Told]:
    """End what waits to go to a project that gets its revisions elsewhere from now on."""
    if before.promoted_from == after.promoted_from:
        return []
    return end_waiting(connection, after.name, now)


def _choice_of(project: Project) -> object:
    """Return what it depends on whether a tip is passed over."""
    return project.source, project.watch_paths, project.skip_markers


def _track_live(connection: Connection, name: ProjectName) -> None:
    live = select_states(connection, name)[name].live
    commit = live.target_revision.commit if live else None
    images = live.target_revision.images if live else {}
    tracked = get_tracked(connection, name)
    put_tracked(connection, name, Tracked(commit, {**tracked.images, **images}))


def _reschedule(connection: Connection, before: Project, after: Project) -> None:
    health = update(SOURCE_HEALTH).where(SOURCE_HEALTH.c.project == after.name)
    if before.source != after.source:
        # What was seen elsewhere says nothing about the new source.
        connection.execute(health.values(**health_columns(SourceHealth())))
    if not is_polled(after):
        connection.execute(health.values(next_look_at=None))
    elif before.source != after.source or not is_polled(before):
        connection.execute(health.values(next_look_at=LONG_AGO))


def _drop_foreign_credentials(connection: Connection, before: Project, after: Project) -> None:
    for prefix, origin_of in (("git-", _origin), (FORGE_TOKEN, forge_origin)):
        if origin_of(before) != origin_of(after):
            connection.execute(
                delete(SECRET).where(
                    SECRET.c.project == after.name,
                    SECRET.c.name.startswith(prefix, autoescape=True),
                    SECRET.c.bound_to != origin_of(after),
                )
            )


def _origin(project: Project) -> str:
    return project.source.url.origin if isinstance(project.source, ExternalSource) else ""


def _tell(
    ledger: Ledger,
    connection: Connection,
    action: str,
    before: Project | None,
    after: Project | None,
) -> None:
    """Have the audit log tell what was declared otherwise."""
    (name,) = {one.name for one in (before, after) if one}
    ledger.append(
        connection,
        action,
        f"project {name}",
        declared_columns(before) if before else None,
        declared_columns(after) if after else None,
    )
