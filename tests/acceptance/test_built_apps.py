"""An app that is built from its own repository: pushed, built, verified, and never half."""

import json
from typing import Any

import pytest

from tests.parts.compose_rig import POLITE
from tests.parts.shop import Shop

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

COMPOSE = json.dumps({"services": {"web": {"build": ".", "stop_signal": "KILL"}}})
REVISION = "org.opencontainers.image.revision"


def push(shop: Shop, *steps: str) -> str:
    """Push a version that is built in ``steps``; return its commit."""
    lines = [f"FROM {shop.engine.busybox_image()}", *steps, f"CMD {json.dumps(POLITE)}"]
    shop.commit(COMPOSE, Dockerfile="\n".join(lines))
    return shop.push().commit


def stages(deployment: dict[str, Any]) -> list[str]:
    return [stage["stage"] for stage in deployment["stages"]]


def test_c3_c5_a_push_is_built_and_runs_and_a_broken_one_leaves_what_serves(shop: Shop) -> None:
    """C3, C5: the running container is that of the very image that was built of the commit."""
    commit = push(shop, "RUN echo one >/version")
    deployment = shop.deployed(1, commit=commit)
    assert stages(deployment) == ["prepare", "build", "gate", "apply", "verify"]
    build = deployment["stages"][1]
    assert (build["outcome"], build["seconds"] > 0) == ("ok", True)
    before = shop.running()
    assert before["Config"]["Labels"][REVISION] == commit
    assert (shop.tree() / ".deploy/web.sha").read_text().strip() == before["Image"]
    assert before["Config"]["Image"].startswith(f"{shop.name}-web:{commit[:12]}-")
    (service,) = shop.daemon.deployment(deployment["id"])["services"]
    assert (service["image"], service["digest"]) == (before["Config"]["Image"], before["Image"])
    assert shop.shown()["state"] == "in-sync"

    push(shop, "RUN echo nearly; false")
    failed = shop.settled(2)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "build-failed")
    assert stages(failed) == ["prepare", "build"]
    assert "RUN echo nearly; false" in failed["error"]["message"]
    assert "nearly" in shop.daemon.log_of(failed["id"])
    assert shop.running()["Id"] == before["Id"]


@pytest.mark.slow
def test_killed_while_it_builds_it_is_built_by_the_next_life(own_shop: Shop) -> None:
    """Nothing was changed yet, so it is prepared again; nothing half built ever runs."""
    shop = own_shop
    commit = push(shop, "RUN sleep 2; echo one >/version")
    deployment = shop.daemon.in_stage(shop.name, "build")
    shop.daemon.kill()
    shop.daemon.start()
    done = shop.deployed(1, commit=commit)
    assert done["id"] == deployment["id"]
    assert stages(done)[-4:] == ["build", "gate", "apply", "verify"]
    assert shop.running()["Config"]["Labels"][REVISION] == commit
