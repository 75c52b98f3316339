"""Whoever asks why a project does what it does gets the reason, from what was recorded."""

from typing import Any

import pytest

from tests.parts.shop import Shop

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


def _codes(shop: Shop) -> set[str]:
    return {one["code"] for one in shop.daemon.why(shop.name)["reasons"]}


def _reason(shop: Shop, code: str) -> dict[str, Any]:
    return next(one for one in shop.daemon.why(shop.name)["reasons"] if one["code"] == code)


def test_why_through_a_project_s_life(shop: Shop) -> None:
    """F1: from the first day to a failure, the verdict is one sentence with the facts behind it."""
    daemon = shop.daemon
    assert "nothing was deployed yet" in daemon.why(shop.name)["verdict"]

    first = shop.deploy_first()
    why = daemon.why(shop.name)
    assert "nothing moved since" in why["verdict"]
    live = _reason(shop, "live")
    assert f"deployment {first['id']}" in live["text"]
    assert "push" in live["text"]
    assert live["at"]
    assert live["evidence"]["deployment"] == str(first["id"])
    assert _reason(shop, "first-alignment")["evidence"]["to"] == live["evidence"]["commit"]

    daemon.patch(f"projects/{shop.name}", {"auto_deploy": False})
    said = shop.push(shop.version("second")).said
    assert f"auto-deploy of {shop.name} is off" in said
    off = _reason(shop, "auto-deploy-off")
    assert off["evidence"]["by"].startswith("local:")
    assert off["at"]
    assert off["needs_person"]
    assert _reason(shop, "request-held")["evidence"]["because"] == "auto-deploy-off"
    assert shop.shown()["reason"] == "auto-deploy-off"
    assert shop.shown()["state"] == "off"

    shop.enable()
    shop.look()
    second = shop.deployed(2)
    shop.push(shop.version("bad", f'{shop.images.plain()}\ncommand: ["false"]'))
    shop.settled(3)
    why = daemon.why(shop.name)
    assert "rolled back" in why["verdict"]
    assert "quarantined" in _codes(shop)
    quarantine = _reason(shop, "quarantined")
    assert f"reconciler quarantine lift {shop.name}" in quarantine["text"]
    assert quarantine["at"]
    assert _reason(shop, "rolled-back")["evidence"]["back_to"] == str(second["id"])
    known = {one["code"] for one in daemon.get("reasons")["items"]}
    assert _codes(shop) <= known


@pytest.mark.slow
def test_the_command_line_says_the_same(shop: Shop) -> None:
    """F1: `reconciler why` has the verdict for people, and all of it as JSON for programs."""
    shop.deploy_first()
    told = shop.daemon.why(shop.name)
    said = shop.daemon.cli("why", shop.name)
    assert said.status == 0
    assert told["verdict"] in said.out
    as_json = shop.daemon.cli("why", shop.name, "--json").json
    assert as_json["verdict"] == told["verdict"]
    # When the source is looked at next has moved on meanwhile.
    facts = [[(one["code"], one["text"]) for one in why["reasons"]] for why in (told, as_json)]
    assert facts[0] == facts[1]
    unknown = shop.daemon.cli("why", "no-such-project")
    assert unknown.status != 0
    assert "no-such-project" in unknown.err


def test_every_request_is_recorded_with_its_outcome(shop: Shop) -> None:
    """F1: admitted, refused and held ones alike, counted where they repeat."""
    shop.deploy_first()
    for _ in range(3):
        again = shop.daemon.api.post(f"projects/{shop.name}/deployments", json={"reason": "again"})
        assert (again.status_code, again.json()["code"]) == (409, "already-live")
    newest = shop.daemon.triggers(shop.name)[0]
    assert (newest["trigger"], newest["outcome"]) == ("person", "refused")
    assert newest["count"] == 3
    assert newest["actor"].startswith("local:")
    assert [one["code"] for one in newest["reasons"]] == ["already-live"]
