"""Taking a deployment back: before it changes anything, and never after."""

import threading
from collections.abc import Callable

import pytest

from reconciler.domain.deployment import Deployment, DeploymentId, Status
from reconciler.domain.errors import Conflict, Interrupted, Recovery, SourceUnreachable
from reconciler.domain.failure import Failure
from tests.unit.pipeline.conftest import WEB, A, B, World

REASON = Failure("withdrawn", "ann took it back", Recovery.OPERATOR)


def take_back(world: World, number: int) -> Deployment:
    return world.store.ask_to_withdraw(DeploymentId(number), REASON, world.clock.now())


def at(world: World, method: str, act: Callable[[], object]) -> None:
    """Have ``act`` done when ``method`` of the strategy is called first."""
    done = threading.Event()

    def on_call(name: str) -> None:
        if name == method and not done.is_set():
            done.set()
            act()

    world.strategy.on_call = on_call


def test_one_that_is_made_ready_changes_nothing(world: World) -> None:
    """The stage under way ends, and no later one begins; what was tracked is put back."""
    live = world.deploy(A)
    at(world, "prepare", lambda: take_back(world, live.id + 1))
    world.strategy.calls.clear()
    done = world.deploy(B)
    assert (done.status, done.error) == (Status.WITHDRAWN, REASON)
    assert "apply" not in world.strategy.calls
    state = world.store.get_state(WEB)
    assert (state.live, state.tracked_commit, state.quarantined) == (live, A, ())
    assert "withdrawn: ann took it back" in world.output(done.id)


def test_at_the_very_last_moment(world: World) -> None:
    """Asked for after the gate was passed: the record refuses the next stage."""
    world.trigger(A)
    claim = world.claim()
    begin_stage = world.store.begin_stage

    class _Late:
        """The store, whose caller is overtaken on the way to `apply`."""

        def __getattr__(self, name: str) -> object:
            return getattr(world.store, name)

        def begin_stage(self, claim: object, stage: str, now: object) -> None:
            if stage == "apply":
                take_back(world, 1)
            begin_stage(claim, stage, now)  # type: ignore[arg-type]

    done = world.roll_out(claim, store=_Late())  # type: ignore[arg-type]
    assert done.status is Status.WITHDRAWN
    assert "apply" not in world.strategy.calls


@pytest.mark.parametrize("method", ["apply", "observe"])
def test_one_that_changes_something_goes_on(world: World, method: str) -> None:
    """It says so, and the deployment ends as if nobody had asked."""
    refused: list[Conflict] = []

    def ask() -> None:
        try:
            take_back(world, 1)
        except Conflict as conflict:
            refused.append(conflict)

    at(world, method, ask)
    assert world.deploy(A).status is Status.DEPLOYED
    (conflict,) = refused
    assert "has begun to change what runs" in conflict.message
    assert f"reconciler rollback {WEB}" in conflict.remedy


def test_a_worker_that_was_told_to_stop_ends_it(world: World) -> None:
    """What is interrupted for that is not taken up again; any other interruption is."""
    world.trigger(A)

    def stop() -> None:
        take_back(world, 1)
        world.cancel.set()
        raise Interrupted("stopped")

    at(world, "prepare", stop)
    assert world.roll_out().status is Status.WITHDRAWN
    world.cancel = threading.Event()
    world.trigger(B)
    world.strategy.failures["prepare"] = [Interrupted("the daemon stops")]
    with pytest.raises(Interrupted):
        world.roll_out()


def test_a_failure_that_would_be_tried_again_is_not(world: World) -> None:
    world.trigger(A)
    at(world, "prepare", lambda: take_back(world, 1))
    world.strategy.failures["prepare"] = [SourceUnreachable("503")]
    assert world.roll_out().status is Status.WITHDRAWN
