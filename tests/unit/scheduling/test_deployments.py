"""Workers: each deployment is carried out once, and let go of before somebody else may have it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from reconciler.domain.deployment import Deployment, DeploymentId, Status
from reconciler.domain.target import TargetStrategy
from reconciler.log import Redactor
from reconciler.pipeline.rollout import Rollout
from reconciler.ports import Store, Unmetered
from reconciler.scheduling import Daemon, Deployments
from tests.parts.waiting import eventually
from tests.unit.pipeline.conftest import A, World

LEASE = timedelta(minutes=1)


@dataclass
class Gate:
    """Holds up whoever comes to ``name``."""

    name: str
    reached: threading.Event
    open: threading.Event

    def __call__(self, name: str) -> None:
        if name == self.name:
            self.reached.set()
            assert self.open.wait(20)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate("prepare", threading.Event(), threading.Event())
    yield made
    made.open.set()


@pytest.fixture
def deployments(world: World, gate: Gate) -> Iterator[Deployments]:
    world.strategy.on_call = gate
    made = workers(world, world.store)
    yield made
    gate.open.set()
    made.drain(timedelta(seconds=10))


def workers(world: World, store: Store) -> Deployments:
    strategies = {TargetStrategy.COMPOSE: world.strategy}
    rollout = Rollout(
        store,
        world.clock,
        strategies,
        world.prober,
        world.commits,
        world.brakes,
        Redactor(),
        world.limits,
        lambda: 0.5,
        world.migrator,
    )
    return Deployments(store, rollout, owner="me", at_once=2, lease=LEASE)


class Counting(Unmetered):
    """Counts leases that were lost."""

    lost = 0

    def lost_claim(self) -> None:
        self.lost += 1


def begun(world: World, deployments: Deployments, gate: Gate) -> Callable[[], Deployment]:
    """Begin a deployment, and return what reads it once a worker is in the midst of it."""
    deployment = world.trigger(A).deployment
    assert deployment is not None
    deployments.claim()
    assert gate.reached.wait(10)
    number = DeploymentId(deployment.id)
    return lambda: world.store.get_deployment(number)


def test_a_clock_that_jumps_gives_nobody_a_second_worker(
    world: World, deployments: Deployments, gate: Gate
) -> None:
    """A machine that slept finds every lease over; what this process holds is not abandoned."""
    read = begun(world, deployments, gate)
    world.clock.advance(2 * LEASE)
    deployments.claim()
    assert read().fence == 1
    gate.open.set()
    eventually(lambda: read().status is Status.DEPLOYED, within=10)


@pytest.mark.parametrize(
    ("kept", "status"),
    [
        pytest.param(True, Status.DEPLOYED, id="extended"),
        pytest.param(False, Status.RUNNING, id="not-extended"),
    ],
)
def test_a_worker_stops_before_its_lease_is_over(
    world: World, deployments: Deployments, gate: Gate, kept: bool, status: Status
) -> None:
    """Nobody is asked for that: a store that hangs can't keep a worker at work."""
    counting = deployments.metering = Counting()
    read = begun(world, deployments, gate)
    world.clock.advance(LEASE * 0.5)
    if kept:
        deployments.keep_leases()
    world.clock.advance(LEASE * 0.3)
    deployments.let_go()
    deployments.let_go()
    gate.open.set()
    assert deployments.drain(timedelta(seconds=10))
    assert read().status is status
    assert counting.lost == (0 if kept else 1)


def test_what_is_claimed_while_the_daemon_ends_is_waited_for(world: World, gate: Gate) -> None:
    """A claim that was on its way when the drain began is carried out, not dropped."""
    gate.name = "claim_next"

    class Slow:
        def __getattr__(self, name: str) -> object:
            gate(name)
            return getattr(world.store, name)

    deployment = world.trigger(A).deployment
    assert deployment is not None
    slow: Store = Slow()  # type: ignore[assignment]
    daemon = Daemon(world.store, workers(world, slow), [], grace=timedelta(seconds=10))
    daemon.start()
    drained = threading.Thread(target=daemon.drain)
    try:
        assert gate.reached.wait(10)
        drained.start()
        eventually(lambda: daemon.state == "draining", within=5)
    finally:
        gate.open.set()
    drained.join(30)
    assert world.store.get_deployment(deployment.id).status is Status.DEPLOYED
