"""What a delivery costs: until the forge has its answer, and until a deployment begins.

Deliveries come over a few kept connections, as a forge's do, to a daemon with a thousand projects
of other repositories. None of them may be lost, however many come at once.
"""

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider
from reconciler.domain.webhook_payload import make_push
from reconciler.domain.webhook_signature import sign
from tests.benchmarks.cost import cpu_seconds_of
from tests.benchmarks.fleet import declare, stopped
from tests.benchmarks.table import Row, print_table, quantile
from tests.parts.daemon import Daemon
from tests.parts.git_repository import Repository
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.bench, pytest.mark.needs_git, pytest.mark.timeout(300)]

DELIVERIES = 5_000
CONNECTIONS = 4
OTHERS = 1_000  #: projects of other repositories
PUSHES = 40
BODY = json.dumps(make_push(Provider.FORGEJO, "team/shop", "main")).encode()
WRONG = Secret.of("a-secret-of-somebody-else")


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon() as running:
        running.post("repositories", {"name": "shop"})
        repository = Repository(running.data / "repositories" / "shop.git")
        tip = CommitSha(repository.commit({"compose.yaml": "services: {}\n"}))
        others = {f"other-{number}": f"https://h/{number}.git" for number in range(OTHERS)}
        with stopped(running) as data:
            declare(data, {"shop": "shop", **others}, tip)
        running.patch("settings", {"auto_deploy_poll_interval_seconds": 3600})
        yield running


@pytest.fixture
def secret(daemon: Daemon) -> Secret:
    made = daemon.post("webhooks", {"name": "forge", "provider": "forgejo", "project": "shop"})
    return Secret.of(made["secret"])


def deliver(daemon: Daemon, secret: Secret, count: int, status: int = 202) -> list[float]:
    """Send ``count`` deliveries over one connection; return how long each answer took, in ms."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    tag = sign(Provider.FORGEJO, BODY, secret, "", datetime.now(UTC))
    headers = {"content-type": "application/json", "x-forgejo-event": "push", **tag}
    took = []
    for _ in range(count):
        began = time.monotonic()
        connection.request("POST", "/webhook/forge", BODY, headers)
        answer = connection.getresponse()
        answer.read()
        took.append((time.monotonic() - began) * 1e3)
        assert answer.status == status
    connection.close()
    return took


@pytest.mark.parametrize("genuine", [True, False], ids=["genuine", "forged"])
def test_a_crowd_of_deliveries(daemon: Daemon, secret: Secret, genuine: bool) -> None:
    """Print how fast they are answered, and how many of them were not recorded."""
    used, status = (secret, 202) if genuine else (WRONG, 401)
    share = DELIVERIES // CONNECTIONS
    began, burnt = time.monotonic(), cpu_seconds_of(daemon.pid)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        waits = [pool.submit(deliver, daemon, used, share, status) for _ in range(CONNECTIONS)]
        took = [one for wait in waits for one in wait.result()]
    rate = DELIVERIES / (time.monotonic() - began)
    counted = "verified" if genuine else "refused"
    eventually(lambda: daemon.get("webhooks/forge")[counted] == DELIVERIES, within=60)
    spent = (cpu_seconds_of(daemon.pid) - burnt) / DELIVERIES * 1e3
    print_table(
        f"{DELIVERIES:,} {'genuine' if genuine else 'forged'} deliveries, {CONNECTIONS} at once",
        [
            Row("answered, a second", rate),
            Row("until the answer, p50, ms", quantile(took, 0.5)),
            Row("until the answer, p99, ms", quantile(took, 0.99), None, "aim 10"),
            Row("the daemon's CPU for one, ms", spent),
        ],
    )


def test_from_a_delivery_to_its_deployment(daemon: Daemon, secret: Secret) -> None:
    """Print how long after a delivery its deployment is queued, by the daemon's own records."""
    bare = Repository(daemon.data / "repositories" / "shop.git")
    took = []
    for number in range(PUSHES):
        before = len(daemon.deployments("shop"))
        bare.commit({"compose.yaml": f"services: {{}}  # {number}\n"})
        sent = datetime.now(UTC)
        deliver(daemon, secret, 1)
        daemon.settled("shop", count=before + 1)
        newest = daemon.deployments("shop")[-1]
        assert newest["causes"][0]["trigger"] == "webhook"
        queued = datetime.fromisoformat(newest["created_at"])
        took.append((queued - sent).total_seconds() * 1e3)
    print_table(
        f"{PUSHES} pushes that are announced, {OTHERS:,} other projects",
        [
            Row("delivery → queued, p50, ms", quantile(took, 0.5)),
            Row("delivery → queued, p99, ms", quantile(took, 0.99), None, "aim 300"),
        ],
    )
