"""A project's 'why?' as its page shows it: who acts, in which order, and what found nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.domain.project import ProjectKind
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.state import ProjectState, SourceHealth
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.pipeline.reasons import ExplainedReason
from reconciler.pipeline.reasons.explained import reason
from reconciler.web.pages.project.reason_looks import act_of
from reconciler.web.pages.project.why import passed_checks, why_of
from reconciler.web.pages.sentences import counted, sentence
from tests.parts.stores import NOW, WEB, project

MINUTE = timedelta(minutes=1)
PROJECT = project()


def summary(
    standing: StandingCode = StandingCode.IN_SYNC, text: str = "deployment 1 runs", **fields: object
) -> ProjectSummary:
    declared = replace(PROJECT, **fields)  # type: ignore[arg-type]  # of a project
    seen = SourceHealth(looked_at=NOW, observed_at=NOW)
    return ProjectSummary(declared, ProjectState(WEB), seen, standing, text, "live")


def frozen(**evidence: str) -> ExplainedReason:
    return reason(ReasonCode.FROZEN, "ann froze web", NOW, {"by": "ann", **evidence})


def test_what_led_here_begins_with_the_newest_and_looks_are_no_part_of_it() -> None:
    told = [
        reason(ReasonCode.RUNNING, "deployment 2 is running", NOW - MINUTE, {"deployment": 2}),
        reason(ReasonCode.COMMIT_MOVED, "main moved", NOW - 2 * MINUTE, {"branch": "main"}),
        reason(ReasonCode.LIVE, "deployment 1 runs", NOW),
        reason(ReasonCode.SOURCE_OBSERVED, "branch main was at a", NOW),
        reason(ReasonCode.NEXT_LOOK, "the source is looked at again", NOW + MINUTE),
        reason(ReasonCode.NEXT_IMAGE_LOOK, "the images are looked at again", NOW + 9 * MINUTE),
    ]
    why = why_of(summary(StandingCode.DEPLOYING), told)
    assert [one.code for one in why.led_here] == ["running", "live", "commit-moved"]
    assert [one.code for one in why.seen] == ["source-observed"]
    assert why.next_look == NOW + MINUTE
    assert why.led_here[0].deployments == ["2"]
    assert why.led_here[2].text == "main moved."  # a branch keeps its name


@pytest.mark.parametrize("standing", StandingCode)
def test_every_standing_says_who_has_to_act(standing: StandingCode) -> None:
    assert why_of(summary(standing), []).who_acts.split(".")[0]


def test_what_a_person_has_to_see_to_is_said() -> None:
    calm = why_of(summary(StandingCode.HELD), [reason(ReasonCode.WINDOW_CLOSED, "closed")])
    assert calm.who_acts.startswith("Nobody has to do anything. One thing stands in its way; ")
    held = why_of(summary(StandingCode.HELD), [frozen(), reason(ReasonCode.SOAKING, "soaks")])
    assert held.who_acts.startswith("It goes on when a person has seen to what stands below. 2 ")
    assert [one.code for one in held.blockers] == ["frozen", "soaking"]
    assert held.blockers[0].text == "ann froze web."


def test_what_has_nothing_to_deploy_passed_no_checks() -> None:
    name = summary(StandingCode.NOTHING_TO_DEPLOY, kind=ProjectKind.DOMAIN_ONLY)
    why = why_of(name, [reason(ReasonCode.NOTHING_TO_DEPLOY, "nothing to deploy")])
    assert (why.blockers, why.passed) == ([], ())


def test_a_check_passed_only_where_it_was_made_and_found_nothing() -> None:
    every = passed_checks(summary(), [])
    assert "switch on" in every
    assert "source answers" in every
    assert "window open" not in every  # it has none
    assert "auto-deploy on" not in passed_checks(summary(auto_deploy=False), [])
    assert "not paused" not in passed_checks(summary(), [frozen()])
    stopped = reason(ReasonCode.EMERGENCY_FILE, "the file is there")
    assert "switch on" not in passed_checks(summary(), [stopped])


def test_evidence_that_is_a_time_is_told_as_one() -> None:
    (one,) = why_of(summary(), [frozen(until=NOW.isoformat(), note="not a T1me")]).blockers
    times = {it.name: it.at for it in one.evidence}
    assert times == {"by": None, "until": NOW, "note": None}


def test_what_helps_is_a_page_of_ours_where_there_is_one() -> None:
    lift = act_of(WEB, frozen())
    assert lift
    assert (lift.address, lift.asks_first) == ("/projects/web/pause", True)
    away = reason(ReasonCode.TARGET_UNREACHABLE, "away", evidence={"host": "vega"})
    host = act_of(WEB, away)
    assert host
    assert (host.address, host.everywhere, host.asks_first) == ("/hosts/vega", True, False)
    back = act_of(WEB, reason(ReasonCode.DRIFT, "drifted", evidence={"deployment": 7}))
    assert back
    assert back.address == "/projects/web/rollback?to=7"
    assert act_of(WEB, reason(ReasonCode.LIVE, "runs")) is None


def test_words_become_sentences() -> None:
    assert sentence("deployment 1 runs") == "Deployment 1 runs."
    assert sentence("is it started?") == "Is it started?"
    assert sentence("main moved", ["main"]) == "main moved."
    assert sentence("web: it ended") == "web: it ended."
    assert sentence("") == ""
    assert [counted(1, "commit"), counted(1200, "commit")] == ["1 commit", "1,200 commits"]
