"""An app's migration waits for a person where it asks to, and runs once, come what may."""

import pytest

from tests.parts.compose_rig import POLITE
from tests.parts.shop import Shop
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

#: Only looks until somebody approved; then it is at work until the test says so.
MIGRATE = """#!/bin/sh
[ -n "$RECONCILER_MIGRATION_APPROVED_BY" ] || { echo 'would drop a column'; exit 3; }
echo ran >> /data/runs
while [ ! -e /data/go ]; do sleep 0.1; done
echo dropped the column
"""


def test_c3_an_approved_migration_outlives_the_daemon_and_runs_once(own_shop: Shop) -> None:
    """C3, C8: needs approval → approved in the terminal → kill -9 → taken up → deployed."""
    shop, daemon = own_shop, own_shop.daemon
    image = shop.images.plain()
    data = "volumes: ['data:/data']\n"
    volume = "volumes: {data: {}}\n"
    shop.push(shop.version("first", f"{image}\n{data}") + volume)
    shop.deployed(1)
    declared = daemon.cli(
        *("project", "set", shop.name, "--migration", "sh /migrate", "--approval-status", "3")
    )
    assert declared.status == 0, declared

    built = f"{shop.engine.run_id}/next:1"
    shop.engine.build_image(built, cmd=POLITE, files={"migrate": MIGRATE})
    shop.engine.push(built, shop.images.registry.host, repository="next:1")
    shop.push(shop.version("second", f"{shop.images.at('next:1')}\n{data}") + volume)
    stopped = shop.settled(2)
    assert (stopped["status"], stopped["error"]["code"]) == (
        "needs-operator",
        "migration-needs-approval",
    )
    assert "would drop a column" in daemon.log_of(stopped["id"])
    assert f"reconciler approve {shop.name}" in daemon.cli("why", shop.name).out
    assert shop.running_version() == "first"

    web = shop.running()["Id"]
    approved = daemon.cli("approve", shop.name, "--reason", "as planned")
    assert approved.status == 0, approved

    def runs() -> str:
        return shop.engine.docker("exec", web, "sh", "-c", "cat /data/runs 2>/dev/null || true")

    eventually(runs, within=30, what="the migration is at work")
    daemon.kill()
    daemon.start()
    number = shop.all()[-1]["id"]
    eventually(
        lambda: "tells how it ends" in daemon.log_of(number),
        within=30,
        what="the next daemon has found it",
    )
    assert shop.engine.inspect(web)["State"]["Running"], "the first version serves"
    shop.engine.docker("exec", web, "touch", "/data/go")

    done = shop.deployed(3)
    assert done["targets"][0]["migration"] == "done"
    assert [cause["detail"] for cause in done["causes"]] == [
        f"approved the migration of deployment {stopped['id']}: as planned"
    ]
    assert shop.running_version() == "second"
    web = shop.running()["Id"]
    assert runs() == "ran"
    assert "dropped the column" in daemon.log_of(number)
    listed = daemon.cli("deployments", shop.name).out
    assert "MIGRATION" in listed
    assert "needs-approval" in listed
    assert len(shop.engine.containers(shop.name)) == 1
    refused = daemon.cli("approve", shop.name)
    assert refused.status != 0
    assert refused.err.startswith("error: nothing waits for approval at")
