"""One look at a branch over TLS: a poll of ours against `git ls-remote`, spawned for each look.

The server is a real one (`git http-backend`), with 3, 20,000 and 100,000 refs, and one that speaks
no protocol v2, so that it lists all of them at every look. CPU is the client's alone.
"""

import json
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.domain.references import BranchName, CommitSha, GitUrl
from tests.benchmarks.cost import Cost, cost_of, cost_of_command, peak_bytes_of_command
from tests.benchmarks.table import Row, print_table
from tests.parts.child import Child
from tests.parts.git_repository import environment

pytestmark = [pytest.mark.bench, pytest.mark.needs_git, pytest.mark.timeout(300)]

REFS = (3, 20_000, 100_000)
MAIN = BranchName("main")
ROUNDS = 5
LOOKS = 20  #: of ours a round; of theirs there are 2
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Host:
    """Where the real servers are."""

    addresses: dict[str, dict[str, str]]
    new_ca: Path
    old_ca: Path

    def url(self, kind: str, refs: int) -> str:
        return self.addresses[kind][str(refs)]

    def ca(self, kind: str) -> Path:
        return self.new_ca if kind == "new" else self.old_ca


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("git-host")
    addresses = folder / "addresses.json"
    with Child(
        [sys.executable, "-m", "tests.benchmarks.git_host", folder, *map(str, REFS)],
        log=folder / "log",
        ready=addresses.exists,
        env={"PYTHONPATH": str(ROOT)},
    ):
        found = json.loads(addresses.read_text())
        yield Host(found, Path(found["new_ca"]), Path(found["old_ca"]))


@pytest.mark.parametrize(
    ("kind", "refs"),
    [("new", 3), ("new", 20_000), ("new", 100_000), ("old", 100_000)],
    ids=["3-refs", "20000-refs", "100000-refs", "100000-refs-listed-each-time"],
)
def test_one_poll(host: Host, kind: str, refs: int, tmp_path: Path) -> None:
    """Print latency, CPU and memory of a look at one branch."""
    url = GitUrl.parse(host.url(kind, refs))
    remote = _remote(tmp_path, host.ca(kind))
    tip = remote.tip(url, MAIN)  # first contact, apart
    theirs, tips, their_peak = _ls_remote(host, kind, refs)
    assert set(tips) == {tip}, "both see the same tip"
    looks = LOOKS if kind == "new" else 5
    ours = Cost.middle([cost_of(lambda: remote.tip(url, MAIN), times=looks) for _ in range(ROUNDS)])
    held = _peak_of(remote, url)
    remote.close()
    listed = "" if kind == "new" else ", all listed at each look"
    print_table(
        f"one look, {refs:,} refs{listed}",
        [
            Row("CPU, ms", ours.cpu_seconds * 1e3, theirs.cpu_seconds * 1e3, "aim 1/50"),
            Row("latency, ms, the server's part too", ours.seconds * 1e3, theirs.seconds * 1e3),
            Row("memory that a look takes, MiB", held / 2**20, their_peak / 2**20),
        ],
        theirs="git ls-remote",
    )


def _remote(folder: Path, ca: Path) -> DulwichRemote:
    keys = HostKeys(lambda _: "", lambda _origin, _key: None)
    return DulwichRemote(folder, LocalRunner("bench"), keys, ca_file=ca)


def _ls_remote(host: Host, kind: str, refs: int) -> tuple[Cost, list[CommitSha], int]:
    """Ask for the one branch, as a careful script does."""
    env = {**environment(), "GIT_SSL_CAINFO": str(host.ca(kind))}
    argv = ("git", "ls-remote", "--exit-code", host.url(kind, refs), MAIN.ref)
    runs = [cost_of_command(argv, env=env) for _ in range(ROUNDS * 2)]
    tips = [CommitSha.parse(said.split()[0]) for _, said in runs]
    return Cost.middle([cost for cost, _ in runs]), tips, peak_bytes_of_command(argv, env=env)


def _peak_of(remote: DulwichRemote, url: GitUrl) -> int:
    """Return the bytes that one look allocates at its height."""
    tracemalloc.start()
    remote.tip(url, MAIN)
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    remote.tip(url, MAIN)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak - before
