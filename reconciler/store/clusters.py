"""Kubernetes clusters, and the sealed kubeconfigs that open them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from reconciler.domain.errors import Conflict, NotFound
from reconciler.domain.host import HostName
from reconciler.domain.secret import Secret
from reconciler.domain.workload import Cluster
from reconciler.store.audit import Ledger
from reconciler.store.family import SealedFamily, require_same
from reconciler.store.host_names import projects_on, take_host_name
from reconciler.store.sealed import KUBECONFIG
from reconciler.store.tables import CLUSTER
from reconciler.store.told import forget_subject


class SqlClusters(SealedFamily):
    """``ClusterStore``."""

    def create_cluster(self, cluster: Cluster) -> None:
        """Add it. Raises ``AlreadyExists``, also where a host has that name."""
        with self._database.writing() as connection:
            take_host_name(connection, cluster.name)
            values = {"name": cluster.name, "kubeconfig_fingerprint": "", **_columns(cluster)}
            connection.execute(insert(CLUSTER).values(values))
            _tell(self._ledger, connection, "cluster.create", None, cluster)

    def update_cluster(self, cluster: Cluster, seen: Cluster | None = None) -> None:
        """Replace the declaration that was ``seen``; the kubeconfig stays."""
        with self._database.writing() as connection:
            before = _lock(connection, cluster.name, seen)
            this = CLUSTER.c.name == cluster.name
            connection.execute(update(CLUSTER).where(this).values(_columns(cluster)))
            _tell(self._ledger, connection, "cluster.change", before, cluster)

    def remove_cluster(self, name: HostName, seen: Cluster | None = None) -> None:
        """Delete it with its kubeconfig. Raises ``NotFound``; ``Conflict``: a target is in it."""
        with self._database.writing() as connection:
            before = _lock(connection, name, seen)
            if users := projects_on(connection, name):
                named = ", ".join(users)
                raise Conflict(f"{name} is a target of {named}; remove those targets first")
            connection.execute(delete(CLUSTER).where(CLUSTER.c.name == name))
            forget_subject(connection, "", f"host {name}", self._database.now())
            _tell(self._ledger, connection, "cluster.remove", before, None)

    def get_cluster(self, name: HostName) -> Cluster:
        """Return it. Raises ``NotFound``."""
        with self._database.reading() as connection:
            return _cluster(_get(connection, name))

    def list_clusters(self) -> Sequence[Cluster]:
        """Return all, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(CLUSTER)).all()
        return sorted((_cluster(row) for row in rows), key=lambda cluster: cluster.name)

    def put_kubeconfig(self, name: HostName, kubeconfig: Secret, now: datetime) -> str:
        """Seal and store it; return its fingerprint. Raises ``NotFound``."""
        fingerprint = self._sealer.fingerprint(kubeconfig)
        sealed = self._sealer.seal(kubeconfig, KUBECONFIG.context(name))
        values = {
            "sealed_kubeconfig": sealed,
            "kubeconfig_fingerprint": fingerprint,
            "kubeconfig_stored_at": now,
        }
        with self._database.writing() as connection:
            before = _lock(connection, name, None)
            connection.execute(update(CLUSTER).where(CLUSTER.c.name == name).values(values))
            self._ledger.append(
                connection,
                "cluster.kubeconfig",
                f"cluster {name}",
                {"kubeconfig": before.kubeconfig_fingerprint},
                {"kubeconfig": fingerprint, "stored_at": now.isoformat()},
            )
        return fingerprint

    def kubeconfig(self, name: HostName) -> Secret | None:
        """Return it in clear text, to be used at once. Raises ``NotFound``."""
        with self._database.reading() as connection:
            sealed = _get(connection, name).sealed_kubeconfig
        return self._sealer.unseal(sealed, KUBECONFIG.context(name)) if sealed else None


def _declared(cluster: Cluster) -> dict[str, Any]:
    return {"context": cluster.context, "in_cluster": cluster.in_cluster}


def _columns(cluster: Cluster) -> dict[str, Any]:
    return {"created_at": cluster.created_at, **_declared(cluster)}


def _cluster(row: Row[Any]) -> Cluster:
    return Cluster(
        HostName(row.name),
        row.created_at,
        row.context,
        row.in_cluster,
        row.kubeconfig_fingerprint,
        row.kubeconfig_stored_at,
    )


def _get(connection: Connection, name: HostName, *, locked: bool = False) -> Row[Any]:
    statement = select(CLUSTER).where(CLUSTER.c.name == name)
    row = connection.execute(statement.with_for_update() if locked else statement).one_or_none()
    if row is None:
        raise NotFound(f"there is no cluster {name!r}; `reconciler cluster list` shows all")
    return row


def _lock(connection: Connection, name: HostName, seen: Cluster | None) -> Cluster:
    """Lock the cluster's row, and return it where it is what the caller has seen."""
    cluster = _cluster(_get(connection, name, locked=True))
    require_same(cluster, seen)
    return cluster


def _tell(
    ledger: Ledger,
    connection: Connection,
    action: str,
    before: Cluster | None,
    after: Cluster | None,
) -> None:
    """Have the audit log tell what was declared otherwise."""
    (name,) = {one.name for one in (before, after) if one}
    shown = [_declared(one) if one else None for one in (before, after)]
    ledger.append(connection, action, f"cluster {name}", *shown)
