"""Many pushes in a row cost at most two deployments, and the last one is of the newest commit."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.parts.shop import Shop
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

BEGAN = {"deployed", "rolled-back", "failed", "needs-operator"}


def test_eleven_quick_pushes_cost_at_most_two_deployments(shop: Shop) -> None:
    """A17: the first starts, the others replace each other behind it."""
    # However slow this machine is, all pushes come while the first one is under way.
    waits = 'healthcheck: {test: ["CMD", "test", "-e", "/go"], interval: 1s, retries: 1000}'
    pushed = [shop.push(shop.version("v0", f"{shop.images.plain()}\n{waits}"))]
    shop.daemon.in_stage(shop.name, "verify")
    pushed += [shop.push(shop.version(f"v{number}")) for number in range(1, 11)]
    shop.engine.docker("exec", shop.running()["Id"], "touch", "/go")
    eventually(lambda: shop.shown()["state"] == "in-sync", within=60, what="all is deployed")
    newest = shop.all()[-1]
    assert newest["status"] == "deployed"
    assert newest["revision"]["commit"] == pushed[-1].commit
    assert shop.running_version() == "v10"
    carried_out = [one for one in shop.all() if one["status"] in BEGAN]
    assert len(carried_out) == 2, [(one["id"], one["status"]) for one in shop.all()]
    replaced = [one for one in shop.all() if one["status"] == "superseded"]
    assert len(replaced) == 9
    assert all(one["stages"] == [] and one["superseded_by"] for one in replaced)
    triggers = shop.daemon.triggers(shop.name)
    shown = {one["revision"]["commit"] for one in triggers if one["revision"]}
    assert {one.commit for one in pushed} <= shown, "every push left a trace"


@pytest.mark.slow
def test_the_same_request_many_times_over_is_one_deployment(shop: Shop) -> None:
    """A18: twenty askers at once, for the same revision: one deployment serves them all."""
    shop.deploy_first()
    shop.daemon.patch(f"projects/{shop.name}", {"auto_deploy": False})
    shop.push(shop.version("second"))

    def ask(_: int) -> int:
        answer = shop.daemon.api.post(f"projects/{shop.name}/deployments", json={})
        assert answer.status_code in {200, 202}, answer.text
        number: int = answer.json()["id"]
        return number

    with ThreadPoolExecutor(20) as askers:
        numbers = set(askers.map(ask, range(20)))
    assert len(numbers) == 1
    newest = shop.deployed(2)
    assert newest["id"] in numbers
    again = shop.daemon.api.post(f"projects/{shop.name}/deployments", json={})
    assert (again.status_code, again.json()["code"]) == (409, "already-live")
    assert len(shop.all()) == 2
