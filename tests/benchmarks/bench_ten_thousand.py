"""10,000 external projects on a 60 s interval: what the daemon takes, and how late its looks are.

The daemon is the real process; the servers are one cheap process on very many loopback addresses.
Then a hundred of them, each on a host of its own, stop answering in the same moment: the other
9,900 are compared with themselves before.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from reconciler.domain.references import CommitSha
from tests.benchmarks.cost import cpu_seconds_of, resident_bytes_of
from tests.benchmarks.fleet import declare, open_state, stopped
from tests.benchmarks.many_remotes import TIP
from tests.benchmarks.table import Row, print_table, quantile
from tests.parts.child import Child
from tests.parts.daemon import Daemon
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.bench, pytest.mark.timeout(420)]

PROJECTS = 10_000
HUNG = 100
HOSTS = 40  #: of those that answer
INTERVAL = timedelta(seconds=60)
INTERVAL_SECONDS = INTERVAL.total_seconds()
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Remotes:
    """The servers' process."""

    port: int

    def asked(self) -> dict[str, list[float]]:
        """Return path → when it was asked."""
        found: dict[str, list[float]] = json.loads(self._get("/-/asked"))
        return found

    def hang(self) -> None:
        """Let the hundred answer no more."""
        self._get("/-/hang")

    def _get(self, path: str) -> bytes:
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx2.get(url, timeout=30, trust_env=False).content

    def urls(self) -> dict[str, str]:
        """Return project → repository; each of the hundred is on a host of its own."""
        return {
            f"hung-{number}": f"http://127.1.0.{number + 1}:{self.port}/hung/p{number}.git"
            for number in range(HUNG)
        } | {
            f"p{number}": f"http://127.0.1.{number % HOSTS + 1}:{self.port}/team/p{number}.git"
            for number in range(PROJECTS - HUNG)
        }


@dataclass(frozen=True)
class Period:
    """What one interval of the daemon took."""

    cpu_share: float  #: of one core
    resident_bytes: int
    looks: int
    late_seconds: list[float]  #: of the looks that were answered


@pytest.fixture
def remotes(tmp_path: Path) -> Iterator[Remotes]:
    port = tmp_path / "port"
    with Child(
        [sys.executable, "-m", "tests.benchmarks.many_remotes", tmp_path],
        log=tmp_path / "log",
        ready=port.exists,
        env={"PYTHONPATH": str(ROOT)},
    ):
        yield Remotes(int(port.read_text()))


def test_ten_thousand_projects(remotes: Remotes) -> None:
    """Print CPU, memory and lateness of one interval, all well and with a hundred hung."""
    with Daemon({"log_level": "warning"}) as daemon:
        with stopped(daemon) as data:
            declare(data, remotes.urls(), CommitSha(TIP))
        first_round = _first_round(remotes)
        well = _period(daemon, remotes)
        remotes.hang()
        time.sleep(INTERVAL_SECONDS / 2)  # the hundred hang for the first time, one after another
        hung = _period(daemon, remotes)
        peak = resident_bytes_of(daemon.pid, peak=True)
        assert daemon.probe("healthz")[0] == 200
    print_table(
        f"{PROJECTS:,} external projects, every {INTERVAL_SECONDS} s",
        [
            Row("CPU, share of a core", hung.cpu_share, well.cpu_share, "aim 0.5"),
            Row("memory, MiB", hung.resident_bytes / 2**20, well.resident_bytes / 2**20, "aim 200"),
            Row("looks in one interval", hung.looks, well.looks),
            *_lateness(hung, well),
            Row("memory at its highest, MiB", peak / 2**20),
            Row("first look at all of them, s", first_round, None, "they are due all at once"),
        ],
        ours=f"{HUNG} hang",
        theirs="all answer",
    )


def _lateness(hung: Period, well: Period) -> Iterator[Row]:
    for name, share in (("p50", 0.5), ("p99", 0.99), ("longest", 1.0)):
        yield Row(
            f"late, {name}, ms",
            quantile(hung.late_seconds, share) * 1e3,
            quantile(well.late_seconds, share) * 1e3,
            "of those that answer" if name == "p50" else "",
        )


def _first_round(remotes: Remotes) -> float:
    began = time.monotonic()
    eventually(lambda: len(remotes.asked()) == PROJECTS, within=120, what="all were asked once")
    return time.monotonic() - began


def _period(daemon: Daemon, remotes: Remotes) -> Period:
    """Watch for as long as it takes to look once at every project that answers."""
    due, began, burnt = _due(daemon), time.time(), cpu_seconds_of(daemon.pid)
    time.sleep(INTERVAL_SECONDS)
    took, burnt = time.time() - began, cpu_seconds_of(daemon.pid) - burnt
    resident = resident_bytes_of(daemon.pid)
    time.sleep(INTERVAL_SECONDS * 0.1 + 2)  # the last ones are due after the interval: jitter
    late, looks = [], 0
    for path, instants in remotes.asked().items():
        looks += sum(began <= instant <= began + took for instant in instants)
        name = path.removeprefix("/team/")
        if name in due:
            late.append(next(at for at in instants if at >= began) - due[name])
    assert len(late) > PROJECTS / 2, "most were not under way, and looked at once more"
    return Period(burnt / took, resident, looks, late)


def _due(daemon: Daemon) -> dict[str, float]:
    """Return when each answering project is due next, but those under way at this moment."""
    with open_state(daemon.data) as store:
        known = store.list_health()
    now = datetime.now(UTC)
    due: dict[str, float] = {}
    for name, health in known.items():
        if name.startswith("hung") or not health.looked_at or not health.next_look_at:
            continue
        # What is under way is held for longer than any interval.
        under_way = health.next_look_at - health.looked_at > 1.2 * INTERVAL
        if health.next_look_at > now and not under_way:
            due[name] = health.next_look_at.timestamp()
    return due
