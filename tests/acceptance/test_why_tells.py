"""Whoever asks why a project does what it does gets the reason, from what was recorded."""

import pytest

from tests.parts.shop import Shop

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


def _codes(shop: Shop) -> set[str]:
    return {one["code"] for one in shop.daemon.why(shop.name)["reasons"]}


def test_why_through_a_project_s_life(shop: Shop) -> None:
    """F1: from the first day to a failure, the verdict is one sentence with the facts behind it."""
    daemon = shop.daemon
    assert "nothing was deployed yet" in daemon.why(shop.name)["verdict"]

    first = shop.deploy_first()
    why = daemon.why(shop.name)
    assert "nothing moved since" in why["verdict"]
    live = next(one for one in why["reasons"] if one["code"] == "live")
    assert f"deployment {first['id']}" in live["text"]
    assert "push" in live["text"]
    assert live["at"]

    daemon.patch(f"projects/{shop.name}", {"auto_deploy": False})
    said = shop.push(shop.version("second")).said
    assert f"auto-deploy of {shop.name} is off" in said
    assert "auto-deploy-off" in _codes(shop)
    assert shop.shown()["state"] == "off"

    shop.enable()
    shop.look()
    shop.deployed(2)
    shop.push(shop.version("bad", f'{shop.images.plain()}\ncommand: ["false"]'))
    shop.settled(3)
    why = daemon.why(shop.name)
    assert "rolled back" in why["verdict"]
    assert "quarantined" in _codes(shop)
    quarantine = next(one for one in why["reasons"] if one["code"] == "quarantined")
    assert f"reconciler quarantine lift {shop.name}" in quarantine["text"]
    assert quarantine["at"]


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
