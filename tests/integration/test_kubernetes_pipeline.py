"""Clusters through the whole pipeline: from one environment to the next, and on their own."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from reconciler.domain.deployment import Deployment, Status
from reconciler.domain.promotion import Environment, EnvironmentName
from reconciler.domain.target import TargetStrategy
from reconciler.domain.verification import Window
from reconciler.pipeline.rollout import Limits
from reconciler.pipeline.target_reports import TargetReports
from reconciler.testing import digest_of
from tests.parts.certificates import CertificateAuthority
from tests.parts.cluster_rig import PRODUCTION, ClusterRig, open_rig
from tests.parts.kubernetes_api import KubernetesApi, Workload
from tests.parts.kubernetes_controllers import Fate
from tests.parts.stores import sqlite_template
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, World, world
from tests.unit.pipeline.promoting.way import Way, open_way

__all__ = ["sqlite_template", "world"]


@dataclass
class Shop:
    """Test runs under compose; production is in a cluster."""

    way: Way
    rig: ClusterRig

    def go_on(self) -> Deployment:
        """Let what was verified go on; return what became of it in production."""
        with self.rig.moving():
            self.way.tick()
        return self.way.world.store.list_deployments(PRODUCTION, limit=1)[0]

    @property
    def runs(self) -> str:
        """The digest that production's template names."""
        return self.rig.images()["web"].removeprefix("registry.example/team/app@")


@pytest.fixture
def shop(world: World, authority: CertificateAuthority) -> Iterator[Shop]:
    with KubernetesApi(authority) as api, open_rig(api) as rig, open_way(world) as way:
        rig.run(Workload("web"))
        workload = replace(rig.target.workloads[0], containers={"web": IMAGE})
        target = replace(rig.target, workloads=(workload,))
        environment = Environment(EnvironmentName("production"), WEB)
        world.store.create_project(
            replace(rig.project, targets=(target,), auto_deploy=True, environment=environment)
        )
        world.limits = Limits(window=Window(unchecked=timedelta(seconds=2)))
        world.others[TargetStrategy.KUBERNETES] = rig.strategy
        yield Shop(way, rig)


def test_d7_what_compose_verified_goes_to_a_cluster(shop: Shop) -> None:
    """D3, D5, D7: the very digest, with the same record; a bad one goes back, verified."""
    first = shop.way.verify(A, "first")
    good = shop.go_on()
    assert (good.status, good.promotes) == (Status.DEPLOYED, first.id)
    assert shop.runs == str(digest_of("first"))
    assert [one.outcome for one in good.stages] == ["ok"] * 4

    shop.rig.api.controllers.fates[str(digest_of("bad"))] = Fate(crash_after=0)
    shop.way.verify(B, "bad")
    bad = shop.go_on()
    assert (bad.status, bad.rolled_back_to) == (Status.ROLLED_BACK, good.id)
    assert bad.error is not None
    assert bad.error.code == "workload-failed"
    assert "CrashLoopBackOff" in bad.error.message
    assert shop.runs == str(digest_of("first"))
    assert shop.way.world.store.get_state(PRODUCTION).live == good


def test_f10_drift_in_a_cluster_is_shown(shop: Shop) -> None:
    """By what the pods run, and by whose template it is."""
    shop.way.verify(A, "first")
    good = shop.go_on()
    reports = TargetReports(shop.way.world.store, shop.way.world.others, dict)
    try:
        (now,) = reports.of_project(PRODUCTION)
        assert now.running is not None
        assert (now.running.differences, now.running.report.commit) == ((), A)
        image = f"registry.example/team/app@{digest_of('hand')}"
        shop.rig.change(
            lambda found: found["spec"]["template"]["spec"]["containers"][0].update(image=image)
        )
        shop.rig.api.controllers.step(10)
        (now,) = reports.of_project(PRODUCTION)
        assert now.deployment == good
        assert now.running is not None
        assert f"runs {digest_of('hand').short}" in now.running.differences[0]
    finally:
        reports.close()
