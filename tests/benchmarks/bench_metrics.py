"""What Prometheus costs: one scrape beside `GET /api/v1/status`, and what counting adds to a look.

1,000 projects, all of them with series of their own. CPU is the daemon's alone.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from reconciler.adapters.metrics import Meters
from reconciler.domain.references import CommitSha
from reconciler.log import correlated
from tests.benchmarks.cost import Cost, cost_of, cpu_seconds_of
from tests.benchmarks.fleet import declare, stopped
from tests.benchmarks.table import Row, median, print_table
from tests.parts.daemon import Daemon
from tests.parts.git_repository import Repository

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

PROJECTS = 1_000
ASKED = 10  #: times a round: the kernel counts CPU in hundredths of a second
ROUNDS = 3
#: CPU of one look at a git server, as bench_git_poll measures it.
LOOK_SECONDS = 0.0005


@pytest.mark.needs_git
def test_one_scrape() -> None:
    """Print CPU and size of a scrape, beside the status call that reads the same facts."""
    with Daemon({"log_level": "warning"}) as daemon:
        daemon.post("repositories", {"name": "shared"})
        bare = Repository(daemon.data / "repositories" / "shared.git")
        tip = bare.commit({"compose.yaml": "services: {}\n"})
        with stopped(daemon) as data:
            declare(data, {f"p{n}": "shared" for n in range(PROJECTS)}, CommitSha(tip))
        ours = _cpu_of_each(daemon, lambda: daemon.api.get("http://localhost/metrics"))
        theirs = _cpu_of_each(daemon, lambda: daemon.api.get("status"))
        text = daemon.api.get("http://localhost/metrics").text
        daemon.stop()
        daemon.write_config(project_metrics=False)
        daemon.start()
        sums = _cpu_of_each(daemon, lambda: daemon.api.get("http://localhost/metrics"))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    print_table(
        f"one scrape, {PROJECTS:,} projects, {len(lines):,} series",
        [
            Row("CPU, ms", ours * 1e3, theirs * 1e3, "aim 100 ms"),
            Row("CPU without series of projects, ms", sums * 1e3, theirs * 1e3),
            Row("size, KiB", len(text) / 2**10),
        ],
        theirs="status",
    )


def _cpu_of_each(daemon: Daemon, ask: Callable[[], object]) -> float:
    ask()
    costs = []
    for _ in range(ROUNDS):
        before = cpu_seconds_of(daemon.pid)
        for _ in range(ASKED):
            ask()
        costs.append((cpu_seconds_of(daemon.pid) - before) / ASKED)
    return median(costs)


def test_one_count() -> None:
    """Print what counting a look and giving it an id take, beside the look itself."""
    meters = Meters()

    def count() -> None:
        with correlated():
            meters.polled("ok", "", timedelta(seconds=0.2))

    ours = Cost.middle([cost_of(count, times=10_000) for _ in range(ROUNDS)])
    print_table(
        "counting one look",
        [Row("CPU, µs", ours.cpu_seconds * 1e6, LOOK_SECONDS * 1e6)],
        theirs="the look",
    )
