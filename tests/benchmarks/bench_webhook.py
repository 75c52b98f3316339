"""What a delivery costs: until the forge has its answer, and until a deployment's first stage.

Deliveries come at a steady pace over a few kept connections, as a forge's do, to a daemon with a
thousand projects of other repositories. None may be lost, however many come, and no push is
deployed twice. Beside it the least that verifies a signature: it does nothing with what it gets.
"""

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider
from reconciler.domain.webhook_payload import make_push
from reconciler.domain.webhook_signature import sign
from tests.benchmarks.cost import cpu_seconds_of
from tests.benchmarks.deliveries import Sent, as_request, deliver
from tests.benchmarks.fleet import declare, stopped
from tests.benchmarks.table import Row, print_table, quantile
from tests.parts.child import Child, accepts_connections, free_port
from tests.parts.daemon import Daemon, Json
from tests.parts.docker_engine import DockerEngine
from tests.parts.git_repository import Repository
from tests.parts.git_server import GitServer
from tests.parts.registry import Registry
from tests.parts.shop import Images, Shop, hosted_shop
from tests.parts.waiting import eventually

pytestmark = [
    pytest.mark.bench,
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
    pytest.mark.timeout(300),
]

RATE, SECONDS = 1_000, 10
OTHERS = 1_000  #: projects of other repositories
AT_ONCE = 4  #: deployments
PUSHES = 40
SECRET = "a-secret-of-the-forge"
BODY = json.dumps(make_push(Provider.FORGEJO, "team/shop", "main")).encode()


@dataclass(frozen=True)
class Site:
    """A daemon, and a forge that is there: the project shop follows its repository."""

    daemon: Daemon
    repository: Repository

    def push(self, number: int) -> str:
        """Commit what makes a deployment that ends by itself; return the commit."""
        return self.repository.commit({"compose.yaml": f"services: {{}}  # {number}\n"})

    def begun(self, commit: str) -> Json:
        """Wait until a worker is at the deployment of ``commit``; return it."""

        def find() -> Json | None:
            newest: Json = self.daemon.get("projects/shop/deployments", limit=1)["items"][0]
            at_it = newest["revision"]["commit"] == commit and newest["stages"]
            return newest if at_it else None

        found = eventually(find, what=f"{commit} is begun")
        assert found
        return found

    def commits(self) -> Counter[str]:
        """Return how many deployments there are of each commit."""
        return Counter(one["revision"]["commit"] for one in self.daemon.deployments("shop"))


@pytest.fixture
def site(engine: DockerEngine) -> Iterator[Site]:
    with (
        GitServer(tls=True) as server,
        Daemon({"git_ca_file": str(server.ca_path), "log_level": "warning"}) as daemon,
    ):
        daemon.post("repositories", {"name": "other"})
        others = {f"other-{number}": "other" for number in range(OTHERS)}
        with stopped(daemon) as data:
            declare(data, others, CommitSha("a" * 40))
        daemon.patch("settings", {"auto_deploy_poll_interval_seconds": 3600})
        daemon.post("webhooks", {"name": "forge", "provider": "forgejo", "secret": SECRET})
        site = Site(daemon, server.repository("team/shop.git"))
        site.push(0)
        url = server.url("team/shop.git")
        declared = {"name": "shop", "kind": "compose", "url": url, "auto_deploy": True}
        daemon.post("projects", {**declared, "expose_service": "web", "expose_port": 80})
        daemon.settled("shop")
        eventually(lambda: daemon.project("shop")["next_look_at"], what="no look is due soon")
        yield site


@contextmanager
def bare_receiver(folder: Path) -> Iterator[tuple[int, int]]:
    """Run what ours is compared with; yields its port and process id."""
    port = free_port()
    child = Child(
        [sys.executable, "-m", "tests.benchmarks.bare_receiver", str(port), SECRET],
        log=folder / "bare-receiver.log",
        ready=lambda: accepts_connections(port),
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    with child:
        yield port, child.pid


def request_of(body: bytes = BODY) -> bytes:
    tag = sign(Provider.FORGEJO, body, Secret.of(SECRET), "", datetime.now(UTC))
    headers = {"content-type": "application/json", "x-forgejo-event": "push", **tag}
    return as_request("/webhook/forge", headers, body)


def rows(ours: Sent, theirs: Sent, cpu_ms: tuple[float, float] | None = None) -> Iterator[Row]:
    yield Row("answered, a second", ours.rate, theirs.rate)
    yield Row("until the answer, p50, ms", ours.within(0.5), theirs.within(0.5))
    yield Row("until the answer, p99, ms", ours.within(0.99), theirs.within(0.99), "aim 10")
    if cpu_ms:
        yield Row("the receiver's CPU for one, ms", *cpu_ms)


def load() -> str:
    """Return what else the machine has to do, which the figures are to be read with."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def measured(port: int, pid: int) -> tuple[Sent, float]:
    """Deliver at full pace; return what came of it, and the CPU that one took, in ms."""
    burnt = cpu_seconds_of(pid)
    sent = deliver(port, request_of(), rate=RATE, seconds=SECONDS)
    return sent, (cpu_seconds_of(pid) - burnt) / len(sent.took_ms) * 1e3


def test_a_thousand_a_second(site: Site, tmp_path: Path) -> None:
    """Nothing is lost, and what is pushed meanwhile is deployed, and once."""
    began = load()
    with ThreadPoolExecutor(1) as pool:
        pushes = pool.submit(push_now_and_then, site)
        ours, our_cpu = measured(site.daemon.port, site.daemon.pid)
        pushed = pushes.result()
    deliver(site.daemon.port, request_of(), rate=1, seconds=1)
    recorded = eventually(
        lambda: (shown := site.daemon.get("webhooks/forge"))["verified"] > RATE * SECONDS and shown,
        within=60,
    )
    assert ours.refused == 0
    assert recorded["verified"] == RATE * SECONDS + 1
    eventually(lambda: pushed[-1] in site.commits(), what="the last push is seen")
    assert set(site.commits().values()) == {1}, site.commits()
    with bare_receiver(tmp_path) as (port, pid):
        theirs, their_cpu = measured(port, pid)
    print_table(
        f"{RATE * SECONDS:,} deliveries, {RATE:,} a second; {began}",
        [*rows(ours, theirs, (our_cpu, their_cpu)), Row("lost or refused", 0, theirs.refused)],
        theirs="bare",
    )


def push_now_and_then(site: Site) -> list[str]:
    """Push for as long as deliveries come."""
    rest = threading.Event()
    pushed = []
    for number in range(1, SECONDS + 1):
        rest.wait(0.9)
        pushed.append(site.push(number))
    return pushed


def test_answers_while_deployments_run(site: Site, engine: DockerEngine, tmp_path: Path) -> None:
    """Print how long a forge waits while the daemon is busy with what it is for."""
    with ExitStack() as stack:
        images = Images(engine, stack.enter_context(Registry()))
        shops = [
            stack.enter_context(hosted_shop(site.daemon, images, tmp_path)) for _ in range(AT_ONCE)
        ]
        for shop in shops:
            shop.deploy_first()
        began = load()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            over = threading.Event()
            deployed = [pool.submit(deploy_until, over, shop) for shop in shops]
            try:
                ours = deliver(site.daemon.port, request_of(), rate=100, seconds=20)
            finally:
                over.set()
            count = sum(one.result() for one in deployed)
    assert ours.refused == 0
    with bare_receiver(tmp_path) as (port, _):
        theirs = deliver(port, request_of(), rate=100, seconds=5)
    print_table(
        f"while {AT_ONCE} deployments run, {count} in all; {began}",
        list(rows(ours, theirs)),
        theirs="bare, idle",
    )


def deploy_until(over: threading.Event, shop: Shop) -> int:
    """Deploy one version after another; return how many it were."""
    bare = Repository(shop.daemon.data / "repositories" / f"{shop.name}.git")
    count = 0
    while not over.is_set():
        count += 1
        bare.commit({"compose.yaml": shop.version(f"{count}")})
        shop.daemon.post(f"projects/{shop.name}/look")
        shop.deployed(count + 1)
    return count


def test_from_a_delivery_to_the_first_stage(site: Site) -> None:
    """Print how long it takes until a worker is at it, by the daemon's own records."""
    began = load()
    queued, begun = [], []
    for number in range(1, PUSHES + 1):
        commit = site.push(number)
        sent = datetime.now(UTC)
        deliver(site.daemon.port, request_of(), rate=1, seconds=1)
        deployment = site.begun(commit)
        assert deployment["causes"][0]["trigger"] == "webhook"
        queued.append(milliseconds(sent, deployment["created_at"]))
        begun.append(milliseconds(sent, deployment["stages"][0]["started_at"]))
    print_table(
        f"{PUSHES} pushes that are announced, {OTHERS:,} other projects; {began}",
        [
            Row("delivery → queued, p50, ms", quantile(queued, 0.5)),
            Row("delivery → queued, p99, ms", quantile(queued, 0.99)),
            Row("delivery → first stage, p50, ms", quantile(begun, 0.5)),
            Row("delivery → first stage, p99, ms", quantile(begun, 0.99), None, "aim 300"),
        ],
    )


def milliseconds(since: datetime, until: str) -> float:
    return (datetime.fromisoformat(until) - since).total_seconds() * 1e3
