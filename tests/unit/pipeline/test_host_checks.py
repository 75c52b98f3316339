"""Hosts are checked each on its own, and what they said is remembered."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.hosts.facts import ASK_FACTS
from reconciler.adapters.hosts.local import LocalMachine
from reconciler.adapters.hosts.machines import DeclaredHosts, SshMachines
from reconciler.adapters.hosts.operator_config import OperatorConfig
from reconciler.domain.host import LOCAL, Host, HostName
from reconciler.pipeline.host_checks import HostChecks
from reconciler.testing import RecordingRunner
from tests.unit.pipeline.conftest import World

#: Nobody stored a private key for either: entering it fails before ssh is started.
CONFIRMED, UNCONFIRMED = HostName("confirmed"), HostName("unconfirmed")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


class Submitted:
    """Checks that were begun, and are carried out when a test says so."""

    def __init__(self) -> None:
        self.hosts: list[tuple[HostName, bool]] = []
        self._tasks: list[Callable[[], object]] = []

    def submit(self, host: HostName, task: Callable[[], object], suspect: bool) -> None:
        self.hosts.append((host, suspect))
        self._tasks.append(task)

    def carry_out(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task()


@pytest.fixture
def submitted() -> Submitted:
    return Submitted()


@pytest.fixture
def checks(world: World, submitted: Submitted, tmp_path: Path) -> Iterator[HostChecks]:
    """Two hosts are declared; a person confirmed the key of one."""
    host = Host(CONFIRMED, world.clock.now(), address="10.0.0.1", user="ada", host_keys=(KEY,))
    world.store.create_host(host)
    world.store.create_host(replace(host, name=UNCONFIRMED, host_keys=()))
    runner = RecordingRunner()
    engine = DockerEngine(f"unix://{tmp_path / 'no.sock'}")
    machines = SshMachines(
        tmp_path / "hosts",
        LocalMachine(runner, engine, world.clock),
        DeclaredHosts(world.store.get_host, world.store.find_host_secret),
        OperatorConfig(runner),
        world.clock,
    )
    yield HostChecks(world.store, machines, submitted.submit)
    machines.close()
    engine.close()
    assert all(one == ASK_FACTS for one in runner.commands)  # of this machine alone


def test_only_confirmed_hosts_are_asked(checks: HostChecks, submitted: Submitted) -> None:
    """Nothing is sent to a host before a person said which one it is."""
    checks.tick()
    assert submitted.hosts == [(LOCAL, False), (CONFIRMED, False)]


def test_a_check_that_goes_on_is_not_begun_again(checks: HostChecks, submitted: Submitted) -> None:
    """One that hangs takes one thread, however often it is time; then it is asked again."""
    checks.tick()
    checks.tick()
    assert len(submitted.hosts) == 2
    submitted.carry_out()
    checks.tick()
    assert len(submitted.hosts) == 4


def test_who_failed_last_time_is_asked_apart_from_the_others(
    checks: HostChecks, submitted: Submitted
) -> None:
    """Threads that wait for it are none of those that the others need."""
    checks.tick()
    submitted.carry_out()
    checks.tick()
    assert submitted.hosts[-1] == (CONFIRMED, True)


def test_what_stands_in_the_way_is_known_without_asking(checks: HostChecks) -> None:
    """Of one that was never confirmed at once, of the other after its check."""
    assert set(checks.troubles()) == {UNCONFIRMED}
    standing = checks.check(CONFIRMED)
    assert (standing.health.reachable, standing.facts) == (False, None)
    codes = {name: health.error.code for name, health in checks.troubles().items() if health.error}
    assert codes == {CONFIRMED: "host-refused", UNCONFIRMED: "host-key-unconfirmed"}


def test_the_same_failure_is_said_once(
    checks: HostChecks, caplog: pytest.LogCaptureFixture
) -> None:
    """A host that is away for a day would fill the log."""
    with caplog.at_level(logging.WARNING):
        checks.check(CONFIRMED)
        checks.check(CONFIRMED)
    assert [record.message for record in caplog.records] == [
        "host confirmed: there is no private key stored for it"
    ]
