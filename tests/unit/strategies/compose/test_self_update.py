"""Handing the daemon's own project over, and what each process that comes up makes of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.domain.deployment import DeploymentId, PlannedService, PreparedTarget
from reconciler.domain.errors import CommandFailed, HandedOver, RolloutError
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import ProjectName, ServiceName
from reconciler.domain.revision import Revision
from reconciler.domain.target import implied_target
from reconciler.ports import OwnContainer, Work
from reconciler.strategies.compose.self_update import SelfUpdates
from reconciler.strategies.compose.switch import Switch
from reconciler.testing import RecordingRunner

NAME = ProjectName("daemon")
AT = datetime(2030, 1, 1, tzinfo=UTC)
OLD = OwnContainer(
    "a" * 64, NAME, "reconciler", "sha256:" + "1" * 64, "", (), frozenset({"/var/lib/reconciler"})
)
NEW, BACK = replace(OLD, id="b" * 64), replace(OLD, id="c" * 64)
_FILE = '{"services": {"reconciler": {"image": "app@sha256:2"}}}'


def prepared(number: int) -> PreparedTarget:
    services = (PlannedService(ServiceName("reconciler"), None),)
    return PreparedTarget(Revision(None), services, override_file=f".deploy/override-{number}.yaml")


FIRST, SECOND = prepared(1), prepared(2)


@dataclass
class Rig:
    """The updates of one data folder, seen by one process after another."""

    folder: Path
    runner: RecordingRunner = field(default_factory=RecordingRunner)
    log: list[str] = field(default_factory=list)
    rendered: list[PreparedTarget] = field(default_factory=list)

    @property
    def updates(self) -> SelfUpdates:
        return SelfUpdates(
            self.folder, self.runner, "unix:///docker.sock", "/bin/python", timedelta(minutes=5)
        )

    @property
    def switch(self) -> Switch:
        return Switch(self.folder / "2-override-2")

    def work(self, earlier: PreparedTarget | None = FIRST) -> Work:
        return Work(
            deployment=DeploymentId(2),
            project=Project(NAME, ProjectKind.COMPOSE, AT, AT),
            target=implied_target(NAME),
            revision=Revision(None),
            variables={},
            credentials=None,
            log=self.log.append,
            cancel=threading.Event(),
            earlier=earlier,
        )

    def apply(
        self, own: OwnContainer, wanted: PreparedTarget = SECOND, work: Work | None = None
    ) -> None:
        def render(one: PreparedTarget) -> str:
            self.rendered.append(one)
            return _FILE.replace(":2", f":{one.override_file[17]}")

        self.updates.apply(work or self.work(), wanted, own, render)

    def hand_over(self) -> None:
        with pytest.raises(HandedOver):
            self.apply(OLD)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_container_of_the_present_image_is_started_with_what_the_daemon_has(rig: Rig) -> None:
    """Under a name that can't be taken twice; the secrets are in files that only we may read."""
    own = replace(OLD, user="1000:1000", groups=("998",))
    with pytest.raises(HandedOver, match="reconciler-self-update-daemon-2-override-2"):
        rig.apply(own)
    (command,) = rig.runner.commands
    said = " ".join(command.argv)
    assert f"--volumes-from {OLD.id} --network none --user 1000:1000 --group-add 998" in said
    assert said.endswith(
        f"--entrypoint /bin/python {OLD.image} -m reconciler.app.self_update {rig.switch.folder}"
    )
    assert rig.rendered == [FIRST, SECOND], "the work tree is left as it is to be"
    assert "@sha256:2" in rig.switch.read("forward.json")
    assert "@sha256:1" in rig.switch.read("back.json")
    assert {path.stat().st_mode & 0o777 for path in rig.switch.folder.iterdir()} == {0o600}
    assert rig.switch.folder.stat().st_mode & 0o777 == 0o700


def test_without_an_earlier_deployment_it_goes_back_to_the_image_that_runs(rig: Rig) -> None:
    with pytest.raises(HandedOver):
        rig.apply(OLD, work=rig.work(earlier=None))
    assert OLD.image in rig.switch.read("back.json")
    assert OLD.image not in rig.switch.read("forward.json")


def test_an_old_process_that_comes_up_again_starts_the_container_that_is_there(rig: Rig) -> None:
    """Killed between the two, for instance: nothing is planned twice."""
    rig.hand_over()
    taken = (125, "", 'Conflict. The container name "/x" is already in use by container "y".')
    rig.runner.answers[("docker", "run")] = taken
    rig.hand_over()
    assert rig.runner.commands[-1].argv[:2] == ("docker", "start")
    assert rig.rendered == [FIRST, SECOND]


def test_what_can_t_be_started_is_a_failure_and_nothing_was_changed(rig: Rig) -> None:
    rig.runner.answers[("docker", "run")] = (125, "", "no space left on device")
    rig.runner.answers[("docker", "rm")] = (1, "", "Error: No such container: x")
    with pytest.raises(CommandFailed, match="no space left"):
        rig.apply(OLD)
    assert not list(rig.switch.folder.glob("*ward.json")), "no secret is left"
    rig.apply(OLD, FIRST)
    assert rig.log == [f"the new version did not hold: {rig.switch.went_back}"]


def test_one_that_may_have_been_started_is_left_at_work(rig: Rig) -> None:
    rig.runner.answers[("docker",)] = (125, "", "error during connect")
    with pytest.raises(CommandFailed, match="error during connect"):
        rig.apply(OLD)
    assert rig.switch.read("forward.json")
    assert not rig.switch.verdict


def test_the_new_version_goes_on_and_its_word_is_the_last(rig: Rig) -> None:
    rig.hand_over()
    rig.apply(NEW)
    rig.updates.confirm(rig.work(), SECOND)
    assert not rig.switch.go_back("too late")
    rig.updates.confirm(rig.work(), SECOND)
    rig.apply(NEW)


def test_the_old_version_is_told_why_the_new_one_did_not_hold(rig: Rig) -> None:
    """It closes the record, and finds that it runs already: there is no second switch."""
    rig.hand_over()
    rig.switch.go_back("it ended\nwith exit status 3")
    rig.switch.end()
    with pytest.raises(RolloutError, match=r"did not hold, .*: it ended with exit status 3"):
        rig.apply(BACK)
    started = len(rig.runner.commands)
    rig.apply(BACK, FIRST)
    assert len(rig.runner.commands) == started
    assert rig.rendered[-1] == FIRST, "the work tree went back, too"


def test_a_confirmation_that_comes_too_late_is_refused(rig: Rig) -> None:
    rig.hand_over()
    rig.apply(NEW)
    rig.switch.go_back("it was not ready in time")
    with pytest.raises(RolloutError, match="not ready in time"):
        rig.updates.confirm(rig.work(), SECOND)


def test_a_new_version_that_finds_itself_unwell_has_the_old_one_brought_back(rig: Rig) -> None:
    rig.hand_over()
    rig.apply(NEW)
    with pytest.raises(HandedOver, match="brings the old version back"):
        rig.apply(NEW, FIRST)
    assert rig.switch.went_back == "it was not well once it ran"
    rig.switch.end()
    with pytest.raises(HandedOver):
        rig.apply(NEW, FIRST)
    rig.apply(BACK, FIRST)


def test_going_back_from_what_was_confirmed_is_a_switch_of_its_own(rig: Rig) -> None:
    """Another host of the same deployment failed later, for instance."""
    rig.hand_over()
    rig.apply(NEW)
    rig.updates.confirm(rig.work(), SECOND)
    with pytest.raises(HandedOver, match="2-override-1"):
        rig.apply(NEW, FIRST)


def test_a_project_whose_daemon_was_not_touched_is_done(rig: Rig) -> None:
    """Only its database was updated, for instance."""
    rig.hand_over()
    rig.switch.note("switched")
    rig.apply(OLD)


def test_what_is_over_is_swept(rig: Rig) -> None:
    rig.hand_over()
    rig.switch.end()
    assert not list(rig.switch.folder.glob("*ward.json"))
    with pytest.raises(HandedOver):
        rig.apply(OLD, work=replace(rig.work(), deployment=DeploymentId(3)))
    assert [path.name for path in rig.folder.iterdir()] == ["3-override-2"]


def test_what_a_killed_process_left_half_written_goes_at_the_next_start(rig: Rig) -> None:
    """Nobody looks for it any more, and there are secrets in it."""
    rig.hand_over()
    part = rig.folder / ".2-override-2.1f2e3d4c"
    part.mkdir()
    (part / "forward.json").write_text(_FILE)
    rig.updates.drop_half_written()
    assert list(rig.folder.iterdir()) == [rig.switch.folder]


def test_the_first_verdict_counts(rig: Rig) -> None:
    """Whoever decides at the same instant learns what was decided."""
    rig.hand_over()
    barrier, said = threading.Barrier(8), list[bool]()

    def decide(one: Callable[[], bool]) -> None:
        barrier.wait()
        said.append(one())

    ways = [rig.switch.confirm, lambda: rig.switch.go_back("why")] * 4
    threads = [threading.Thread(target=decide, args=(way,)) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(said) == 4
    assert rig.switch.verdict in {"confirmed", "went back: why"}
