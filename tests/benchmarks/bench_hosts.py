"""A command on a host: over the connection that is shared, against an ssh of its own each time.

The server is a real sshd on this machine, so its part is in both, and a handshake of theirs crosses
no network. CPU is the client's alone, without that of the ssh that keeps our connection open.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.ports import Command, Machine
from tests.benchmarks.cost import Cost, cost_of, cost_of_command
from tests.benchmarks.table import Row, print_table
from tests.parts.hosts import Hosts
from tests.parts.sshd import Sshd

pytestmark = [pytest.mark.bench, pytest.mark.needs_sshd, pytest.mark.timeout(300)]

ROUNDS = 5
COMMANDS = 20  #: of ours a round; of theirs there are 5
THREADS = 8
TRUE = Command(("true",))


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with Sshd() as running:
        yield running


@pytest.fixture(scope="module")
def web(server: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Hosts(tmp_path_factory.mktemp("hosts")) as hosts:
        machine = hosts.declare(server)
        machine.check()  # the handshake, apart
        yield machine


def test_one_after_another(web: Machine, server: Sshd) -> None:
    """Print commands a second, latency and CPU."""
    argv = ("ssh", *server.client_options(), "127.0.0.1", "--", "true")
    theirs = Cost.middle([cost_of_command(argv)[0] for _ in range(ROUNDS * 5)])
    handshakes = server.handshakes()
    ours = Cost.middle([cost_of(lambda: web.run(TRUE), times=COMMANDS) for _ in range(ROUNDS)])
    assert server.handshakes() == handshakes, "no command of ours opened a connection"
    print_table(
        "remote commands, one after another",
        [
            Row("commands a second", 1 / ours.seconds, 1 / theirs.seconds),
            Row("latency, ms, the server's part too", ours.seconds * 1e3, theirs.seconds * 1e3),
            Row("CPU of the client, ms", ours.cpu_seconds * 1e3, theirs.cpu_seconds * 1e3),
        ],
        theirs="a new ssh each",
    )


def test_side_by_side(web: Machine, server: Sshd) -> None:
    """Print commands a second, eight at a time."""
    argv = ("ssh", *server.client_options(), "127.0.0.1", "--", "true")
    with ThreadPoolExecutor(THREADS) as pool:
        theirs = cost_of(lambda: list(pool.map(lambda _: cost_of_command(argv), range(40))))
        ours = cost_of(lambda: list(pool.map(lambda _: web.run(TRUE), range(160))))
    print_table(
        f"remote commands, {THREADS} at a time",
        [Row("commands a second", 160 / ours.seconds, 40 / theirs.seconds)],
        theirs="a new ssh each",
    )


def test_first_command(server: Sshd, tmp_path: Path) -> None:
    """Print what the first command takes, with the handshake that pays for all others."""
    argv = ("ssh", *server.client_options(), "127.0.0.1", "--", "true")
    theirs = Cost.middle([cost_of_command(argv)[0] for _ in range(ROUNDS * 2)])
    with Hosts(tmp_path) as hosts:
        hosts.declare(server)

        def first() -> None:
            hosts.machines.forget(next(iter(hosts.declared)))
            hosts.machines.get(next(iter(hosts.declared))).run(TRUE)

        ours = Cost.middle([cost_of(first) for _ in range(ROUNDS)])
    print_table(
        "the first command",
        [Row("latency, ms", ours.seconds * 1e3, theirs.seconds * 1e3)],
        theirs="a new ssh",
    )
