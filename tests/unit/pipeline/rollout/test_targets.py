"""One deployment on several hosts: side by side, one after another, and when some fail."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.domain.deployment import Deployment, Status, TargetStatus, Trigger
from reconciler.domain.errors import (
    CommandFailed,
    HostKeyMismatch,
    Interrupted,
    InvalidComposeFile,
    TargetUnreachable,
)
from reconciler.domain.host import HostName
from reconciler.domain.references import ImageReference
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.verification import Health, Sample, Window
from reconciler.pipeline.rollout import Limits
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, World

Fail = Callable[[str, Exception], None]
EAST, WEST = HostName("east"), HostName("west")
BOTH = (EAST, WEST)
FIRST, SECOND = digest_of("first"), digest_of("second")


def spread(world: World, *hosts: HostName, one_by_one: bool = False) -> None:
    """Declare where the project runs."""
    project = world.store.get_project(WEB)
    targets = tuple(Target(WEB, host, TargetStrategy.COMPOSE) for host in hosts)
    world.store.update_project(replace(project, targets=targets, one_by_one=one_by_one))


def runs(world: World, host: HostName) -> str:
    """Return which digest runs on ``host``; empty where nothing does."""
    samples = world.strategy.running.get((WEB, host), [])
    return "".join(digest.text for sample in samples for digest in sample.digests)


def reached(deployment: Deployment) -> dict[str, str]:
    return {record.host: record.status.value for record in deployment.targets}


def whys(deployment: Deployment) -> dict[str, str]:
    return {one.host: one.error.message if one.error else "" for one in deployment.targets}


def applied(world: World) -> list[str]:
    return [call for call in world.strategy.calls if call.startswith("apply")]


def unhealthy(sample: Sample) -> Sample:
    return replace(sample, health=Health.UNHEALTHY)


@pytest.fixture
def second(world: World) -> World:
    """A world in which both hosts run the first version, and a second one is there."""
    spread(world, *BOTH)
    assert world.deploy(A).status is Status.DEPLOYED
    world.strategy.digests[IMAGE] = SECOND
    world.strategy.calls.clear()
    return world


@pytest.mark.parametrize("one_by_one", [False, True])
def test_every_host_gets_it(world: World, one_by_one: bool) -> None:
    """Deployed is what was verified everywhere, and confirmed there."""
    spread(world, *BOTH, one_by_one=one_by_one)
    done = world.deploy(A)
    assert done.status is Status.DEPLOYED
    assert reached(done) == {"east": "verified", "west": "verified"}
    assert {runs(world, host) for host in BOTH} == {FIRST.text}
    assert {"confirm east", "confirm west"} <= set(world.strategy.calls)
    assert done.prepared is not None
    assert [target.host for target in done.prepared.targets] == list(BOTH)


def test_a_tag_is_resolved_once_for_all_hosts(world: World) -> None:
    """A digest that moves between two hosts' preparation does not split the fleet."""
    spread(world, *BOTH)

    def move(call: str) -> None:
        if call == "prepare west":
            world.strategy.digests[IMAGE] = SECOND

    world.strategy.on_call = move
    world.deploy(A)
    assert {runs(world, host) for host in BOTH} == {FIRST.text}


def test_what_fails_on_one_host_is_taken_back_from_all(second: World) -> None:
    """A fleet is of one version: the host that was well goes back, too."""
    second.strategy.looks[SECOND] = lambda sample: (
        unhealthy(sample) if int(sample.id) == second.strategy.starts else sample
    )
    failed = second.deploy(B)
    assert failed.status is Status.ROLLED_BACK
    assert {runs(second, host) for host in BOTH} == {FIRST.text}
    assert reached(failed) == {"east": "rolled-back", "west": "rolled-back"}
    assert failed.error is not None
    assert "unhealthy" in failed.error.message
    assert any("unhealthy" in why for why in whys(failed).values())
    assert second.trigger(B).outcome == "refused"


def test_what_is_wrong_with_a_host_is_told_of_that_host(second: World, failing: Fail) -> None:
    """Also where nothing was changed; and it is told until the host has what it should."""
    failing("prepare west", CommandFailed("west has no rsync"))
    failed = second.deploy(B)
    assert (failed.status, applied(second)) == (Status.FAILED, [])
    assert reached(failed) == {"east": "waiting", "west": "waiting"}
    assert whys(failed) == {"east": "", "west": "west has no rsync"}
    done = second.deploy(B)
    assert (done.status, set(whys(done).values())) == (Status.DEPLOYED, {""})


def test_one_after_another_stops_at_the_first_failure(second: World, failing: Fail) -> None:
    """Hosts that were still to come are never touched."""
    spread(second, *BOTH, one_by_one=True)
    failing("apply east", CommandFailed("up ended with exit status 1"))
    failed = second.deploy(B)
    assert failed.status is Status.ROLLED_BACK
    assert reached(failed) == {"east": "rolled-back", "west": "waiting"}
    assert applied(second) == ["apply east", "apply east"]
    assert runs(second, WEST) == FIRST.text


def test_a_host_that_goes_away_while_it_is_verified_blames_no_revision(second: World) -> None:
    """The other host was not watched to its end for that: nothing is known against it either."""

    def go_away(call: str) -> None:
        if call == "observe west" and runs(second, WEST) == SECOND.text:
            away = TargetUnreachable("no route to west")
            second.strategy.failures["observe west"] = [away]

    second.strategy.on_call = go_away
    # Long after west is given up: time is shared, and passes for both of them.
    second.limits = Limits(Window(unchecked=timedelta(minutes=10), timeout=timedelta(hours=1)))
    failed = second.deploy(B)
    assert (failed.status, failed.attempt) == (Status.QUEUED, 2)
    assert {runs(second, host) for host in BOTH} == {FIRST.text}
    assert second.store.get_state(WEB).quarantined == ()


def test_a_host_that_is_away_delays_only_itself(second: World, failing: Fail) -> None:
    """The others run the new version at once; it is not called deployed before all of them do."""
    failing("prepare west", TargetUnreachable("no route to west"))
    waiting = second.deploy(B)

    assert (waiting.status, waiting.attempt) == (Status.QUEUED, 2)
    assert reached(waiting) == {"east": "verified", "west": "unreachable"}
    assert (runs(second, EAST), runs(second, WEST)) == (SECOND.text, FIRST.text)
    state = second.store.get_state(WEB)
    assert state.live is not None
    assert state.live.id != waiting.id

    second.clock.advance(timedelta(minutes=20))
    done = second.roll_out()
    assert done.status is Status.DEPLOYED
    assert reached(done) == {"east": "verified", "west": "verified"}
    assert applied(second) == ["apply east", "apply west"]


def test_a_host_that_stays_away_is_said_in_the_end(second: World, failing: Fail) -> None:
    """After the last attempt it has failed, and what runs where is told."""
    for _ in range(5):
        failing("prepare west", TargetUnreachable("no route to west"))
    second.trigger(B, Trigger.PERSON)
    for _ in range(4):
        assert second.roll_out().status is Status.QUEUED
        second.clock.advance(timedelta(minutes=20))
    done = second.roll_out()
    assert done.status is Status.FAILED
    assert done.error is not None
    assert done.error.message == "west can't be reached; verified on east"


def test_a_host_that_is_away_in_a_later_attempt_is_gone_back_on_all_the_same(
    second: World, failing: Fail
) -> None:
    """What an earlier attempt changed there is not forgotten."""
    failing("prepare west", TargetUnreachable("no route to west"))
    assert second.deploy(B).status is Status.QUEUED
    second.clock.advance(timedelta(minutes=1))
    failing("prepare east", TargetUnreachable("no route to east"))
    failing("apply west", CommandFailed("the port is taken"))
    assert second.roll_out().status is Status.ROLLED_BACK
    assert {runs(second, host) for host in BOTH} == {FIRST.text}


def test_hosts_that_are_away_by_turns_are_all_reached_in_the_end(
    second: World, failing: Fail
) -> None:
    """It is not called deployed before one attempt had each of them."""
    for host, there in ((WEST, "east"), (EAST, "west")):
        failing(f"prepare {host}", TargetUnreachable(f"no route to {host}"))
        waiting = second.roll_out() if host == EAST else second.deploy(B)
        assert waiting.status is Status.QUEUED
        assert waiting.error is not None
        assert waiting.error.message == f"{host} can't be reached; verified on {there}"
        second.clock.advance(timedelta(minutes=20))
    done = second.roll_out()
    assert (done.status, whys(done)) == (Status.DEPLOYED, {"east": "", "west": ""})
    assert done.prepared is not None
    assert {one.host for one in done.prepared.targets} == set(BOTH)


def test_what_a_later_attempt_makes_otherwise_is_not_verified_yet(
    second: World, failing: Fail
) -> None:
    """A build that a person insists on gives another image each time: every host gets the last."""
    failing("prepare west", TargetUnreachable("no route to west"))
    assert second.deploy(B).status is Status.QUEUED
    assert runs(second, EAST) == SECOND.text
    second.clock.advance(timedelta(minutes=1))
    second.strategy.image = ImageReference.parse("registry.example/team/app:anew")
    second.strategy.digests[str(second.strategy.image)] = digest_of("third")
    done = second.roll_out()
    assert (done.status, whys(done)) == (Status.DEPLOYED, {"east": "", "west": ""})
    assert {runs(second, host) for host in BOTH} == {digest_of("third").text}


@pytest.mark.parametrize(
    ("one_by_one", "away"),
    [
        pytest.param(True, [WEST], id="one-by-one"),
        pytest.param(False, [EAST, WEST], id="all-of-them"),
    ],
)
def test_nothing_changes_where_nothing_can_begin(
    second: World, failing: Fail, one_by_one: bool, away: list[HostName]
) -> None:
    """With no host to begin with, or a strict order, it waits as a whole."""
    spread(second, *BOTH, one_by_one=one_by_one)
    for host in away:
        failing(f"prepare {host}", TargetUnreachable(f"no route to {host}"))
    waiting = second.deploy(B)
    assert (waiting.status, waiting.attempt) == (Status.QUEUED, 2)
    assert applied(second) == []


def test_a_host_that_refuses_stops_all(second: World, failing: Fail) -> None:
    """Somebody must act, and every host's error is named."""
    failing("prepare east", TargetUnreachable("no route to east"))
    failing("prepare west", HostKeyMismatch("west shows another key"))
    failed = second.deploy(B)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error.code == "host-key-changed"
    assert "no route to east" in failed.error.message
    assert applied(second) == []


def test_a_later_attempt_that_fails_takes_back_what_an_earlier_one_changed(
    second: World, failing: Fail
) -> None:
    """No host is left with a version that was given up."""
    failing("prepare west", TargetUnreachable("no route to west"))
    second.deploy(B)
    failing("prepare west", InvalidComposeFile("no services"))
    second.clock.advance(timedelta(minutes=20))
    failed = second.roll_out()
    assert failed.status is Status.ROLLED_BACK
    assert {runs(second, host) for host in BOTH} == {FIRST.text}


def test_one_host_can_be_named(second: World) -> None:
    """The others keep what they run, and a deployment to all is still to come."""
    done = second.trigger(B, Trigger.PERSON, hosts=(EAST,))
    assert done.admitted
    assert second.roll_out().status is Status.DEPLOYED
    assert (runs(second, EAST), runs(second, WEST)) == (SECOND.text, FIRST.text)

    assert second.trigger(B, Trigger.PERSON, hosts=(EAST,)).outcome == "refused"
    assert second.deploy(B).status is Status.DEPLOYED
    assert {runs(second, host) for host in BOTH} == {SECOND.text}


def test_what_waits_for_all_is_not_displaced_by_a_wish_for_one(second: World) -> None:
    """The other hosts would never get it: whoever named one host asks again later."""
    second.trigger(B)
    refused = second.trigger(A, Trigger.PERSON, hosts=(EAST,), force=True)
    assert (refused.outcome, refused.reasons[0].code) == ("refused", "already-queued")
    assert second.trigger(B, Trigger.PERSON, hosts=(EAST,)).outcome == "coalesced"


def test_going_back_restores_every_host_as_it_was(second: World) -> None:
    """A deployment to one host remembers what the others ran beside it."""
    second.trigger(B, Trigger.PERSON, hosts=(EAST,))
    mixed = second.roll_out()
    assert mixed.prepared is not None
    assert [(one.host, one.revision.commit) for one in mixed.prepared.targets] == [
        (EAST, B),
        (WEST, A),
    ]
    second.deploy(B)
    second.trigger(B, Trigger.ROLLBACK, revision=mixed.target_revision, restores=mixed.id)
    assert second.roll_out().status is Status.DEPLOYED
    assert (runs(second, EAST), runs(second, WEST)) == (SECOND.text, FIRST.text)


def test_going_back_to_what_ran_elsewhere_is_no_success(world: World) -> None:
    """There is nothing to change then, and nothing that could fail."""
    spread(world, EAST)
    moved = world.deploy(A)
    spread(world, WEST)
    world.trigger(A, Trigger.ROLLBACK, revision=moved.target_revision, restores=moved.id)
    failed = world.roll_out()
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error.code == "nothing-to-restore"


def test_a_host_that_is_new_has_nothing_to_go_back_to(world: World, failing: Fail) -> None:
    """It is said, and the others go back."""
    spread(world, EAST)
    world.deploy(A)
    spread(world, *BOTH)
    failing("apply west", CommandFailed("up ended with exit status 1"))
    failed = world.deploy(B)
    assert failed.status is Status.ROLLED_BACK
    assert reached(failed) == {"east": "rolled-back", "west": "failed"}
    assert "no earlier revision to go back to on west" in world.output(failed.id)


@pytest.mark.parametrize("died_in", ["apply west", "observe west", "confirm west"])
def test_a_dead_worker_s_successor_leaves_finished_hosts_alone(
    world: World, failing: Fail, died_in: str
) -> None:
    """What was verified before the kill is neither changed nor watched again."""
    spread(world, *BOTH, one_by_one=True)
    failing(died_in, Interrupted("killed"))
    world.trigger(A)
    with pytest.raises(Interrupted):
        world.roll_out()
    world.strategy.calls.clear()
    world.clock.advance(timedelta(minutes=2))

    done = world.roll_out(world.claim("another"))

    assert done.status is Status.DEPLOYED
    assert {record.status for record in done.targets} == {TargetStatus.VERIFIED}
    assert not [call for call in world.strategy.calls if call.endswith("east")]


def test_output_says_which_host_it_is_of(world: World) -> None:
    """Lines of several hosts are told apart."""
    spread(world, *BOTH)
    done = world.deploy(A)
    assert {"[east] started", "[west] started"} == {
        line.split(" aaaa")[0] for line in world.output(done.id).splitlines() if "started" in line
    }


@pytest.mark.parametrize("away", [False, True])
def test_old_ones_are_forgotten_on_every_host(world: World, failing: Fail, away: bool) -> None:
    """What is dropped is dropped where it lies, whatever another host says to it."""
    spread(world, *BOTH)
    if away:
        failing("forget .deploy/override-1.yaml east", TargetUnreachable("no route to east"))
    for number in range(6):
        world.strategy.digests[IMAGE] = digest_of(f"build {number}")
        world.deploy(A if number % 2 else B)
    forgotten = [call for call in world.strategy.calls if call.startswith("forget")]
    assert sorted(forgotten) == [
        "forget .deploy/override-1.yaml east",
        "forget .deploy/override-1.yaml west",
    ]
