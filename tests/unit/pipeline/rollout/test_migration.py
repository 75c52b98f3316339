"""The migration gate, and what becomes of it when whoever is at it dies at any instant."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from reconciler.domain.deployment import Stage, Status, Trigger
from reconciler.domain.errors import CommandFailed, TargetUnreachable
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.migration import Migration, MigrationState
from reconciler.domain.target import Target, TargetStrategy
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, C, World

Fail = Callable[[str, Exception], None]
EAST, NORTH = HostName("east"), HostName("north")


def declare(world: World, **changes: object) -> None:
    """Declare a migration, and ``changes`` of the project."""
    migration = Migration(("app", "migrate"), approval_status=3)
    fields: dict[str, object] = {"migration": migration, **changes}
    world.store.update_project(replace(world.store.get_project(WEB), **fields))  # type: ignore[arg-type]


@pytest.fixture
def migrating(world: World) -> World:
    """A project that runs a first version, and has a migration since."""
    world.deploy(A)
    declare(world)
    return world


def states(world: World) -> dict[HostName, MigrationState | None]:
    """Return how the newest deployment's migration stands on each host."""
    newest = world.store.list_deployments(WEB)[0]
    return {one.host: one.migration for one in newest.targets}


def test_c3_it_runs_between_the_gate_and_the_change(migrating: World) -> None:
    """C3: nothing is switched before it is done, and that is on record."""
    steps: list[str] = []
    migrating.migrator.on_step = steps.append
    migrating.strategy.on_call = steps.append
    done = migrating.deploy(B)
    assert done.status is Status.DEPLOYED
    changes = [step for step in steps if step != "observe"]
    assert changes[:6] == ["prepare", "begin", "run", "follow", "forget", "apply"]
    assert [one.stage for one in done.stages if one.outcome == "ok"] == [
        Stage.PREPARE,
        Stage.GATE,
        Stage.MIGRATE,
        Stage.APPLY,
        Stage.VERIFY,
    ]
    assert states(migrating) == {LOCAL: MigrationState.DONE}


@pytest.mark.parametrize(
    ("status", "ended", "code", "state"),
    [
        pytest.param(75, Status.QUEUED, "migration-not-now", MigrationState.NOT_NOW, id="not-now"),
        pytest.param(
            3,
            Status.NEEDS_OPERATOR,
            "migration-needs-approval",
            MigrationState.NEEDS_APPROVAL,
            id="approval",
        ),
        pytest.param(1, Status.FAILED, "migration-failed", MigrationState.FAILED, id="failed"),
    ],
)
def test_c3_any_other_end_leaves_the_old_version_serving(
    migrating: World, status: int, ended: Status, code: str, state: MigrationState
) -> None:
    """C3: with what it wrote last as evidence; only what failed is quarantined."""
    migrating.migrator.statuses = [status]
    done = migrating.deploy(B)
    assert done.status is ended
    assert done.error is not None
    assert (done.error.code, done.error.evidence["output"]) == (code, "its last line")
    assert states(migrating) == {LOCAL: state}
    assert migrating.strategy.calls.count("apply") == 1
    assert migrating.migrator.there == {}
    assert bool(migrating.store.get_state(WEB).quarantined) is (ended is Status.FAILED)


def test_c3_one_that_asks_for_it_is_tried_again(migrating: World) -> None:
    """C3: each attempt is a run of its own."""
    migrating.migrator.statuses = [75, 75]
    done = migrating.deploy(B)
    for _ in range(2):
        migrating.clock.advance(timedelta(hours=1))
        done = migrating.roll_out()
    assert (done.status, done.attempt) == (Status.DEPLOYED, 3)
    assert len(migrating.migrator.runs) == 3


def test_a_rollback_runs_none_and_says_what_stays(migrating: World, failing: Fail) -> None:
    """Going back is for the image; the data is as the migration left it."""
    failing("apply", CommandFailed("the port is taken"))
    back = migrating.deploy(B)
    assert back.status is Status.ROLLED_BACK
    assert "the migration that ran on local is not taken back" in migrating.output(back.id)
    migrating.deploy(C)
    runs = len(migrating.migrator.runs)
    migrating.trigger(A, Trigger.ROLLBACK, restores=migrating.store.list_restorable(WEB)[-1].id)
    assert migrating.roll_out().status is Status.DEPLOYED
    assert len(migrating.migrator.runs) == runs


def test_hosts_take_turns_and_none_runs_it_twice(world: World) -> None:
    """What is done on one host stays done in the next attempt."""
    targets = tuple(Target(WEB, host, TargetStrategy.COMPOSE) for host in (EAST, NORTH))
    declare(world, targets=targets)
    world.migrator.statuses = [0, 75]
    world.deploy(A)
    assert states(world) == {EAST: MigrationState.DONE, NORTH: MigrationState.NOT_NOW}
    world.clock.advance(timedelta(hours=1))
    assert world.roll_out().status is Status.DEPLOYED
    assert states(world) == {EAST: MigrationState.DONE, NORTH: MigrationState.DONE}
    assert len(world.migrator.runs) == 3


def test_an_engine_that_goes_away_meanwhile_is_looked_at_again(migrating: World) -> None:
    """The next attempt sees the end of the run that began."""
    away = [TargetUnreachable("the engine does not answer")]

    def fail_once(step: str) -> None:
        if step == "follow" and away:
            raise away.pop()

    migrating.migrator.on_step = fail_once
    assert migrating.deploy(B).status is Status.QUEUED
    assert states(migrating) == {LOCAL: MigrationState.STARTED}
    migrating.clock.advance(timedelta(hours=1))
    assert migrating.roll_out().status is Status.DEPLOYED
    assert len(migrating.migrator.runs) == 1


# ── Whoever is at it dies ─────────────────────────────────────────────────────────────────────


class Killed(BaseException):
    """The end of the daemon: nothing of ours runs after it."""


@dataclass
class Mortal:
    """The store, at whose writes the daemon dies; dead, it writes nothing any more."""

    world: World
    write: str
    argument: object
    before: bool
    dead: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> object:
        real = getattr(self.world.store, name)

        def call(*args: object, **named: object) -> object:
            if self.dead:
                raise Killed
            fatal = name == self.write and self.argument in args
            if fatal and self.before:
                self._die(name)
            answer = real(*args, **named)
            if fatal:
                self._die(name)
            return answer

        return call if callable(real) else real

    def _die(self, name: str) -> None:
        self.dead.append(name)
        raise Killed


@contextmanager
def dying(world: World) -> Iterator[None]:
    """Have the daemon die in the block; later its claim is over."""
    with pytest.raises(Killed):
        yield
    world.migrator.on_step = lambda _: None
    world.clock.advance(timedelta(minutes=2))


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    ("write", "argument"),
    [
        pytest.param("begin_stage", Stage.MIGRATE, id="stage-begins"),
        pytest.param("record_migration", MigrationState.STARTED, id="started"),
        pytest.param("record_migration", MigrationState.DONE, id="done"),
        pytest.param("end_stage", Stage.MIGRATE, id="stage-ends"),
        pytest.param("begin_stage", Stage.APPLY, id="apply-begins"),
    ],
)
def test_c3_a_kill_at_any_record_lets_it_run_at_most_once(
    migrating: World, write: str, argument: object, before: bool
) -> None:
    """C3, F5: and where nobody can know whether it ran, a person is asked."""
    migrating.trigger(B)
    mortal = Mortal(migrating, write, argument, before)
    with dying(migrating):
        replace(migrating, store=mortal).roll_out(migrating.claim())  # type: ignore[arg-type]
    done = migrating.roll_out(migrating.claim("another"))
    unknown = (argument, before) == (MigrationState.STARTED, False)
    if unknown:
        assert done.status is Status.NEEDS_OPERATOR
        assert done.error is not None
        assert done.error.code == "migration-unfinished"
        assert "no container of it is there; it began at 2030-01-01 " in done.error.message
        assert done.error.remedy.endswith("`reconciler deploy web` begins it anew")
        assert states(migrating) == {LOCAL: MigrationState.STARTED}
    else:
        assert done.status is Status.DEPLOYED
    assert len(migrating.migrator.runs) == (0 if unknown else 1)
    assert migrating.migrator.there == {}


@pytest.mark.parametrize(
    ("status", "state", "ended"),
    [
        pytest.param(1, MigrationState.FAILED, Status.FAILED, id="failed"),
        pytest.param(3, MigrationState.NEEDS_APPROVAL, Status.NEEDS_OPERATOR, id="approval"),
    ],
)
def test_c3_a_kill_after_a_bad_end_makes_no_second_try(
    migrating: World, status: int, state: MigrationState, ended: Status
) -> None:
    """C3: what is on record is what it comes to."""
    migrating.migrator.statuses = [status]
    migrating.trigger(B)
    mortal = Mortal(migrating, "record_migration", state, before=False)
    with dying(migrating):
        replace(migrating, store=mortal).roll_out(migrating.claim())  # type: ignore[arg-type]
    assert migrating.roll_out(migrating.claim("another")).status is ended
    assert len(migrating.migrator.runs) == 1
    assert migrating.migrator.there == {}


@pytest.mark.parametrize("step", ["begin", "follow", "forget"])
def test_c3_a_kill_in_any_step_lets_it_run_once(migrating: World, step: str) -> None:
    """C3, F5: what began is found by whoever comes next."""

    def die(at: str) -> None:
        if at == step:
            raise Killed

    migrating.migrator.on_step = die
    migrating.trigger(B)
    with dying(migrating):
        migrating.roll_out()
    assert migrating.roll_out(migrating.claim("another")).status is Status.DEPLOYED
    assert len(migrating.migrator.runs) == 1


def test_c3_an_automatic_one_does_not_run_over_one_whose_end_nobody_saw(
    migrating: World,
) -> None:
    """C3: it names the earlier one; what a person asks for runs."""
    migrating.trigger(B)
    mortal = Mortal(migrating, "record_migration", MigrationState.STARTED, before=False)
    with dying(migrating):
        replace(migrating, store=mortal).roll_out(migrating.claim())  # type: ignore[arg-type]
    first = migrating.roll_out(migrating.claim("another"))

    held = migrating.deploy(C)
    assert held.status is Status.NEEDS_OPERATOR
    assert held.error is not None
    assert held.error.message == (
        f"the migration of deployment {first.id} began on local, and nobody saw its end"
    )
    assert migrating.migrator.runs == []

    migrating.trigger(C, Trigger.PERSON)
    assert migrating.roll_out().status is Status.DEPLOYED
    assert migrating.migrator.runs[0].earlier == first.id
    migrating.strategy.digests[IMAGE] = digest_of("next")
    assert migrating.deploy(A).status is Status.DEPLOYED
