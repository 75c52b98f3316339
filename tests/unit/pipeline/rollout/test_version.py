"""Each container says of itself which commit it is, or it is no success."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.domain.deployment import PlannedService, PreparedTarget, Status, Trigger
from reconciler.domain.errors import CommandFailed, InvalidInput, TargetUnreachable
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.host import LOCAL
from reconciler.domain.probing import Reading
from reconciler.domain.project import ProjectKind
from reconciler.domain.references import CommitSha, ServiceName
from reconciler.domain.revision import Revision
from reconciler.domain.target import Target, implied_target
from reconciler.domain.verification import RunState, Sample, Window
from reconciler.domain.version_check import VersionCheck
from reconciler.pipeline.rollout import Limits
from reconciler.pipeline.rollout.checkup import Checkup, require_version_to_ask
from reconciler.testing import RehearsedProber, digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, World

ANYWHERE = VersionCheck(path="/version")
OLD, NEW = "172.18.0.2", "172.18.0.3"


@pytest.fixture
def asked(world: World) -> World:
    """A project whose app tells its version; each image's containers have an address."""
    declare(world, VersionCheck(8080, "/version", "commit"))
    at(world, "first", OLD)
    at(world, "second", NEW)
    return world


def declare(world: World, check: VersionCheck) -> None:
    world.store.update_project(replace(world.store.get_project(WEB), version=check))


def at(world: World, image: str, address: str) -> None:
    def look(sample: Sample) -> Sample:
        return replace(sample, address=address)

    world.strategy.looks[digest_of(image)] = look


def test_each_look_asks_the_container_on_its_own_address(asked: World) -> None:
    """Of the commit that is deployed, several times."""
    assert asked.deploy(A).status is Status.DEPLOYED
    assert set(asked.prober.asked_versions) == {(OLD, A)}
    assert len(asked.prober.asked_versions) >= 3


def test_one_that_tells_another_version_goes_back(asked: World) -> None:
    """It says what was told and what should have been; what runs again has to tell its own."""
    asked.deploy(A)
    asked.strategy.digests[IMAGE] = digest_of("second")
    asked.prober.versions[NEW] = f"/version tells {A}, expected is {B}"
    failed = asked.deploy(B)
    assert failed.status is Status.ROLLED_BACK
    assert failed.error is not None
    assert f"/version tells {A}, expected is {B}" in failed.error.message
    assert asked.prober.asked_versions[-1] == (OLD, A)
    assert asked.store.get_state(WEB).quarantined


def test_what_comes_back_and_tells_another_version_needs_a_person(asked: World) -> None:
    """Going back is no success either, unless the app says so."""
    asked.deploy(A)
    asked.strategy.digests[IMAGE] = digest_of("second")
    asked.prober.versions |= {OLD: "/version tells nothing", NEW: "/version tells nothing"}
    assert asked.deploy(B).status is Status.NEEDS_OPERATOR


def test_one_wrong_answer_begins_the_count_anew(asked: World) -> None:
    """An old container behind a name, or a cache, that answers now and then is found out."""
    prober = Flickering()
    asked.prober = prober
    failed = asked.deploy(A)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert "is not proven to be this version" in failed.error.message


def test_what_was_restarted_has_to_say_it_again(asked: World) -> None:
    """Three answers of one life of a container count, not of several."""
    second = timedelta(seconds=1)
    asked.limits = Limits(Window(healthy=second, unchecked=second))

    def restart(call: str) -> None:
        if call == "observe" and len(asked.prober.asked_versions) == 2:
            (sample,) = asked.strategy.running[WEB, LOCAL]
            again = replace(sample, started_at="later", address=NEW)
            asked.strategy.running[WEB, LOCAL] = [again]

    asked.strategy.on_call = restart
    assert asked.deploy(A).status is Status.DEPLOYED
    assert asked.prober.asked_versions == [(OLD, A)] * 2 + [(NEW, A)] * 4


def test_a_container_without_an_address_is_said(asked: World) -> None:
    """Nobody knows what it is, so it is no success."""
    at(asked, "first", "")
    failed = asked.deploy(A)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert "no address of its own" in failed.error.message


def test_a_service_that_is_not_there_is_named(asked: World) -> None:
    """Nothing that could answer is not taken for a good answer."""
    declare(asked, VersionCheck(8080, service=ServiceName("api")))
    failed = asked.deploy(A)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error.message == (
        "version.service: 'api' is none of the services that keep running: web"
    )
    assert "apply" not in asked.strategy.calls


def test_what_is_gone_back_to_is_asked_as_it_was_when_it_proved_itself(asked: World) -> None:
    """An endpoint that was declared since keeps no good version from coming back."""
    first = asked.deploy(A)
    declare(asked, VersionCheck(8080, service=ServiceName("api")))
    asked.trigger(A, Trigger.ROLLBACK, revision=first.target_revision, restores=first.id)
    asked.prober.asked_versions.clear()
    assert asked.roll_out().status is Status.DEPLOYED
    assert set(asked.prober.asked_versions) == {(OLD, A)}


def test_a_bad_version_that_came_with_the_endpoint_goes_back(world: World) -> None:
    """The earlier one has no such endpoint, and was good without it."""
    world.deploy(A)
    declare(world, VersionCheck(8080, "/version", "commit"))
    world.strategy.failures["apply"] = [CommandFailed("compose ended with 1")]
    assert world.deploy(B).status is Status.ROLLED_BACK
    assert world.prober.asked_versions == []


def test_what_has_ended_is_not_asked(asked: World) -> None:
    """It could not answer."""
    asked.strategy.looks[digest_of("first")] = lambda sample: replace(
        sample, state=RunState.RESTARTING, address=""
    )
    assert asked.deploy(A).status is Status.FAILED
    assert asked.prober.asked_versions == []


def test_a_host_that_can_not_ask_is_given_a_while(asked: World) -> None:
    """As for a health check: silence of the host is no answer of the app."""
    silent = Silent()
    asked.prober = silent
    assert asked.deploy(A).status is Status.DEPLOYED
    assert silent.silences == 5


def test_one_that_keeps_telling_another_version_is_not_waited_for(asked: World) -> None:
    """After its start period, as many bad answers in a row as it says are a verdict."""
    check = VersionCheck(8080, start_period=timedelta(seconds=4), retries=2)
    declare(asked, check)
    asked.prober.versions[OLD] = "/version tells another"
    began = asked.clock.monotonic()
    failed = asked.deploy(A)
    assert failed.error is not None
    assert "is not this version (version: /version tells another)" in failed.error.message
    assert asked.clock.monotonic() - began == 5


def test_what_may_start_slowly_may_tell_its_version_late(asked: World) -> None:
    """The start period of the target's own check holds for the version, too."""
    declare(asked, VersionCheck(8080, start_period=timedelta(0), retries=1))
    slow = HealthCheck(ProbeKind.TCP, port=80, start_period=timedelta(seconds=40))
    target = replace(implied_target(WEB), health=slow)
    project = asked.store.get_project(WEB)
    asked.store.update_project(replace(project, targets=(target,)))
    asked.prober = Late(30)
    assert asked.deploy(A).status is Status.DEPLOYED


def test_where_no_commit_is_deployed_none_is_asked_for(asked: World) -> None:
    """A revision of images alone has none; nothing is changed first to find that out."""
    project = asked.store.get_project(WEB)
    prepared = PreparedTarget(Revision(None, {}), (PlannedService(ServiceName("web"), None),))
    with pytest.raises(InvalidInput, match="asks for the commit, and none is deployed"):
        require_version_to_ask(project, project.where[0], prepared)


def test_a_unit_is_asked_where_its_target_listens(asked: World) -> None:
    """Unless the check names a port of its own; without either it is said before anything else."""
    unit = replace(
        asked.store.get_project(WEB), kind=ProjectKind.UNIT, expose_service=None, version=ANYWHERE
    )
    target = Target(WEB, LOCAL, port=9000)
    service = PlannedService(ServiceName("shop"), None)
    prepared = PreparedTarget(Revision(A), (service,))
    prober = Ports()
    for check in (ANYWHERE, replace(ANYWHERE, port=9001)):
        checkup = Checkup(prober, replace(unit, version=check), target, prepared)
        sample = Sample("shop.service", "shop", RunState.RUNNING, frozenset(), address="127.0.0.1")
        checkup.ask(lambda: timedelta(0), [sample])
        assert checkup.judge([sample])[0].version_doubt == "1 of 3 good answers"
    assert prober.ports == [9000, 9001]
    with pytest.raises(InvalidInput, match=r"version\.port: is missing, and so is the port"):
        require_version_to_ask(unit, replace(target, port=None), prepared)


class Ports(RehearsedProber):
    """Remembers at which port it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: list[int | None] = []

    def probe_version(
        self, target: Target, address: str, check: VersionCheck, commit: CommitSha
    ) -> Reading:
        self.ports.append(check.port)
        return super().probe_version(target, address, check, commit)


class Late(RehearsedProber):
    """Tells nothing the first few times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._left = times

    def probe_version(
        self, target: Target, address: str, check: VersionCheck, commit: CommitSha
    ) -> Reading:
        self._left -= 1
        problem = "no connection" if self._left >= 0 else ""
        return replace(super().probe_version(target, address, check, commit), problem=problem)


class Flickering(RehearsedProber):
    """Every third answer is another version's."""

    def probe_version(
        self, target: Target, address: str, check: VersionCheck, commit: CommitSha
    ) -> Reading:
        self.asked_versions.append((address, commit))
        problem = "" if len(self.asked_versions) % 3 else "/version tells another"
        return Reading("version", problem)


class Silent(RehearsedProber):
    """Can't ask at first."""

    silences = 0

    def probe_version(
        self, target: Target, address: str, check: VersionCheck, commit: CommitSha
    ) -> Reading:
        if self.silences < 5:
            self.silences += 1
            raise TargetUnreachable("the host hangs")
        return Reading("version")
