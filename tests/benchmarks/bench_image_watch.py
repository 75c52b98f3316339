"""One tick of the image watcher at 300 distinct images, against one process per image."""

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.references import ImageReference
from reconciler.domain.secret import Secret
from reconciler.ports import RegistryCredentials
from tests.parts.registry import PASSWORD, USERNAME, Registry

pytestmark = [pytest.mark.bench, pytest.mark.needs_registry, pytest.mark.timeout(300)]

IMAGES = 300
WORKERS = 16


@dataclass(frozen=True)
class Cost:
    """What one tick took; CPU is ours, the token server's and our children's."""

    what: str
    requests: int
    seconds: float
    cpu_seconds: float


@pytest.fixture(scope="module", params=["none", "token"])
def server(request: pytest.FixtureRequest) -> Iterator[Registry]:
    with Registry(request.param) as running:
        yield running


@pytest.fixture(scope="module")
def pushed(server: Registry) -> dict[ImageReference, str]:
    """Image → digest."""

    def push(number: int) -> tuple[ImageReference, str]:
        digest = server.push_manifest(f"team/app{number}", "main", f"{number}")
        return ImageReference.parse(f"{server.host}/team/app{number}:main"), digest

    with ThreadPoolExecutor(4) as pool:
        return dict(pool.map(push, range(IMAGES)))


def test_a_tick_of_the_image_watcher(
    server: Registry, pushed: dict[ImageReference, str], tmp_path: Path
) -> None:
    """Print requests, seconds and CPU of a first and a later tick, beside `skopeo` and `crane`."""
    credentials = RegistryCredentials(server.host, USERNAME, Secret.of(PASSWORD))
    registry = OrasRegistry(
        SystemClock(), lambda _host, _project: credentials if server.token_server else None
    )
    images = list(pushed)

    def look_up(image: ImageReference) -> str:
        return str(registry.digest(image))

    costs = []
    for what in ("first tick", "later tick"):
        digests, cost = measure(server, what, look_up, images)
        assert digests == list(pushed.values())
        costs.append(cost)
    auth_file = server.docker_config(tmp_path) / "config.json"
    for argv in commands(server, auth_file):
        digests, cost = measure(
            server,
            f"a {argv[0]} each",
            partial(run, argv),
            images,
        )
        assert digests == list(pushed.values())
        costs.append(cost)
    show(server.auth, costs)


def commands(server: Registry, auth_file: Path) -> Iterator[Sequence[str]]:
    """Yield the argument lists that people put into cron jobs, where they are installed."""
    if shutil.which("skopeo"):
        yield (
            "skopeo", "inspect", "--no-tags", "--tls-verify=false", "--format", "{{.Digest}}",
            *(["--authfile", str(auth_file)] if server.token_server else []), "docker://",
        )  # fmt: skip
    if shutil.which("crane"):
        yield ("crane", "digest", "--insecure", "")


def run(argv: Sequence[str], image: ImageReference) -> str:
    done = subprocess.run(
        [*argv[:-1], f"{argv[-1]}{image}"], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def measure(
    server: Registry,
    what: str,
    look_up: Callable[[ImageReference], str],
    images: Sequence[ImageReference],
) -> tuple[list[str], Cost]:
    before, cpu, started = sent(server), cpu_seconds(), time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        digests = list(pool.map(look_up, images))
    took, burnt = time.perf_counter() - started, cpu_seconds() - cpu
    return digests, Cost(what, sent(server) - before, took, burnt)


def sent(server: Registry) -> int:
    """Return how many requests registry and token server had, once the log is complete."""
    tokens = len(server.token_server.requests) if server.token_server else 0
    count = -1
    while (now := len(server.requests())) != count:
        count = now
        time.sleep(0.1)
    return now + tokens


def cpu_seconds() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def show(auth: str, costs: Sequence[Cost]) -> None:
    base = costs[1]
    print(
        f"\n{IMAGES} images, {WORKERS} at a time, registry with auth {auth}, {os.cpu_count()} CPUs"
    )
    print(f"{'':16}{'requests':>9}{'seconds':>9}{'CPU s':>8}{'× seconds':>11}{'× CPU':>8}")
    for cost in costs:
        print(
            f"{cost.what:16}{cost.requests:>9}{cost.seconds:>9.2f}{cost.cpu_seconds:>8.2f}"
            f"{cost.seconds / base.seconds:>11.1f}{cost.cpu_seconds / base.cpu_seconds:>8.1f}"
        )
