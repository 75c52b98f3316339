"""What ships for a cluster agrees with what the daemon does."""

from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler.config import Config, load_config
from reconciler.web.front import PROBES
from reconciler.web.server import LAST_ANSWERS_SECONDS, LETTING_GO

FOLDER = Path(__file__).parents[2] / "packaging" / "kubernetes"
#: As long as systemd waits for one that reports nothing; see `packaging/reconciler.service`.
PATIENCE = timedelta(minutes=2)


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """Each object by its kind."""
    return objects_of("reconciler.yaml")


def objects_of(file: str) -> dict[str, Any]:
    return {one["kind"]: one for one in YAML(typ="safe").load_all(FOLDER / file)}


@pytest.fixture(scope="module")
def pod(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["StatefulSet"]["spec"]["template"]["spec"]
    return found


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod["containers"]
    return dict(found)


@pytest.fixture(scope="module")
def config(container: dict[str, Any]) -> Config:
    """What the daemon makes of its environment there."""
    return load_config(environment={one["name"]: one["value"] for one in container["env"]})


def test_it_is_asked_where_it_listens(
    manifest: dict[str, Any], container: dict[str, Any], config: Config
) -> None:
    """By the kubelet at what is open to all, and by everybody else through the service."""
    (port,) = container["ports"]
    assert config.listen is not None
    assert (config.listen.host, config.listen.port) == ("0.0.0.0", port["containerPort"])
    probes = {
        name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }
    assert {name: one["path"] for name, one in probes.items()} == {
        "startup": "/api/ready",
        "liveness": "/api/healthz",
        "readiness": "/api/ready",
    }
    assert {one["path"] for one in probes.values()} <= PROBES
    assert {one["port"] for one in probes.values()} == {port["name"]}
    (served,) = manifest["Service"]["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    labels = manifest["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert labels == manifest["Service"]["spec"]["selector"]
    assert labels == manifest["StatefulSet"]["spec"]["selector"]["matchLabels"]


def test_it_may_end_what_it_has_at_work(
    pod: dict[str, Any], container: dict[str, Any], config: Config
) -> None:
    """Nothing kills it before it is through: not while traffic goes elsewhere, nor in its grace."""
    command, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    drain = config.shutdown_grace + LETTING_GO + timedelta(seconds=LAST_ANSWERS_SECONDS)
    needed = timedelta(seconds=int(seconds)) + drain
    assert timedelta(seconds=pod["terminationGracePeriodSeconds"]) >= needed


def test_it_is_given_the_time_that_it_takes(container: dict[str, Any]) -> None:
    """A start may bring the database up to date; one that hangs is not waited for longer."""
    startup, liveness = container["startupProbe"], container["livenessProbe"]
    begun = timedelta(seconds=startup["periodSeconds"] * startup["failureThreshold"])
    assert begun >= timedelta(minutes=10)
    stuck = timedelta(seconds=liveness["periodSeconds"] * liveness["failureThreshold"])
    assert stuck == PATIENCE


def test_it_may_no_more_than_it_has_to(
    manifest: dict[str, Any], pod: dict[str, Any], container: dict[str, Any], config: Config
) -> None:
    """Nobody's root, and writing nowhere but to what is its own."""
    around, own = pod["securityContext"], container["securityContext"]
    account = objects_of("rbac.yaml")["ServiceAccount"]["metadata"]["name"]
    assert pod["serviceAccountName"] == account
    assert around["runAsNonRoot"]
    assert around["runAsUser"] > 0
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {one["name"]: PurePosixPath(one["mountPath"]) for one in container["volumeMounts"]}
    claims = {
        one["metadata"]["name"] for one in manifest["StatefulSet"]["spec"]["volumeClaimTemplates"]
    }
    assert claims == {"data"}
    # The top of a volume is the cluster's: its mode is changed with each mount.
    assert mounts["data"] in PurePosixPath(config.data_folder).parents
    assert around["fsGroupChangePolicy"] == "OnRootMismatch"
    assert manifest["StatefulSet"]["spec"]["replicas"] == 1, "of one database in a file"
