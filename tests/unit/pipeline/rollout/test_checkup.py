"""A target's own health check decides with what runs."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.domain.deployment import Status
from reconciler.domain.errors import TargetUnreachable
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.probing import Reading
from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target, implied_target
from reconciler.testing import RehearsedProber
from tests.unit.pipeline.conftest import WEB, A, B, World

CHECK = HealthCheck(ProbeKind.HTTP, port=80, start_period=timedelta(seconds=10))


@pytest.fixture
def checked(world: World) -> World:
    """A project whose target has a health check."""
    project = world.store.get_project(WEB)
    target = replace(implied_target(WEB), health=CHECK)
    world.store.update_project(replace(project, targets=(target,)))
    return world


def test_good_answers_in_a_row_are_waited_for(checked: World) -> None:
    """Bad ones at the start are no verdict; what is waited for stands in the log."""
    checked.prober.problems = ["connection refused"] * 3
    done = checked.deploy(A)
    assert done.status is Status.DEPLOYED
    assert len(checked.prober.asked) >= 6
    assert {commit for _, commit in checked.prober.asked} == {A}
    assert "connection refused" in checked.output(done.id)


def test_a_check_that_stays_bad_takes_the_deployment_back(checked: World) -> None:
    """The earlier revision runs again, and is asked for its own commit."""
    checked.deploy(A)
    # The earlier one answers well again: its commit tells whose answer it is.
    checked.prober = AnswersFor(A)
    failed = checked.deploy(B)
    assert failed.status is Status.ROLLED_BACK
    assert failed.error is not None
    assert "it answers 500" in failed.error.message
    assert checked.prober.asked[-1][1] == A


def test_a_host_that_can_not_ask_is_given_a_while(checked: World) -> None:
    """Silence is no bad answer; too long a silence is no good one either."""
    checked.prober = Silent(times=5)
    assert checked.deploy(A).status is Status.DEPLOYED


def test_without_a_check_nobody_is_asked(world: World) -> None:
    """What runs, and stays up, has to be enough."""
    assert world.deploy(A).status is Status.DEPLOYED
    assert world.prober.asked == []


def test_what_was_read_back_is_kept_for_good(checked: World) -> None:
    """What failed, and what was gone back to: digests, looks and answers, without secrets."""
    secret = Secret.of("hunter2-hunter2")
    checked.store.put_secret(
        WEB, "variable:KEY", secret, bound_to="", username="", now=checked.clock.now()
    )
    first = checked.deploy(A)
    checked.prober = AnswersFor(A, "it answers hunter2-hunter2")
    failed = checked.deploy(B)
    (target,) = failed.targets
    assert target.evidence is not None
    bad: dict[str, Any] = target.evidence["verify"]  # type: ignore[assignment]
    assert "it answers" in bad["problem"]
    assert bad["probes"][-1]["problem"].startswith("it answers ")
    good: dict[str, Any] = target.evidence["roll-back"]  # type: ignore[assignment]
    assert (good["problem"], good["probes"][-1]["problem"]) == ("", "")
    assert first.prepared is not None
    pin = first.prepared.targets[0].services[0].pin
    assert pin is not None
    assert good["running"][0]["digests"] == [pin.digest.text]
    receipts = checked.store.read_receipts(after=0, limit=9)
    assert [one.status for one in receipts] == [Status.DEPLOYED, Status.ROLLED_BACK]
    assert '"roll-back":{' in receipts[1].text
    assert not [one for one in receipts if "hunter2" in one.text]
    assert checked.store.check_receipts().intact


@pytest.fixture
def checked_twice(checked: World) -> World:
    """The same, whose target has to be ready, too."""
    project = checked.store.get_project(WEB)
    target = replace(project.targets[0], ready=replace(CHECK, path="/ready", retries=2))
    checked.store.update_project(replace(project, targets=(target,)))
    return checked


def test_alive_is_not_ready(checked_twice: World) -> None:
    """The first that fails is named, with what it answered, in the log, the error and for good."""
    checked_twice.deploy(A)
    checked_twice.prober.unready = ["answered 503, expected 200 to 399"] * 13
    failed = checked_twice.deploy(B)
    assert failed.status is Status.ROLLED_BACK
    assert failed.error is not None
    said = "is unhealthy (ready: answered 503, expected 200 to 399)"
    assert said in failed.error.message
    assert said in checked_twice.output(failed.id)
    (receipt,) = checked_twice.store.read_receipts(after=1, limit=9)
    (target,) = json.loads(receipt.text)["targets"]
    probes = target["evidence"]["verify"]["probes"]
    assert {one["check"] for one in probes if not one["problem"]} == {"health"}
    assert {one["check"] for one in probes if one["problem"]} == {"ready"}


def test_each_check_has_a_patience_of_its_own(checked_twice: World) -> None:
    """One that is slow to be ready is waited for as long as its own start period says."""
    project = checked_twice.store.get_project(WEB)
    (target,) = project.targets
    assert target.ready is not None
    slow = replace(target.ready, start_period=timedelta(minutes=9))
    target = replace(target, ready=slow)
    checked_twice.store.update_project(replace(project, targets=(target,)))
    checked_twice.prober.unready = ["no connection"] * 500
    assert checked_twice.deploy(A).status is Status.DEPLOYED


class AnswersFor(RehearsedProber):
    """Is well for one commit only."""

    def __init__(self, good: CommitSha, problem: str = "it answers 500") -> None:
        super().__init__()
        self._good = good
        self._problem = problem

    def probe(self, target: Target, commit: CommitSha | None, *, ready: bool = False) -> Reading:
        self.asked.append((target, commit))
        return Reading("health", "" if commit == self._good else self._problem)


class Silent(RehearsedProber):
    """Can't be asked for the first few times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._left = times

    def probe(self, target: Target, commit: CommitSha | None, *, ready: bool = False) -> Reading:
        if self._left:
            self._left -= 1
            raise TargetUnreachable("the host hangs")
        return super().probe(target, commit, ready=ready)
