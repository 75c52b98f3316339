"""What runs on each target now, and whether it is what should."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.domain.deployment import PreparedTarget
from reconciler.domain.errors import Recovery, TargetUnreachable, TooBusy
from reconciler.domain.failure import Failure
from reconciler.domain.host import LOCAL, HostHealth, HostName
from reconciler.domain.references import ServiceName
from reconciler.domain.target import Target, TargetStrategy
from reconciler.pipeline.target_reports import TargetNow, TargetReports
from reconciler.ports import Work
from reconciler.testing import RehearsedStrategy, digest_of
from tests.unit.pipeline.conftest import WEB, A, B, World

EAST, WEST = HostName("east"), HostName("west")


def spread(world: World) -> None:
    project = world.store.get_project(WEB)
    targets = tuple(Target(WEB, host, TargetStrategy.COMPOSE) for host in (EAST, WEST))
    world.store.update_project(replace(project, targets=targets))


@contextmanager
def reports(
    world: World, within: timedelta = timedelta(seconds=5), **troubles: HostHealth
) -> Iterator[TargetReports]:
    known = {HostName(name): health for name, health in troubles.items()}
    strategies = {TargetStrategy.COMPOSE: world.strategy}
    made = TargetReports(world.store, strategies, lambda: known, within=within)
    try:
        yield made
    finally:
        made.close()


def told(one: TargetNow) -> tuple[str, ...]:
    assert one.running is not None
    return one.running.differences


def test_what_runs_as_deployed_differs_in_nothing(world: World) -> None:
    """Each host is told of, with the deployment whose revision should run."""
    spread(world)
    with reports(world) as asked:
        before = asked.all()
        assert [(one.target.host, one.deployment, told(one)) for one in before] == [
            (EAST, None, ()),
            (WEST, None, ()),
        ]
        done = world.deploy(A)
        for one in asked.all():
            assert one.deployment is not None
            assert one.deployment.id == done.id
            assert told(one) == ()
            assert one.running is not None
            assert one.running.report.state == "1 running"


def test_a_change_by_hand_is_told(world: World) -> None:
    """Another image, or nothing at all."""
    spread(world)
    world.deploy(A)
    (sample,) = world.strategy.running[WEB, EAST]
    other = replace(sample, digests=frozenset({digest_of("by hand")}))
    world.strategy.running[WEB, EAST] = [other]
    world.strategy.running[WEB, WEST] = []
    with reports(world) as asked:
        east, west = asked.of_project(WEB)
        (difference,) = told(east)
        assert "pinned is" in difference
        assert told(west) == ("web: 0 of 1 containers are there",)
        assert asked.of_target(WEB, EAST) == east


class WithMigration(RehearsedStrategy):
    """One whose project has a container that runs once, too."""

    def prepare(self, work: Work) -> PreparedTarget:
        prepared = super().prepare(work)
        (web,) = prepared.services
        once = replace(web, name=ServiceName("migrate"), may_finish=True)
        return replace(prepared, services=(web, once))


def test_what_has_finished_may_be_cleared_away(world: World) -> None:
    """As cleaning up an engine does."""
    world.strategy = WithMigration(world.strategy.digests)
    world.deploy(A)
    running = world.strategy.running[WEB, LOCAL]
    running[:] = [one for one in running if one.service == "web"]
    with reports(world) as asked:
        (one,) = asked.all()
        assert told(one) == ()


def test_an_answer_about_an_earlier_deployment_is_none_about_the_next(world: World) -> None:
    world.deploy(A)
    hangs, released = threading.Event(), threading.Event()

    def hang(call: str) -> None:
        if call == "report" and not hangs.is_set():
            hangs.set()
            released.wait(20)

    world.strategy.on_call = hang
    with reports(world, timedelta(seconds=0.3)) as asked:
        (before,) = asked.all()
        assert before.error is not None
        world.strategy.digests[str(world.strategy.image)] = digest_of("next")
        world.deploy(B)
        (after,) = asked.all()
        assert told(after) == ()
        released.set()


def test_hosts_in_trouble_are_not_asked(world: World) -> None:
    """Why nothing is known of them is known already."""
    spread(world)
    trouble = Failure("host-key-changed", "it shows another key", Recovery.OPERATOR)
    with reports(world, east=HostHealth(error=trouble)) as asked:
        east, west = asked.all()
        assert (east.running, east.error) == (None, trouble)
        assert west.error is None
    assert "report east" not in world.strategy.calls


def test_only_so_many_wait_at_once(world: World) -> None:
    """While hosts are silent each caller holds a thread that others need."""
    begun, released = threading.Semaphore(0), threading.Event()

    def troubles() -> Mapping[HostName, HostHealth]:
        begun.release()
        released.wait(20)
        return {}

    asked = TargetReports(world.store, {TargetStrategy.COMPOSE: world.strategy}, troubles)
    with closing(asked), ThreadPoolExecutor(8) as callers:
        waiting = [callers.submit(asked.all) for _ in range(8)]
        assert all(begun.acquire(timeout=20) for _ in waiting)
        with pytest.raises(TooBusy):
            asked.of_project(WEB)
        released.set()
        assert all(one.result(20) for one in waiting)
        assert asked.of_project(WEB)


def test_who_does_not_answer_in_time_delays_nobody(world: World) -> None:
    """The others are told of, and nobody is asked twice while the first question hangs."""
    spread(world)
    hangs, released = threading.Event(), threading.Event()

    def hang(call: str) -> None:
        if call == "report east":
            hangs.set()
            released.wait(20)

    world.strategy.on_call = hang
    with reports(world, timedelta(seconds=0.3)) as asked:
        for _ in range(2):
            east, west = asked.all()
            assert east.error is not None
            assert east.error.code == TargetUnreachable.code
            assert west.running is not None
        assert hangs.is_set()
        assert world.strategy.calls.count("report east") == 1
        released.set()


def test_a_host_that_can_not_be_asked_says_why(world: World) -> None:
    """Its error is its own."""
    spread(world)
    world.strategy.failures["report west"] = [TargetUnreachable("host west is away")]
    with reports(world) as asked:
        east, west = asked.all()
        assert east.running is not None
        assert west.error is not None
        assert west.error.message == "host west is away"
