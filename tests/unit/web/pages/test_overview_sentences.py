"""What a row of the overview says beside what runs."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.domain.deployment import (
    Deployment,
    DeploymentId,
    Status,
    TargetRecord,
    TargetStatus,
)
from reconciler.domain.host import LOCAL
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import ProjectName
from reconciler.domain.rules import Freeze
from reconciler.domain.state import ProjectState, SourceHealth
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.web.pages.overview.sentences import Sentence, sentence_of, without_commands
from tests.parts.made_up import commit_of, revision_of
from tests.parts.stores import failure

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WEB = Project(ProjectName("web"), ProjectKind.COMPOSE, NOW, NOW, auto_deploy=True)
ALL = frozenset({"trigger", "config"})


def deployment(number: int, status: Status, *targets: TargetStatus) -> Deployment:
    records = tuple(TargetRecord(LOCAL, one, NOW, NOW) for one in targets)
    return Deployment(
        DeploymentId(number),
        WEB.name,
        replace(revision_of(WEB, number), commit=commit_of("web", number)),
        (),
        status,
        NOW,
        targets=records,
    )


def summary(standing: StandingCode, text: str, **facts: object) -> ProjectSummary:
    state = ProjectState(WEB.name, **facts)  # type: ignore[arg-type]  # of a state
    return ProjectSummary(WEB, state, SourceHealth(), standing, text, "")


def said(one: ProjectSummary, rights: frozenset[str] = ALL) -> Sentence:
    found = sentence_of(one, rights)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("it waits; `reconciler switch on` lets it go on", "it waits"),
        ("main is gone; push it, or another: `reconciler project set x`", "main is gone"),
        ("mend `this`; try again", "mend `this`; try again"),
        ("`reconciler deploy x` starts it", ""),
    ],
)
def test_links_stand_in_place_of_commands(text: str, shown: str) -> None:
    assert without_commands(text) == shown


@pytest.mark.parametrize(
    ("targets", "serves"),
    [
        ((TargetStatus.WAITING,), True),
        ((TargetStatus.ROLLED_BACK, TargetStatus.WAITING), True),
        ((TargetStatus.FAILED,), False),
        ((), False),
    ],
)
def test_what_serves_is_told_only_where_it_is_known(
    targets: tuple[TargetStatus, ...], serves: bool
) -> None:
    live = deployment(1, Status.DEPLOYED)
    latest = deployment(2, Status.FAILED, *targets)
    text = "deployment 2 failed: health answered 502"
    told = said(summary(StandingCode.FAILED, text, live=live, latest=latest))
    still = f" {commit_of('web', 1).short} still serves." if serves else ""
    assert told == Sentence(f"Health answered 502.{still}", "Read #2", "/deployments/2")


def test_who_may_not_do_it_is_led_to_why() -> None:
    freeze = Freeze("ann", NOW)
    held = summary(StandingCode.HELD, "main waits: ann froze web; `reconciler …`", freeze=freeze)
    assert said(held).link == "Resume…"
    told = said(held, frozenset())
    assert told == Sentence("Main waits: ann froze web.", "Why", "/projects/web")
    gone = summary(StandingCode.BRANCH_GONE, "branch x does not exist any more")
    assert said(gone).address == "/projects/web/settings"
    assert said(gone, frozenset({"trigger"})).address == "/projects/web"
    never = summary(StandingCode.NEVER_DEPLOYED, "nothing was deployed yet")
    assert said(never).address == "/projects/web/deploy"
    assert said(never, frozenset()) == Sentence("Nothing was deployed yet.")


def test_what_is_in_sync_says_nothing_but_trouble_where_no_column_does() -> None:
    calm = summary(StandingCode.IN_SYNC, "deployment 1 runs, and nothing moved since")
    assert sentence_of(calm, ALL) is None
    silent = replace(calm, health=SourceHealth(error=failure()), text="its source is silent")
    assert said(silent) == Sentence("Its source is silent.", narrow=True)
    text = "deployment 1 runs; the next look takes up main at …"
    moved = replace(calm, health=SourceHealth(observed=commit_of("web", 2)), text=text)
    assert said(moved) == Sentence("Deployment 1 runs; the next look takes up main at …")


def test_everything_that_a_project_can_be_has_its_sentence() -> None:
    quiet = {StandingCode.DEPLOYING, StandingCode.IN_SYNC, StandingCode.QUARANTINED}
    for standing in set(StandingCode) - quiet:
        assert said(summary(standing, "so it is")).text, standing
