"""Environments among projects: which is promoted from which, without a ring, each by its name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter

from sqlalchemy import Connection, select

from reconciler.domain.errors import Conflict, InvalidInput
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.promotion import Environment, parse_environment
from reconciler.domain.references import ProjectName
from reconciler.store.tables import FACT, PROJECT
from reconciler.store.upsert import upsert

_FROM, _NAME = "environment.promoted_from", "environment.name"


@dataclass(frozen=True, slots=True)
class _Declared:
    kind: ProjectKind
    environment: Environment | None

    @property
    def before(self) -> ProjectName | None:
        return self.environment.promoted_from if self.environment else None


_Everything = Mapping[ProjectName, _Declared]


def require_place(connection: Connection, project: Project, before: Project | None) -> None:
    """See that ``project`` fits among the environments there are, until this transaction ends.

    Raises:
        InvalidInput: what it is promoted from is not there, has nothing to deploy, or gets its
            revisions from here; or another environment beside it has its name.
    """
    if project.environment == (before.environment if before else None):
        return
    _hold(connection)
    every = {**_select(connection), project.name: _Declared(project.kind, project.environment)}
    if project.promoted_from is not None:
        _require_origin(every, project.name, project.promoted_from)
    _require_own_name(every, project.name)


def refuse_removal(connection: Connection, name: ProjectName) -> None:
    """See that nothing is promoted from ``name``. Raises ``Conflict``."""
    _hold(connection)
    if followers := sorted(one for one, its in _select(connection).items() if its.before == name):
        named = ", ".join(followers)
        error = Conflict(f"{named} {'is' if len(followers) == 1 else 'are'} promoted from {name!r}")
        error.remedy = f"have {named} promoted from another project, or remove it first"
        raise error


def select_origins(connection: Connection) -> Mapping[ProjectName, ProjectName | None]:
    """Return which project each is promoted from; None: from none."""
    return {name: its.before for name, its in _select(connection).items()}


def _hold(connection: Connection) -> None:
    """Have nobody else declare an environment, or remove a project, before this ends."""
    upsert(connection, FACT, {"key": "environments"}, {"value": ""})


def _select(connection: Connection) -> dict[ProjectName, _Declared]:
    rows = connection.execute(select(PROJECT.c.name, PROJECT.c.kind, PROJECT.c.environment))
    return {
        ProjectName(row.name): _Declared(
            ProjectKind(row.kind), parse_environment(row.environment) if row.environment else None
        )
        for row in rows
    }


def _require_origin(every: _Everything, name: ProjectName, origin: ProjectName) -> None:
    if origin not in every:
        raise InvalidInput(_FROM, origin, "is no project that was declared; declare it first")
    if not every[origin].kind.deployable:
        problem = f"is of kind {every[origin].kind}, which has nothing to deploy; name another"
        raise InvalidInput(_FROM, origin, problem)
    way: list[ProjectName] = []
    for one in _way_up(every, origin):
        way.append(one)
        if one == name:
            ring = " from ".join([name, *way])
            problem = f"would make a ring: {ring}; name a project that gets nothing from {name}"
            raise InvalidInput(_FROM, origin, problem)


def _require_own_name(every: _Everything, name: ProjectName) -> None:
    mine, first = every[name].environment, _first(every, name)
    for other, its in sorted(every.items(), key=itemgetter(0)):
        if mine is None or its.environment is None or other == name:
            continue
        if its.environment.name == mine.name and _first(every, other) == first:
            problem = f"is what {other} is called, which leads back to {first} too; choose another"
            raise InvalidInput(_NAME, mine.name, problem)


def _first(every: _Everything, name: ProjectName) -> ProjectName:
    """Return where its revisions come from in the end."""
    *_, first = _way_up(every, name)
    return first


def _way_up(every: _Everything, name: ProjectName) -> Iterator[ProjectName]:
    """Yield ``name`` and each before it, none of them twice."""
    seen: set[ProjectName] = set()
    at: ProjectName | None = name
    while at is not None and at not in seen and at in every:
        seen.add(at)
        yield at
        at = every[at].before
