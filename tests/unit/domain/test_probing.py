"""When the answers to a health check are a verdict."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.domain.deployment import PlannedService, PreparedTarget
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.probing import (
    CheckName,
    ProbeAnswer,
    ProbeHistory,
    with_health,
    with_version,
)
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import ProjectName, ServiceName
from reconciler.domain.revision import Revision
from reconciler.domain.verification import (
    Health,
    Observation,
    RunState,
    Sample,
    Verdict,
    Window,
    judge,
)
from reconciler.domain.version_check import VersionCheck

START, WELL, ILL = Health.STARTING, Health.HEALTHY, Health.UNHEALTHY
CHECK = HealthCheck(ProbeKind.TCP, port=80, start_period=timedelta(seconds=5))
NOW = datetime(2030, 1, 1, tzinfo=UTC)
SHOP = Project(ProjectName("shop"), ProjectKind.COMPOSE, NOW, NOW, expose_service=ServiceName("a"))
RUNNING = Sample("c1", "a", RunState.RUNNING, frozenset())


def answers(pattern: str) -> list[ProbeAnswer]:
    """One answer a second: ``+`` is a good one, ``-`` a bad one."""
    return [
        ProbeAnswer(timedelta(seconds=at), timedelta(seconds=at), "" if sign == "+" else "no")
        for at, sign in enumerate(pattern)
    ]


def histories(check: HealthCheck, given: Sequence[ProbeAnswer]) -> list[ProbeHistory]:
    """What is known before the first answer, and after each."""
    known = [ProbeHistory(check)]
    for answer in given:
        known.append(known[-1].after(answer))
    return known


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param("", START, id="nothing-was-asked-yet"),
        pytest.param("++", START, id="too-few-good-ones"),
        pytest.param("+++", WELL, id="enough-good-ones"),
        pytest.param("++-++", START, id="not-in-a-row"),
        pytest.param("-----", START, id="all-bad-within-the-start-period"),
        pytest.param("-------", START, id="too-few-bad-ones-after-it"),
        pytest.param("--------", ILL, id="enough-bad-ones-after-it"),
        pytest.param("-----++--", START, id="bad-ones-after-it-not-in-a-row"),
        pytest.param("-----++---", ILL, id="bad-ones-in-a-row-after-it"),
        pytest.param("-----+++", WELL, id="slow-start"),
        pytest.param("+++--", WELL, id="a-few-bad-ones-once-healthy"),
        pytest.param("+++---", ILL, id="bad-once-healthy-within-the-start-period"),
        pytest.param("+++--+--", WELL, id="bad-ones-once-healthy-not-in-a-row"),
        pytest.param("+++---++", ILL, id="a-few-good-ones-once-unhealthy"),
        pytest.param("+++---+++", WELL, id="well-again"),
    ],
)
def test_verdict(pattern: str, expected: Health) -> None:
    """Good ones in a row make it healthy; bad ones in a row, outside the start period, don't."""
    assert histories(CHECK, answers(pattern))[-1].health is expected


def test_start_period_ends_when_it_was_asked() -> None:
    """An answer that took its time counts by when it was asked for."""
    late = ProbeAnswer(timedelta(seconds=4), timedelta(seconds=9), "no answer within 5 s")
    check = replace(CHECK, retries=1)
    assert histories(check, [late])[-1].health is START
    later = replace(late, asked_at=timedelta(seconds=5))
    assert histories(check, [later])[-1].health is ILL


def test_due() -> None:
    """It is asked at once, and then an interval after each answer."""
    slow = ProbeAnswer(timedelta(seconds=2), timedelta(seconds=6))
    before, after = histories(replace(CHECK, interval=timedelta(seconds=10)), [slow])
    assert (before.due_at, after.due_at) == (timedelta(0), timedelta(seconds=16))


@pytest.mark.parametrize(
    ("pattern", "detail"),
    [
        ("", ""),
        ("-", "no"),
        ("+", "1 of 3 good answers"),
        ("-++", "2 of 3 good answers, after: no"),
        ("++-", "no"),
        ("-+++", ""),
        ("+++-", "no"),
        ("+++-+", ""),
        ("+++---", "no"),
    ],
)
def test_detail(pattern: str, detail: str) -> None:
    """It says what is missing, in the words of the last bad answer."""
    assert histories(CHECK, answers(pattern))[-1].detail == detail


@given(
    pattern=st.text("+-", max_size=60),
    retries=st.integers(1, 5),
    successes=st.integers(1, 5),
    start=st.integers(0, 20),
)
def test_no_verdict_without_a_row(pattern: str, retries: int, successes: int, start: int) -> None:
    """Whatever came before: a change to healthy or unhealthy ends in a whole row of its kind."""
    check = replace(
        CHECK, retries=retries, successes=successes, start_period=timedelta(seconds=start)
    )
    known = histories(check, answers(pattern))
    for at, (before, after) in enumerate(pairwise(known), start=1):
        assert after.health is not START or before.health is START
        if after.health is before.health:
            continue
        row = "+" * successes if after.health is WELL else "-" * retries
        assert pattern[:at].endswith(row)
        assert after.health is WELL or before.health is WELL or at > start


@given(pattern=st.text("+-", max_size=30))
def test_the_last_answers_decide(pattern: str) -> None:
    """However it went: enough good ones at the end are healthy, enough bad ones are not."""
    late = "-" * 6
    assert histories(CHECK, answers(pattern + "+++"))[-1].health is WELL
    assert histories(CHECK, answers(late + pattern + "---"))[-1].health is ILL


def alive(history: ProbeHistory) -> dict[CheckName, ProbeHistory]:
    return {CheckName.HEALTH: history}


@pytest.mark.parametrize("asked", [START, WELL, ILL])
@pytest.mark.parametrize("own", list(Health))
def test_worse_one_shows(own: Health, asked: Health) -> None:
    """A good answer hides nothing that a container says of itself, nor the other way round."""
    (sample,) = with_health([replace(RUNNING, health=own)], SHOP, alive(ProbeHistory(CHECK, asked)))
    assert sample.health is max(own, asked, key=[Health.NONE, WELL, START, ILL].index)


def test_detail_goes_along() -> None:
    """A sample that is not well for its answers says what they were."""
    history = ProbeHistory(CHECK, ILL, last_problem="answered 503")
    assert with_health([RUNNING], SHOP, alive(history))[0].health_detail == "health: answered 503"
    own = replace(RUNNING, health=ILL)
    starting = replace(history, health=START)
    assert with_health([own], SHOP, alive(starting)) == (own,)


@pytest.mark.parametrize(
    ("history", "problem"),
    [
        (
            ProbeHistory(CHECK, last_problem="answered 503"),
            "a: its health check has not passed yet (health: answered 503)",
        ),
        (
            ProbeHistory(CHECK, ILL, last_problem="answered 503"),
            "a: container c1 is unhealthy (health: answered 503)",
        ),
    ],
)
def test_judgement_says_what_was_answered(history: ProbeHistory, problem: str) -> None:
    """What is waited for, and what failed, is told in the words of the answer."""
    planned = PlannedService(ServiceName("a"), None)
    prepared = PreparedTarget(Revision(None), (planned,))
    seen = Observation(timedelta(0), with_health([RUNNING], SHOP, alive(history)))
    assert judge(prepared, [seen], Window()).problems == (problem,)


@pytest.mark.parametrize(
    ("pattern", "second"),
    [
        pytest.param("+" * 20, 7, id="good-from-the-start"),
        pytest.param("-" * 9 + "+" * 20, 16, id="good-after-a-while"),
        pytest.param("+++++--" + "+" * 20, 12, id="a-few-bad-ones-within-the-window"),
        pytest.param("+++++++-" + "+" * 20, 13, id="a-bad-one-at-its-end"),
    ],
)
def test_good_means_good_to_the_end(pattern: str, second: int) -> None:
    """A verdict is good after a whole window without a bad answer, never right after one."""
    check = replace(CHECK, start_period=timedelta(seconds=60))
    prepared = PreparedTarget(Revision(None), (PlannedService(ServiceName("a"), None),))
    seen: list[Observation] = []
    for history in histories(check, answers(pattern))[1:]:
        at = timedelta(seconds=len(seen))
        seen.append(Observation(at, with_health([RUNNING], SHOP, alive(history))))
        if judge(prepared, seen, Window()).verdict is Verdict.GOOD:
            break
    assert seen[-1].at == timedelta(seconds=second)


@pytest.mark.parametrize(
    ("kind", "services"),
    [
        pytest.param(ProjectKind.COMPOSE, ["a"], id="the-exposed-one-of-a-compose-project"),
        pytest.param(ProjectKind.IMAGE, ["a", "b"], id="all-of-an-image-project"),
        pytest.param(ProjectKind.UNIT, ["a", "b"], id="all-of-a-unit-project"),
    ],
)
def test_whom_it_speaks_of(kind: ProjectKind, services: list[str]) -> None:
    """The check of a compose project asks one of its services; other projects have but one."""
    project = replace(SHOP, kind=kind)
    seen = with_health(
        [RUNNING, replace(RUNNING, service="b")], project, alive(ProbeHistory(CHECK, WELL))
    )
    assert [sample.service for sample in seen if sample.health is WELL] == services


@pytest.mark.parametrize("state", [RunState.EXITED, RunState.DEAD, RunState.REMOVING])
def test_what_ended_is_not_asked(state: RunState) -> None:
    """What has ended keeps what it said itself."""
    ended = replace(RUNNING, state=state)
    assert with_health([ended], SHOP, alive(ProbeHistory(CHECK, WELL))) == (ended,)


def test_no_check() -> None:
    """A target without a health check is taken as it looks."""
    assert with_health([RUNNING], SHOP, {}) == (RUNNING,)


@pytest.mark.parametrize(
    ("alive", "ready", "health", "detail"),
    [
        (WELL, WELL, WELL, ""),
        (WELL, ILL, ILL, "ready: no"),
        (ILL, WELL, ILL, "health: no"),
        (START, ILL, ILL, "ready: no"),
        (ILL, ILL, ILL, "health: no"),
        (WELL, START, START, "ready: no"),
    ],
)
def test_both_checks_have_to_pass(
    alive: Health, ready: Health, health: Health, detail: str
) -> None:
    """The worse one shows, by its name."""
    histories = {
        name: ProbeHistory(CHECK, seen, good_in_a_row=3 * (seen is WELL), last_problem="no")
        for name, seen in ((CheckName.HEALTH, alive), (CheckName.READY, ready))
    }
    (sample,) = with_health([RUNNING], SHOP, histories)
    assert (sample.health, sample.health_detail) == (health, detail)


def test_a_version_is_doubted_until_it_is_proven() -> None:
    """Before the first answer, until there are enough good ones, and after each bad one."""
    check = VersionCheck(80, start_period=timedelta(0), retries=2, successes=2)
    history, seen = ProbeHistory(check), []
    for problem in ("", "", "it tells another", "it tells another"):
        seen.append(with_version(RUNNING, history))
        history = history.after(ProbeAnswer(timedelta(0), timedelta(0), problem))
    seen.append(with_version(RUNNING, history))
    assert [(one.version, one.version_doubt) for one in seen] == [
        (START, "it has not been asked yet"),
        (START, "1 of 2 good answers"),
        (WELL, ""),
        (START, "it tells another"),
        (ILL, "it tells another"),
    ]


def test_the_start_period_counts_from_when_it_began() -> None:
    """What was started anew in the middle of it all is given its time."""
    check = VersionCheck(80, start_period=timedelta(seconds=30), retries=1)
    late = ProbeHistory(check, began=timedelta(seconds=100))
    within, after = (timedelta(seconds=at) for at in (129, 130))
    assert late.after(ProbeAnswer(within, within, "no")).health is START
    assert late.after(ProbeAnswer(after, after, "no")).health is ILL
