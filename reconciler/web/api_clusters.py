"""Kubernetes clusters: declare, enter, check."""

from fastapi import Request, Response

from reconciler.app import Application
from reconciler.domain.secret import Secret
from reconciler.domain.workload import Cluster, parse_namespace
from reconciler.web.conditions import IfMatch, show_version
from reconciler.web.pagination import Paged
from reconciler.web.principal import Policy
from reconciler.web.routing import WITH_BODY, App, InCluster, errors, router_for
from reconciler.web.schemas.clusters import (
    ClusterBody,
    ClusterCheck,
    ClusterList,
    ClusterPatch,
    NewCluster,
    NewKubeconfig,
)
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "clusters", About.DAEMON)
checking = router_for(Policy.TRIGGER, "clusters", About.DAEMON)
changing = router_for(Policy.ADMIN, "clusters", About.DAEMON)


@reading.get("/clusters", summary="List clusters, by name", responses=errors(422))
def list_clusters(application: App, page: Paged) -> ClusterList:
    """Each with how it answered last."""
    found, following = page.by_name(application.store.list_clusters(), lambda one: one.name)
    return ClusterList(items=[_body(application, one) for one in found], next=following)


@changing.post(
    "/clusters", status_code=201, summary="Declare a cluster", responses=errors(409, *WITH_BODY)
)
def create_cluster(application: App, request: Request, body: NewCluster) -> ClusterBody:
    """Nothing is asked of it before its kubeconfig is stored. Hosts and clusters share names."""
    return _shown(application, request, application.clusters.declare(body.draft()))


@reading.get("/clusters/{cluster}", summary="Show a cluster", responses=errors(404, 422))
def show_cluster(application: App, cluster: InCluster, request: Request) -> ClusterBody:
    """Its declaration, and how it answered last."""
    return _shown(application, request, application.store.get_cluster(cluster))


@changing.patch(
    "/clusters/{cluster}", summary="Change a cluster", responses=errors(404, *WITH_BODY)
)
def patch_cluster(
    application: App, cluster: InCluster, request: Request, body: ClusterPatch, expected: IfMatch
) -> ClusterBody:
    """Fields that are left out stay. Its kubeconfig has to have the context."""
    changed = application.clusters.change(cluster, body.change(), expected)
    return _shown(application, request, changed)


@changing.delete(
    "/clusters/{cluster}",
    status_code=204,
    summary="Remove a cluster",
    responses=errors(404, 409, 422),
)
def delete_cluster(application: App, cluster: InCluster, expected: IfMatch) -> Response:
    """409 while a project has a target in it. What runs there goes on."""
    application.clusters.remove(cluster, expected)
    return Response(status_code=204)


@changing.put(
    "/clusters/{cluster}/kubeconfig",
    summary="Store a cluster's kubeconfig",
    responses=errors(404, *WITH_BODY),
)
def store_kubeconfig(
    application: App, cluster: InCluster, request: Request, body: NewKubeconfig, expected: IfMatch
) -> ClusterBody:
    """Replaces the one that was there. All that it needs is in it: no files, no programs."""
    value = Secret.of(body.value)
    changed = application.clusters.put_kubeconfig(cluster, value, expected)
    return _shown(application, request, changed)


@checking.post(
    "/clusters/{cluster}/check", summary="Check a cluster now", responses=errors(404, *WITH_BODY)
)
def check_cluster(application: App, cluster: InCluster, body: ClusterCheck) -> ClusterBody:
    """Asks it what we may do, and answers with how that went; `health.error` says what is wrong."""
    namespace = parse_namespace(body.namespace) if body.namespace is not None else ""
    standing = application.cluster_checks.check(cluster, namespace)
    return ClusterBody.of(application.store.get_cluster(cluster), standing)


def _shown(application: Application, request: Request, cluster: Cluster) -> ClusterBody:
    show_version(request, cluster)
    return _body(application, cluster)


def _body(application: Application, cluster: Cluster) -> ClusterBody:
    return ClusterBody.of(cluster, application.cluster_checks.standing(cluster))


def cluster_bodies(application: Application) -> list[ClusterBody]:
    """Return all clusters, by name."""
    return [_body(application, cluster) for cluster in application.store.list_clusters()]
