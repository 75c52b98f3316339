"""C4 and E4: callers of an orchestrator or a deploy server change a host name, and nothing else."""

from typing import Any

import httpx2
import pytest

from tests.parts.shop import Shop

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


@pytest.mark.slow
def test_deploy_follow_and_see_what_runs(shop: Shop) -> None:
    """Asked for twice over, deployed once; then what runs is what should, until it is not."""
    token = {"Authorization": f"Bearer {shop.daemon.admin_token}"}
    with httpx2.Client(base_url=shop.daemon.url, headers=token, trust_env=False) as caller:

        def get(path: str) -> dict[str, Any]:
            answer = caller.get(path, timeout=30)
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        commit = shop.push(shop.version("a")).commit
        first = shop.deployed(1, commit=commit)
        key = {"Idempotency-Key": f"again-{shop.name}"}
        path = f"/api/v1/apps/{shop.name}/deploy"
        asked = [caller.post(path, json={"force": True}, headers=key) for _ in range(2)]
        assert [one.status_code for one in asked] == [202, 202]
        (number,) = {one.json()["id"] for one in asked}
        assert asked[1].headers["Idempotency-Replayed"] == "true"
        shop.deployed(2, commit=commit)

        progress = get(f"/api/v1/apps/{shop.name}/progress")
        assert (progress["deployment"], progress["finished"]) == (number, True)
        assert progress["lines"]
        assert all(one["usual_seconds"] is not None for one in progress["stages"])
        told = get(f"/api/v1/apps/{shop.name}/runtime-status")
        (host,), (service,) = told["hosts"], told["hosts"][0]["services"]
        assert (told["differs"], host["deployment"], host["error"]) == (False, number, None)
        assert host["running_commit"] == host["expected_commit"] == commit
        assert service["running"] == [service["expected"]]
        (entry, before) = get(f"/api/logs/{shop.name}")["items"]
        assert (entry["status"], entry["error"], entry["trigger"]) == ("verified", None, "person")
        assert (before["deployment"], before["trigger"]) == (first["id"], "push")

        shop.engine.docker("rm", "--force", shop.running()["Id"])
        told = get(f"/api/v1/apps/{shop.name}/runtime-status")
        assert told["differs"] is True
        assert told["hosts"][0]["services"][0]["running"] == []
        (target,) = get(f"/api/status/{shop.name}")["targets"]
        assert target["differs"] is True
