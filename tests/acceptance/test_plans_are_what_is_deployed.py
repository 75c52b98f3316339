"""Whoever reads a plan knows what deploying would change, and gets that or nothing."""

import pytest

from tests.parts.shop import Shop

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


def test_f4_what_was_read_is_what_is_deployed(shop: Shop) -> None:
    """F4: on the terminal: commits, images and files; then exactly that, or 'outdated'."""
    daemon, images = shop.daemon, shop.images
    old = images.push("app:1", version="one")
    shop.deploy_first(shop.version("first", images.at("app:1")))
    assert "Deploying now would change nothing." in daemon.cli("plan", shop.name).out
    daemon.patch(f"projects/{shop.name}", {"auto_deploy": False})
    read = daemon.cli("plan", shop.name, "--json").json["plan"]
    new = images.push("app:1", version="two")
    pushed = shop.push(shop.version("second", images.at("app:1")))

    said = daemon.cli("plan", shop.name, "--exit-code")
    assert said.status == 16, said.err
    for told in (pushed.commit[:8], "change", f"{old[7:15]} → {new[7:15]}", "~ compose.yaml"):
        assert told in said.out
    assert "+      VERSION: second" in said.out
    assert shop.running_version() == "first"
    assert len(shop.all()) == 1

    refused = daemon.cli("deploy", shop.name, "--plan", read, "--wait")
    assert refused.status == 10
    assert "not what the plan said" in refused.err
    plan = daemon.cli("plan", shop.name, "--json").json
    assert plan["images"][0]["after"]["size_bytes"] > 0
    done = daemon.cli("deploy", shop.name, "--plan", plan["plan"], "--wait")
    assert done.status == 0, done.err
    deployed = shop.deployed(2, commit=pushed.commit)
    assert list(deployed["revision"]["images"].values()) == [new]
    again = daemon.cli("deploy", shop.name, "--plan", plan["plan"])
    assert again.status == 10
