"""Freezes: a person said that a project stays as it is."""

from collections.abc import Mapping

from sqlalchemy import Connection, select, update

from reconciler.domain.audit import Shown
from reconciler.domain.references import ProjectName
from reconciler.domain.rules import Freeze
from reconciler.store.codec import freeze_from_json, freeze_to_json
from reconciler.store.family import Family, lock_project
from reconciler.store.tables import PROJECT_STATE


class SqlFreezes(Family):
    """The part of ``ProjectStore`` about freezes."""

    def set_freeze(self, name: ProjectName, freeze: Freeze) -> None:
        """Freeze it, in the place of a freeze that it has. Raises ``NotFound``."""
        with self._database.writing() as connection:
            lock_project(connection, name)
            before = _swap(connection, name, freeze)
            shown = _shown(before), _shown(freeze)
            self._ledger.append(connection, "project.freeze", f"project {name}", *shown)

    def lift_freeze(self, name: ProjectName) -> bool:
        """Let it change again; False if it is not frozen. Raises ``NotFound``."""
        with self._database.writing() as connection:
            lock_project(connection, name)
            before = _swap(connection, name, None)
            if before is None:
                return False
            self._ledger.append(
                connection, "project.thaw", f"project {name}", _shown(before), _shown(None)
            )
        return True


def _swap(connection: Connection, name: ProjectName, freeze: Freeze | None) -> Freeze | None:
    """Put ``freeze`` in the place of what there is; return that."""
    mine = PROJECT_STATE.c.project == name
    before = connection.execute(select(PROJECT_STATE.c.freeze).where(mine)).scalar_one()
    values = {"freeze": freeze_to_json(freeze)}
    connection.execute(update(PROJECT_STATE).where(mine).values(values))
    return freeze_from_json(before)


def _shown(freeze: Freeze | None) -> Mapping[str, Shown]:
    return freeze_to_json(freeze) or {}
