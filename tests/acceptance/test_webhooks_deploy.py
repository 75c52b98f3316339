"""What a forge announces is deployed at once, and once; what a stranger announces is not."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx2
import pytest

from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider
from reconciler.domain.webhook_payload import make_push
from reconciler.domain.webhook_signature import sign
from tests.parts.daemon import Daemon, Json
from tests.parts.git_server import GitServer
from tests.parts.shop import Images, external_shop
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

#: So long that no poll finds anything while the test runs.
HOURLY = {"auto_deploy_poll_interval_seconds": 3600}


def announce(daemon: Daemon, secret: str, delivery: str) -> int:
    """Send what Forgejo sends of a push, to the listener that everybody reaches."""
    body = json.dumps(make_push(Provider.FORGEJO, "team/shop", "main")).encode()
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "x-forgejo-event": "push",
        "x-forgejo-delivery": delivery,
        **sign(Provider.FORGEJO, body, Secret.of(secret), delivery, now),
    }
    url = f"{daemon.url}/webhook/forgejo"
    return httpx2.post(url, content=body, headers=headers, timeout=5, trust_env=False).status_code


def announce_many(daemon: Daemon, secret: str, count: int) -> list[int]:
    """Send deliveries as fast as several connections carry them; return their statuses."""
    body = json.dumps(make_push(Provider.FORGEJO, "team/shop", "main")).encode()
    headers = {
        "content-type": "application/json",
        "x-forgejo-event": "push",
        **sign(Provider.FORGEJO, body, Secret.of(secret), "", datetime.now(UTC)),
    }
    with (
        httpx2.Client(base_url=daemon.url, timeout=30, trust_env=False) as forge,
        ThreadPoolExecutor(4) as pool,
    ):
        ids = (f"many-{number}" for number in range(count))
        sent = [
            pool.submit(
                forge.post,
                "/webhook/forgejo",
                content=body,
                headers={**headers, "x-forgejo-delivery": one},
            )
            for one in ids
        ]
        return [one.result().status_code for one in sent]


def deliveries(daemon: Daemon) -> list[Json]:
    """Return what came in, oldest first."""
    found: list[Json] = daemon.get("webhooks/forgejo/deliveries")["items"]
    return found[::-1]


def test_a_push_that_is_announced_three_times_is_deployed_once_and_at_once(
    images: Images,
) -> None:
    """C2, E4, F5: the forge's signature is enough, and what runs is what the source says."""
    with (
        GitServer(tls=True) as server,
        Daemon({"git_ca_file": str(server.ca_path), "settings": HOURLY}) as daemon,
    ):
        repository = server.repository("team/shop.git")
        with external_shop(daemon, images, repository, server.url("team/shop.git")) as shop:
            shop.commit(shop.version("one"))
            shop.look()
            shop.deployed(1)
            made = daemon.cli("webhook", "add", "forgejo", "--provider", "forgejo")
            assert made.status == 0, made.err
            secret = made.out.split()[-1]

            second = shop.commit(shop.version("two"))
            assert announce(daemon, "a-secret-of-somebody-else", "forged") == 401
            eventually(lambda: deliveries(daemon), what="the forged one is kept")
            assert len(shop.all()) == 1

            assert [announce(daemon, secret, "d-1") for _ in range(3)] == [202] * 3
            eventually(lambda: len(shop.all()) == 2, within=5, what="the push is seen")
            newest = shop.deployed(2, commit=second)
            assert newest["causes"][0] == {
                "trigger": "webhook",
                "actor": "forgejo",
                "detail": newest["causes"][0]["detail"],
            }
            assert shop.running_version() == "two"

            # Sent again later, it has the source looked at, where nothing moved.
            assert announce(daemon, secret, "d-1") == 202

            def last() -> str:
                found: str = deliveries(daemon)[-1]["led_to"].get(shop.name, "")
                return found

            eventually(lambda: len(deliveries(daemon)) == 5, what="the last one is written down")
            eventually(lambda: last() == "nothing moved", what="the last one was looked into")
            assert len(shop.all()) == 2
            forged, first, *again = deliveries(daemon)
            assert (forged["verdict"], forged["led_to"]) == ("signature-wrong", {})
            assert (first["verdict"], first["duplicate"]) == ("verified", False)
            assert [one["duplicate"] for one in again] == [True] * 3
            listed = daemon.cli("webhook", "deliveries", "forgejo").out
            assert "sent again" in listed
            assert "signature-wrong" in listed
            assert secret not in daemon.log + listed


@pytest.mark.slow
def test_a_crowd_of_deliveries_loses_none_and_doubles_nothing(images: Images) -> None:
    """E4: each is taken and counted, and the push that all of them announce is deployed once."""
    with (
        GitServer(tls=True) as server,
        Daemon({"git_ca_file": str(server.ca_path), "settings": HOURLY}) as daemon,
    ):
        repository = server.repository("team/shop.git")
        with external_shop(daemon, images, repository, server.url("team/shop.git")) as shop:
            shop.commit(shop.version("one"))
            shop.look()
            shop.deployed(1)
            secret = daemon.post("webhooks", {"name": "forgejo", "provider": "forgejo"})["secret"]
            second = shop.commit(shop.version("two"))
            assert announce_many(daemon, secret, 400) == [202] * 400
            eventually(
                lambda: daemon.get("webhooks/forgejo")["verified"] == 400,
                what="all of them are recorded",
            )
            shop.deployed(2, commit=second)
            assert [one["revision"]["commit"] for one in shop.all()].count(second) == 1
            assert len(shop.all()) == 2
