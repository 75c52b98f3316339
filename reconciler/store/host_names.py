"""The names of hosts and clusters: targets name both alike, so that no two of them share one."""

from sqlalchemy import Connection, select

from reconciler.domain.errors import AlreadyExists
from reconciler.domain.host import HostName
from reconciler.store.tables import CLUSTER, FACT, HOST, PROJECT
from reconciler.store.upsert import upsert


def take_host_name(connection: Connection, name: HostName) -> None:
    """See that neither a host nor a cluster has the name before this transaction ends.

    Raises:
        AlreadyExists: one has.
    """
    upsert(connection, FACT, {"key": "host_names"}, {"value": ""})  # whoever takes one waits here
    for table in (HOST, CLUSTER):
        if connection.execute(select(table.c.name).where(table.c.name == name)).first():
            remedy = f"`reconciler {table.name} set {name}` changes it; or choose another name"
            raise AlreadyExists(f"there is a {table.name} {name!r} already", remedy)


def projects_on(connection: Connection, name: HostName) -> list[str]:
    """Return the projects with a target on it, by name."""
    rows = connection.execute(select(PROJECT.c.name, PROJECT.c.targets))
    return sorted(row.name for row in rows if any(one["host"] == name for one in row.targets))
