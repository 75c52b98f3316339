"""How clusters are looked after: in the namespaces that are deployed to, each on its own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.app import Application
from reconciler.domain.host import HostName
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target, TargetStrategy
from reconciler.pipeline.declaring.cluster_draft import ClusterDraft
from reconciler.pipeline.declaring.project_draft import ProjectDraft
from reconciler.pipeline.declaring.projects import declare_project
from tests.parts.certificates import CertificateAuthority
from tests.parts.cluster_stage import role_of_manifest
from tests.parts.kubernetes_api import KubernetesApi
from tests.parts.waiting import eventually
from tests.parts.web_daemon import open_application

LOOPED, BARE, LACKING = HostName("looped"), HostName("bare"), HostName("lacking")


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    made = open_application(tmp_path_factory.mktemp("checks"))
    yield made
    made.close()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[KubernetesApi]:
    with KubernetesApi(CertificateAuthority(tmp_path)) as running:
        yield running


def enter(application: Application, api: KubernetesApi, name: HostName, namespace: str) -> None:
    """Give the daemon a new kubeconfig, for one namespace."""
    token = api.add_user("us", role_of_manifest(), namespace)
    application.clusters.put_kubeconfig(name, Secret.of(api.kubeconfig(token)))


def reachable(application: Application) -> bool | None:
    cluster = application.store.get_cluster(LOOPED)
    return application.cluster_checks.standing(cluster).health.reachable


def test_the_loop_looks_at_every_cluster_that_can_be_entered(
    application: Application, api: KubernetesApi
) -> None:
    """A kubeconfig that was replaced is used from then on, and what was known is forgotten."""
    application.clusters.declare(ClusterDraft(LOOPED))
    enter(application, api, LOOPED, "shop")
    application.cluster_checks.tick()
    eventually(lambda: reachable(application))
    assert LOOPED not in application.cluster_checks.troubles()
    enter(application, api, LOOPED, "shop")
    assert reachable(application) is None


def test_a_cluster_that_cannot_be_entered_is_a_trouble_like_a_host(
    application: Application,
) -> None:
    application.clusters.declare(ClusterDraft(BARE))
    application.cluster_checks.tick()
    trouble = application.explainer.troubles()[BARE]
    assert trouble.error is not None
    assert "no kubeconfig yet" in trouble.error.message


def test_what_is_missing_where_a_project_is_deployed_to_is_a_trouble(
    application: Application, api: KubernetesApi
) -> None:
    """It is told since when, until it is well again."""
    application.clusters.declare(ClusterDraft(LACKING))
    enter(application, api, LACKING, "shop")
    draft = ProjectDraft(ProjectName("shop"), "unit", url="https://git.example/shop.git")
    store, now = application.store, application.clock.now()
    project = declare_project(store, application.repositories, draft, now).project
    target = Target(project.name, LACKING, TargetStrategy.KUBERNETES, namespace="elsewhere")
    store.update_project(replace(project, targets=(target,)))
    first = application.cluster_checks.check(LACKING).health
    again = application.cluster_checks.check(LACKING).health
    assert first.error is not None
    assert "in namespace elsewhere" in first.error.message
    assert (first.since, again.since) == (first.checked_at, first.since)
    assert application.explainer.troubles()[LACKING] == again

    enter(application, api, LACKING, "elsewhere")
    assert application.cluster_checks.check(LACKING).health.error is None
    assert LACKING not in application.explainer.troubles()
