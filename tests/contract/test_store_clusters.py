"""Clusters and their kubeconfigs, the same on both databases."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from reconciler.domain.errors import AlreadyExists, ChangedMeanwhile, Conflict, NotFound
from reconciler.domain.host import Host, HostName
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.workload import Cluster, Workload, WorkloadKind
from reconciler.ports import AuditQuery
from reconciler.store.sql_store import SqlStore
from tests.parts.environments import at_once
from tests.parts.stores import NOW, WEB, Site, project

PROD = HostName("prod")
CLUSTER = Cluster(PROD, NOW, "admin@prod")
WEB_IN_PROD = Target(
    WEB,
    PROD,
    TargetStrategy.KUBERNETES,
    namespace="shop",
    workloads=(Workload(WorkloadKind.DEPLOYMENT, "web", {"web": "web"}),),
)


def test_a_cluster_is_kept_as_it_was_declared(store: SqlStore) -> None:
    """And changed only where it is what was seen."""
    store.create_cluster(CLUSTER)
    assert store.get_cluster(PROD) == CLUSTER
    inside = replace(CLUSTER, context="", in_cluster=True)
    store.update_cluster(inside, CLUSTER)
    assert store.list_clusters() == [inside]
    with pytest.raises(ChangedMeanwhile):
        store.update_cluster(CLUSTER, CLUSTER)
    with pytest.raises(ChangedMeanwhile):
        store.remove_cluster(PROD, CLUSTER)
    store.remove_cluster(PROD, inside)
    assert store.list_clusters() == []


def test_what_is_not_there_is_said(store: SqlStore) -> None:
    """By every method that needs it."""
    attempts: list[Callable[[], object]] = [
        lambda: store.get_cluster(PROD),
        lambda: store.update_cluster(CLUSTER),
        lambda: store.remove_cluster(PROD),
        lambda: store.put_kubeconfig(PROD, Secret.of("k"), NOW),
        lambda: store.kubeconfig(PROD),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound, match="prod"):
            attempt()


def test_its_kubeconfig_is_sealed_and_stays_with_it(store: SqlStore, site: Site) -> None:
    """Through changes of the declaration, and no further than its removal; never in the log."""
    store.create_cluster(CLUSTER)
    assert store.kubeconfig(PROD) is None
    fingerprint = store.put_kubeconfig(PROD, Secret.of("token: hunter2"), NOW)
    store.update_cluster(replace(CLUSTER, context="other"))
    again = site.open()
    assert again.kubeconfig(PROD) == Secret.of("token: hunter2")
    kept = again.get_cluster(PROD)
    assert (kept.kubeconfig_fingerprint, kept.kubeconfig_stored_at) == (fingerprint, NOW)
    again.remove_cluster(PROD)
    again.create_cluster(kept)
    assert again.kubeconfig(PROD) is None
    assert again.get_cluster(PROD) == replace(CLUSTER, context="other")
    entries = again.list_audit(AuditQuery())
    assert {entry.action for entry in entries} >= {
        *("cluster.create", "cluster.change", "cluster.remove", "cluster.kubeconfig"),
    }
    assert "hunter2" not in repr(entries)


def test_a_cluster_in_use_is_not_removed(store: SqlStore) -> None:
    """The projects that would lose their target are named."""
    store.create_cluster(CLUSTER)
    store.create_project(replace(project(), targets=(WEB_IN_PROD,)))
    with pytest.raises(Conflict, match="web"):
        store.remove_cluster(PROD)
    store.update_project(project())
    store.remove_cluster(PROD)
    assert store.list_clusters() == []


def test_a_host_and_a_cluster_never_share_a_name(store: SqlStore) -> None:
    """A target names both alike."""
    store.create_cluster(CLUSTER)
    with pytest.raises(AlreadyExists, match="cluster 'prod'"):
        store.create_host(Host(PROD, NOW, address="10.0.0.5"))
    with pytest.raises(AlreadyExists, match="cluster 'prod'"):
        store.create_cluster(CLUSTER)
    store.remove_cluster(PROD)
    store.create_host(Host(PROD, NOW, address="10.0.0.5"))
    with pytest.raises(AlreadyExists, match="host 'prod'"):
        store.create_cluster(CLUSTER)


def test_of_two_that_take_a_name_at_once_one_gets_it(site: Site) -> None:
    """Whichever of both tables they would put it into."""
    stores = [site.open(), site.open()] if site.location.startswith("postgres") else [site.open()]
    ways: list[Callable[[HostName], object]] = [
        lambda name: stores[0].create_host(Host(name, NOW, address="10.0.0.5")),
        lambda name: stores[-1].create_cluster(Cluster(name, NOW)),
    ]

    def take(name: HostName, way: Callable[[HostName], object]) -> bool:
        try:
            way(name)
        except AlreadyExists:
            return False
        return True

    for name in (HostName("n1"), HostName("n2"), HostName("n3")):
        assert sum(at_once([partial(take, name, way) for way in ways])) == 1
