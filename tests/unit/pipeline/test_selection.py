"""Moves that concern a project, and those that are passed over: compared in a real repository."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.domain.deployment import Status, Trigger
from reconciler.domain.errors import CommandFailed, InvalidComposeFile, SourceUnreachable
from reconciler.domain.path_patterns import parse_patterns
from reconciler.domain.project import ExternalSource, HostedSource, Project
from reconciler.domain.references import BranchName, CommitSha, GitUrl
from reconciler.domain.state import ImageLook, PassedOver, ProjectState, SourceHealth
from reconciler.domain.wish import Wish
from reconciler.pipeline.explain import Explainer, StandingCode
from reconciler.pipeline.reconcile import InSync
from reconciler.pipeline.sources import Sources
from reconciler.pipeline.trigger import TriggerResult
from reconciler.ports import Comparison, PollResult
from reconciler.testing import digest_of
from tests.parts.git_repository import Repository
from tests.parts.git_server import GitServer
from tests.unit.pipeline.conftest import IMAGE, WEB, World

pytestmark = pytest.mark.needs_git

POLL = Wish(Trigger.GIT_POLL, "git-poll")
Result = TriggerResult | InSync | PassedOver


class Mono:
    """A repository of several apps, of which the project watches one."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.compared: list[tuple[CommitSha, CommitSha]] = []
        self._repositories = BareRepositories(
            folder / "hosted", LocalRunner("tests"), hook=find_hook(), socket=folder / "socket"
        )
        self.repository = Repository(self._repositories.create(WEB))
        world.compare = self._compare
        self.declare(
            source=HostedSource(WEB, BranchName("main")),
            watch_paths=parse_patterns(["apps/web"]),
            skip_markers=True,
        )
        self.first = self.commit("apps/web", "apps/blog")

    def _compare(self, project: Project, before: CommitSha, after: CommitSha) -> Comparison:
        self.compared.append((before, after))
        return self._repositories.compare(project.name, before, after)

    def declare(self, **changes: object) -> None:
        project = replace(self.world.store.get_project(WEB), **changes)  # type: ignore[arg-type]
        self.world.store.update_project(project)

    def commit(self, *apps: str, message: str = "change") -> CommitSha:
        """Change a file in each of the folders ``apps``."""
        files: dict[str, str | bytes | None] = {f"{app}/main": message for app in apps}
        return CommitSha(self.repository.commit(files, message))

    def look(self) -> Result:
        """Look at the branch as a poll does, and record what was seen."""
        tip = CommitSha(self.repository.tip())
        result = self.world.reconciler.reconcile_commit(WEB, tip, self.state.tracked_commit, POLL)
        seen = SourceHealth(observed=tip, observed_at=self.world.clock.now())
        self.world.store.record_polls([PollResult(WEB, seen)])
        return result

    def deploys(self) -> CommitSha | None:
        """Look; roll out what that asked for, and return its commit; None: nothing."""
        result = self.look()
        if not isinstance(result, TriggerResult) or not result.admitted:
            return None
        return self.world.roll_out().target_revision.commit

    @property
    def state(self) -> ProjectState:
        return self.world.store.get_state(WEB)


@pytest.fixture
def mono(world: World, tmp_path: Path) -> Mono:
    made = Mono(world, tmp_path)
    assert made.deploys() == made.first
    assert made.compared == [], "the first is deployed to align"
    return made


def test_what_changes_another_app_is_passed_over(mono: Mono) -> None:
    """Once it is known, nothing is compared again, and the commit that is tracked stays."""
    other = mono.commit("apps/blog", message="blog")
    for _ in range(3):
        passed = mono.look()
        assert isinstance(passed, PassedOver)
        assert (passed.commit, passed.code, passed.base) == (other, "path-untouched", mono.first)
    assert mono.compared == [(mono.first, other)]
    assert mono.state.tracked_commit == mono.first
    assert mono.deploys() is None


def test_the_next_commit_that_concerns_it_brings_all_along(mono: Mono) -> None:
    """It is compared with what runs, not with the commit before it."""
    mono.commit("apps/blog", message="blog")
    mono.look()
    mono.commit("apps/web", message="hidden [skip cd]")
    passed = mono.look()
    assert isinstance(passed, PassedOver)
    assert (passed.code, passed.text) == ("skip-marker", "its message says [skip cd]")
    last = mono.commit("apps/blog", message="blog again")
    assert mono.deploys() == last, "what was hidden is not deployed yet, and comes along"
    assert mono.state.passed_over is None


def test_what_is_taken_back_deploys_nothing(mono: Mono) -> None:
    """A move and its opposite between two looks are no difference."""
    mono.commit("apps/web", message="oops")
    mono.commit("apps/web")
    assert isinstance(mono.look(), PassedOver)


def test_a_revert_of_what_is_being_deployed_is_deployed(mono: Mono) -> None:
    """What will run counts, else the branch and the host would stay apart."""
    mono.commit("apps/web", message="oops")
    assert isinstance(mono.look(), TriggerResult)
    back = mono.commit("apps/web")
    assert isinstance(mono.look(), TriggerResult)
    assert mono.world.roll_out().target_revision.commit == back


def test_another_app_moves_while_it_is_being_deployed(mono: Mono) -> None:
    """Passed over, and decided anew where that deployment comes to nothing."""
    mine = mono.commit("apps/web", message="mine")
    assert isinstance(mono.look(), TriggerResult)
    claim = mono.world.claim()
    other = mono.commit("apps/blog", message="blog")
    passed = mono.look()
    assert isinstance(passed, PassedOver)
    assert passed.base == mine
    mono.world.strategy.failures["prepare"] = [InvalidComposeFile("no services")]
    assert mono.world.roll_out(claim).status is Status.FAILED
    assert mono.deploys() == other


def test_another_app_moves_while_one_is_quarantined(mono: Mono) -> None:
    """It does not bring back what was rolled back; a commit that may mend it does."""
    bad = mono.commit("apps/web", message="bad")
    mono.world.strategy.failures["apply"] = [CommandFailed("up ended with exit status 1")]
    assert mono.deploys() == bad
    for message in ("one", "two"):
        other = mono.commit("apps/blog", message=message)
        for _ in range(2):
            passed = mono.look()
            assert isinstance(passed, PassedOver)
            assert (passed.commit, passed.base) == (other, bad)
    summary = Explainer(mono.world.store, mono.world.clock, mono.world.brakes).summary(WEB)
    assert summary.standing is StandingCode.QUARANTINED
    mended = mono.commit("apps/web", message="mended")
    assert mono.deploys() == mended


def test_a_lifted_quarantine_deploys_the_newest_commit(mono: Mono) -> None:
    """Also if that concerns another app: it brings along what was rolled back."""
    mono.commit("apps/web", message="bad")
    mono.world.strategy.failures["apply"] = [CommandFailed("up ended with exit status 1")]
    mono.deploys()
    other = mono.commit("apps/blog", message="blog")
    assert mono.deploys() is None
    assert mono.world.store.lift_quarantine(WEB) == 1
    assert mono.deploys() == other


def test_another_declaration_gives_a_quarantined_commit_another_chance(mono: Mono) -> None:
    """What was wrong may have been that."""
    mono.commit("apps/web", message="bad")
    mono.world.strategy.failures["apply"] = [CommandFailed("up ended with exit status 1")]
    mono.deploys()
    mono.declare(generation=2)
    other = mono.commit("apps/blog", message="blog")
    assert mono.deploys() == other


def test_another_app_moves_after_a_person_rolled_back(mono: Mono) -> None:
    """It does not undo that."""
    live = mono.state.live
    assert live is not None
    left = mono.commit("apps/web", message="left")
    assert mono.deploys() == left
    back = mono.world.trigger(
        mono.first, Trigger.ROLLBACK, revision=live.target_revision, restores=live.id
    )
    assert back.admitted
    assert mono.world.roll_out().target_revision.commit == mono.first
    mono.commit("apps/blog", message="blog")
    passed = mono.look()
    assert isinstance(passed, PassedOver)
    assert passed.base == left
    newer = mono.commit("apps/web", message="newer")
    assert mono.deploys() == newer


def test_a_forced_push_is_compared_while_the_old_commit_is_there(mono: Mono) -> None:
    """What differs counts, not what the history says; without the old commit, it is deployed."""
    unrelated = mono.repository.commit(
        {"apps/web/main": "change", "apps/blog/main": "x"}, parent=""
    )
    passed = mono.look()
    assert isinstance(passed, PassedOver)
    assert passed.commit == CommitSha(unrelated)
    mono.repository.git("reflog", "expire", "--expire=now", "--all")
    mono.repository.git("gc", "--quiet", "--prune=now")
    last = CommitSha(mono.repository.commit({"apps/blog/main": "y"}, parent=""))
    result = mono.look()
    assert isinstance(result, TriggerResult)
    assert result.deployment is not None
    assert result.deployment.revision.commit == last
    assert "can't be told: commit" in result.deployment.causes[0].detail


def test_a_moved_image_deploys_no_commit_that_was_passed_over(mono: Mono) -> None:
    """It takes the commit that is tracked; what was passed over stays so."""
    mono.world.store.seed_images(WEB, {IMAGE: digest_of("one")})
    other = mono.commit("apps/blog", message="blog")
    mono.look()
    tracked = mono.world.store.get_state(WEB).tracked_images
    look = ImageLook(WEB, [IMAGE], {IMAGE: digest_of("two")}, tracked)
    watch = Wish(Trigger.IMAGE_WATCH, "image-watch")
    moved = mono.world.reconciler.reconcile_images(look, watch)
    assert isinstance(moved, TriggerResult)
    assert mono.world.roll_out().target_revision.commit == mono.first
    passed = mono.look()
    assert isinstance(passed, PassedOver)
    assert passed.commit == other
    assert len(mono.compared) == 1


def test_a_person_deploys_what_was_passed_over(mono: Mono) -> None:
    """Deploy now means now; the next look finds that it runs."""
    other = mono.commit("apps/blog", message="x [skip cd]")
    mono.look()
    assert mono.world.trigger(other, Trigger.PERSON).admitted
    mono.world.roll_out()
    assert mono.deploys() is None
    assert mono.state.tracked_commit == other
    assert mono.look() == InSync()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"watch_paths": parse_patterns(["apps/blog"])}, id="it-watches-that"),
        pytest.param({"watch_paths": ()}, id="it-watches-everything"),
    ],
)
def test_another_choice_decides_anew(mono: Mono, changes: dict[str, object]) -> None:
    """What was passed over by the old one is deployed at the next look."""
    other = mono.commit("apps/blog", message="blog")
    mono.look()
    mono.declare(**changes)
    assert mono.state.passed_over is None
    assert mono.deploys() == other


def test_a_choice_that_changes_while_commits_are_compared(mono: Mono) -> None:
    """What was decided by the old one is not recorded, and decided again."""
    other = mono.commit("apps/blog", message="blog")
    compare = mono.world.compare

    def slowly(project: Project, before: CommitSha, after: CommitSha) -> Comparison:
        found = compare(project, before, after)
        if len(mono.compared) == 1:
            mono.declare(watch_paths=parse_patterns(["apps/blog"]))
        return found

    mono.world.compare = slowly
    assert mono.deploys() == other
    assert len(mono.compared) == 2


def test_commits_that_can_not_be_compared_now_are_asked_for_again(mono: Mono) -> None:
    """A failed look decides nothing."""
    other = mono.commit("apps/web", message="mine")
    compare = mono.world.compare

    def fail(*_: object) -> Comparison:
        raise SourceUnreachable("git.example gave no answer")

    mono.world.compare = fail
    with pytest.raises(SourceUnreachable):
        mono.look()
    assert mono.state.passed_over is None
    mono.world.compare = compare
    assert mono.deploys() == other


def test_it_is_decided_while_deployments_are_held(mono: Mono) -> None:
    """Passing over starts nothing, so that the switch does not matter."""
    mono.world.switch(False)
    mono.commit("apps/blog", message="blog")
    assert isinstance(mono.look(), PassedOver)
    summary = Explainer(mono.world.store, mono.world.clock, mono.world.brakes).summary(WEB)
    assert summary.standing is StandingCode.IN_SYNC


def test_why_says_what_was_passed_over(mono: Mono) -> None:
    """The project is in sync, with the commit and the reason; a newer one is told again."""
    other = mono.commit("apps/blog", message="blog")
    mono.look()
    explainer = Explainer(mono.world.store, mono.world.clock, mono.world.brakes)
    summary, told = explainer.summary(WEB), explainer.why(WEB)
    assert summary.standing is StandingCode.IN_SYNC
    assert f"the newest commit {other.short} was passed over: 1 path differs" in summary.text
    (reason,) = [one for one in told.reasons if one.code == "path-untouched"]
    assert reason.evidence == {"commit": other.text, "compared_with": mono.first.text}
    assert reason.at == mono.world.clock.now()
    mono.commit("apps/web", message="mine")
    mono.deploys()
    assert "path-untouched" not in {one.code for one in explainer.why(WEB).reasons}


def test_a_repository_elsewhere_is_asked(world: World, tmp_path: Path) -> None:
    """By its URL, with nothing of it kept here."""
    keys = HostKeys(lambda _: "", lambda _origin, _key: None)
    with (
        GitServer() as server,
        closing(DulwichRemote(tmp_path / "git", LocalRunner("tests"), keys)) as remote,
    ):
        repository = server.repository("team/web.git")
        source = ExternalSource(GitUrl.parse(server.url("team/web.git")), BranchName("main"))
        watching = parse_patterns(["apps/web"])
        project = replace(world.store.get_project(WEB), source=source, watch_paths=watching)
        world.store.update_project(project)
        hosted = BareRepositories(
            tmp_path / "hosted", LocalRunner("tests"), hook=find_hook(), socket=tmp_path / "socket"
        )
        world.compare = Sources(world.store, remote, hosted).compare
        first, other, mine = (
            CommitSha(repository.commit({f"apps/{app}/main": str(number)}))
            for number, app in enumerate(("web", "blog", "web"))
        )
        world.deploy(first)
        passed = world.reconciler.reconcile_commit(WEB, other, first, POLL)
        assert isinstance(passed, PassedOver)
        assert passed.text.startswith("1 path differs")
        moved = world.reconciler.reconcile_commit(WEB, mine, first, POLL)
        assert isinstance(moved, TriggerResult)
        assert moved.admitted
