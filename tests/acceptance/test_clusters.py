"""Kubernetes as people use it: an image goes to a cluster, and a bad one comes back."""

from pathlib import Path

import pytest

from tests.parts.certificates import CertificateAuthority
from tests.parts.daemon import Daemon
from tests.parts.kubernetes_api import KubernetesApi, Workload
from tests.parts.kubernetes_controllers import Fate
from tests.parts.registry import Registry

pytestmark = pytest.mark.needs_registry


@pytest.mark.timeout(120)
def test_d4_an_image_is_deployed_to_a_cluster(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    """D4: set by digest, rolled out, read back; one that crashes is named, and goes back."""
    with KubernetesApi(authority) as api, Registry() as registry, Daemon() as daemon:
        api.create(Workload("web").manifest, "shop")
        image = f"{registry.host}/team/shop:main"

        def say(*arguments: str) -> str:
            said = daemon.cli(*arguments)
            assert said.status == 0, said
            return said.out + said.err

        def runs() -> str:
            (only,) = api.get("Deployment", "web", "shop")["spec"]["template"]["spec"]["containers"]
            return str(only["image"])

        with api.running():
            kubeconfig = tmp_path / "kubeconfig"
            kubeconfig.write_text(api.kubeconfig(api.admin))
            say("cluster", "add", "prod", "--file", str(kubeconfig))
            say("project", "add", "shop", "--kind", "image", "--image", image)
            workload = ("--workload", f"deployment/web:web={image}")
            where = ("--strategy", "kubernetes", "--namespace", "shop")
            say("target", "add", "shop", "prod", *where, *workload)
            assert "deployment/web is there, with web" in say("setup", "shop")

            good = registry.push_manifest("team/shop", "main", "good")
            say("deploy", "shop", "--wait")
            assert runs() == f"{registry.host}/team/shop@{good}"
            assert "2 of 2 ready" in say("status", "shop")

            bad = registry.push_manifest("team/shop", "main", "bad")
            api.controllers.fates[bad] = Fate(crash_after=0, log=("no DATABASE_URL",))
            failed = daemon.cli("deploy", "shop", "--wait")
            assert failed.status != 0
            assert runs() == f"{registry.host}/team/shop@{good}"
            newest = daemon.deployments("shop")[-1]
            assert (newest["status"], newest["error"]["code"]) == ("rolled-back", "workload-failed")
            assert "no DATABASE_URL" in daemon.log_of(newest["id"])
