"""Kubernetes clusters: what is deployed there, how they are entered, adding and removing one."""

from collections.abc import Mapping

from starlette.responses import HTMLResponse, Response

from reconciler.app import Application
from reconciler.domain.errors import InvalidInput, NotFound, ReconcilerError
from reconciler.domain.host import HostName
from reconciler.domain.secret import Secret
from reconciler.domain.version import version_of
from reconciler.domain.workload import Cluster
from reconciler.pipeline.declaring.cluster_draft import ClusterDraft
from reconciler.web.pages.forms import (
    NOTHING_REFUSED,
    Fields,
    Refused,
    by_field,
    expected_by,
    go,
    status_of,
)
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.hosts.rows import cluster_row, targets_on
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, InCluster, router_for
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.DAEMON)
checking = router_for(Policy.TRIGGER, "pages", About.DAEMON)
changing = router_for(Policy.ADMIN, "pages", About.DAEMON)


@reading.get("/clusters/{cluster}", include_in_schema=False)
def show_cluster(frame: Framed, cluster: InCluster, did: str = "") -> HTMLResponse:
    """One: what runs there, and how it answered last."""
    return _shown(frame, cluster, did=did)


@checking.post("/clusters/{cluster}/check", include_in_schema=False)
def check_cluster(application: App, cluster: InCluster, fields: Fields) -> Response:
    """Ask it what we may do, where projects are deployed to; the page tells how that went."""
    del fields  # looked at by what reads them
    application.cluster_checks.check(cluster)
    return go(f"/clusters/{cluster}?did=checked")


@changing.post("/clusters/{cluster}", include_in_schema=False)
def change_cluster(application: App, frame: Framed, cluster: InCluster, fields: Fields) -> Response:
    """Change the context of its kubeconfig that is used."""
    change = {"context": fields.get("context", "").strip() or None}
    try:
        application.clusters.change(cluster, change, expected_by(fields))
    except NotFound:
        raise
    except ReconcilerError as error:
        return _shown(frame, cluster, Refused(error, fields))
    return go(f"/clusters/{cluster}?did=changed")


@changing.post("/clusters/{cluster}/kubeconfig", include_in_schema=False)
def store_kubeconfig(
    application: App, frame: Framed, cluster: InCluster, fields: Fields
) -> Response:
    """Store what opens it, in place of the one that was there, and look whether it does."""
    value = Secret.of(fields.get("kubeconfig", ""))
    try:
        application.clusters.put_kubeconfig(cluster, value, expected_by(fields))
    except NotFound:
        raise
    except ReconcilerError as error:
        return _shown(frame, cluster, Refused(error))
    application.cluster_checks.check(cluster)
    return go(f"/clusters/{cluster}?did=stored")


@changing.get("/clusters/{cluster}/remove", include_in_schema=False)
def ask_to_remove(frame: Framed, cluster: InCluster) -> HTMLResponse:
    """What removing it would mean."""
    return _removal(frame, cluster)


@changing.post("/clusters/{cluster}/remove", include_in_schema=False)
def remove_cluster(application: App, frame: Framed, cluster: InCluster, fields: Fields) -> Response:
    """Forget it with its kubeconfig. What runs there goes on."""
    try:
        application.clusters.remove(cluster, expected_by(fields))
    except NotFound:
        raise
    except ReconcilerError as error:
        return _removal(frame, cluster, error)
    return go("/hosts")


@changing.get("/new/cluster", include_in_schema=False)
def show_new_cluster(frame: Framed) -> HTMLResponse:
    """How it is entered."""
    return _new(frame, NOTHING_REFUSED)


@changing.post("/new/cluster", include_in_schema=False)
def add_cluster(application: App, frame: Framed, fields: Fields) -> Response:
    """Declare it with what opens it, and look what we may do there."""
    try:
        cluster = _declare(application, fields)
    except ReconcilerError as error:
        return _new(frame, Refused(error, fields))
    application.cluster_checks.check(cluster.name)
    return go(f"/clusters/{cluster.name}?did=added")


def _declare(application: Application, fields: Mapping[str, str]) -> Cluster:
    in_cluster, text = fields.get("in_cluster") == "yes", fields.get("kubeconfig", "").strip()
    context = fields.get("context", "").strip()
    draft = ClusterDraft(fields.get("name", "").strip(), context or None, in_cluster)
    if in_cluster and not text:
        return application.clusters.declare(draft)
    if in_cluster or not text:
        problem = (
            "is not needed for the cluster that the daemon runs in; leave it out"
            if in_cluster
            else "is missing: it opens the cluster"
        )
        raise InvalidInput("kubeconfig", None, problem)
    value = Secret.of(text)
    # Before there is a cluster that nobody could enter.
    application.clusters.clusters.check_kubeconfig(value, context)
    cluster = application.clusters.declare(draft)
    return application.clusters.put_kubeconfig(cluster.name, value)


def _shown(
    frame: Frame, name: HostName, refused: Refused = NOTHING_REFUSED, did: str = ""
) -> HTMLResponse:
    cluster = frame.application.store.get_cluster(name)
    return page(
        frame,
        "clusters/one.html",
        status_of(refused.error),
        row=cluster_row(frame, cluster),
        cluster=cluster,
        version=version_of(cluster),
        summaries={one.project.name: one for one in frame.summaries},
        context=refused.given.get("context", cluster.context),
        errors=by_field(refused.error),
        did=did,
    )


def _new(frame: Frame, refused: Refused) -> HTMLResponse:
    values = {"name": "", "context": "", "in_cluster": ""} | dict(refused.given)
    status, errors = status_of(refused.error), by_field(refused.error)
    return page(frame, "clusters/new.html", status, values=values, errors=errors)


def _removal(frame: Frame, name: HostName, error: ReconcilerError | None = None) -> HTMLResponse:
    cluster = frame.application.store.get_cluster(name)
    return page(
        frame,
        "clusters/remove.html",
        status_of(error),
        cluster=cluster,
        targets=targets_on(frame, name),
        version=version_of(cluster),
        error=error,
    )
