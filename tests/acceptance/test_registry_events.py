"""A registry that says what was pushed has it deployed at once, by the digest that it serves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon, Json
from tests.parts.docker_engine import DockerEngine
from tests.parts.registry import Registry
from tests.parts.shop import Images, hosted_shop
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

SECRET = "a-secret-of-the-registry"


@pytest.fixture
def announcing(shared_daemon: Daemon) -> Iterator[Registry]:
    """A registry, of the kind that most others have inside, whose events the daemon takes."""
    registry = Registry(
        notifications=[f"{shared_daemon.url}/webhook/images"],
        notification_headers={"Authorization": [f"Bearer {SECRET}"]},
    )
    made = {"name": "images", "provider": "distribution", "secret": SECRET}
    shared_daemon.post("webhooks", {**made, "registry": registry.host})
    with registry:
        yield registry
    shared_daemon.delete("webhooks/images")


def test_a_moved_tag_is_deployed_as_soon_as_its_registry_says(
    shared_daemon: Daemon, engine: DockerEngine, announcing: Registry, tmp_path: Path
) -> None:
    """F6: in seconds, while the image watch looks every ten minutes; and once."""
    images, daemon = Images(engine, announcing), shared_daemon
    settings = {one["key"]: one["value"] for one in daemon.get("settings")["items"]}
    assert settings["auto_deploy_image_watch_interval_seconds"] == 600
    with hosted_shop(daemon, images, tmp_path) as shop:
        tag = f"{shop.name}:1"
        first = images.push(tag, version="one")
        shop.deploy_first(shop.compose(images.at(tag)))

        def watched() -> str:
            shop.daemon.post(f"projects/{shop.name}/look")
            items = daemon.get(f"projects/{shop.name}/images")["items"]
            return items[0]["digest"] or "" if items else ""

        assert eventually(watched, what="the image is watched") == first

        moved = images.push(tag, version="two")
        eventually(lambda: len(shop.all()) == 2, within=20, what="the push is seen")
        newest = shop.deployed(2)
        (cause,) = newest["causes"]
        assert (cause["trigger"], cause["actor"]) == ("registry-event", "images")
        assert newest["revision"]["images"] == {images.at(tag): moved}
        assert shop.engine.docker("exec", shop.running()["Id"], "cat", "/version") == "two"

        def led_to() -> list[Json]:
            found: list[Json] = daemon.get("deliveries", project=shop.name)["items"]
            return [one for one in found if "admitted" in one["led_to"][shop.name]]

        (delivery,) = eventually(led_to, what="the delivery says what it led to")
        assert delivery["announces"] == images.at(tag)
        again = daemon.cli("webhook", "redeliver", "images", str(delivery["number"]))
        assert again.status == 0, again.err
        assert f"{shop.name}: nothing moved" in again.out
        assert len(shop.all()) == 2
        assert SECRET not in daemon.log
