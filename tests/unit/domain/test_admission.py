"""What becomes of a request."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from reconciler.domain.admission import Admit, Coalesce, Hold, Refuse, Request, decide_admission
from reconciler.domain.deployment import Cause, Deployment, DeploymentId, Status, Trigger
from reconciler.domain.gate import (
    MasterSwitch,
    reason_of_age,
    reasons_to_refuse,
    reasons_to_wait,
    time_to_ask_again,
)
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, ProjectName, ServiceName
from reconciler.domain.revision import Revision
from reconciler.domain.rules import Freeze, Rules
from reconciler.domain.state import ProjectState, Quarantine
from reconciler.domain.windows import DeployWindow
from reconciler.testing import digest_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
WEB = ProjectName("web")
PROJECT = Project(
    WEB,
    ProjectKind.COMPOSE,
    NOW,
    NOW,
    auto_deploy=True,
    expose_service=ServiceName("app"),
    expose_port=80,
)
A, B, C = (CommitSha(letter * 40) for letter in "abc")
IMAGE = "registry.example/team/app:main"
ON, OFF = MasterSwitch(), MasterSwitch(enabled=False, changed_by="ann", reason="fire drill")


def deployment(number: int, commit: CommitSha, status: Status, **changes: object) -> Deployment:
    cause = Cause(Trigger.GIT_POLL, "poller")
    plain = Deployment(DeploymentId(number), WEB, Revision(commit), (cause,), status, NOW)
    return replace(plain, **changes)  # type: ignore[arg-type]


def request(commit: CommitSha, trigger: Trigger = Trigger.GIT_POLL, **changes: object) -> Request:
    plain = Request(WEB, Revision(commit), Cause(trigger, "somebody"))
    return replace(plain, **changes)  # type: ignore[arg-type]


LIVE_A = deployment(1, A, Status.DEPLOYED)
RUNNING_B = deployment(2, B, Status.RUNNING)
QUEUED_C = deployment(3, C, Status.QUEUED)
QUARANTINE_B = Quarantine(Revision(B), 2, NOW, "app is unhealthy")


@pytest.mark.parametrize(
    ("state", "asked", "expected"),
    [
        pytest.param(ProjectState(WEB), request(A), Admit(), id="first-ever"),
        pytest.param(ProjectState(WEB, live=LIVE_A), request(B), Admit(), id="moved"),
        pytest.param(
            ProjectState(WEB, queued=QUEUED_C), request(A), Admit(replaces=QUEUED_C), id="replaces"
        ),
        pytest.param(
            ProjectState(WEB, running=RUNNING_B), request(C), Admit(), id="behind-a-running-one"
        ),
        pytest.param(
            ProjectState(WEB, running=RUNNING_B, queued=QUEUED_C),
            request(B),
            Admit(replaces=QUEUED_C),
            id="back-to-what-runs-while-another-waits",
        ),
        pytest.param(
            ProjectState(WEB, live=LIVE_A, running=RUNNING_B),
            request(A),
            Admit(),
            id="back-to-live-while-another-runs",
        ),
        pytest.param(
            ProjectState(WEB, live=LIVE_A),
            request(A, Trigger.PERSON, force=True),
            Admit(),
            id="forced-again",
        ),
        pytest.param(
            ProjectState(WEB, quarantined=(QUARANTINE_B,)),
            request(B, Trigger.PERSON, force=True),
            Admit(),
            id="forced-out-of-quarantine",
        ),
        pytest.param(
            ProjectState(WEB, quarantined=(QUARANTINE_B,)),
            request(C),
            Admit(),
            id="newer-than-the-quarantined",
        ),
        pytest.param(
            ProjectState(WEB, live=LIVE_A, quarantined=(QUARANTINE_B,)),
            request(B, Trigger.ROLLBACK, restores=DeploymentId(2)),
            Admit(),
            id="a-rollback-is-a-wish",
        ),
    ],
)
def test_admits(state: ProjectState, asked: Request, expected: Admit) -> None:
    """A revision that neither waits, runs, is live nor quarantined is admitted."""
    assert decide_admission(PROJECT, state, asked, ON, NOW) == expected


@pytest.mark.parametrize(
    ("state", "code"),
    [
        pytest.param(ProjectState(WEB, queued=QUEUED_C), ReasonCode.ALREADY_QUEUED, id="queued"),
        pytest.param(
            ProjectState(WEB, running=replace(RUNNING_B, revision=Revision(C))),
            ReasonCode.ALREADY_RUNNING,
            id="running",
        ),
    ],
)
def test_coalesces(state: ProjectState, code: ReasonCode) -> None:
    """The same revision under way serves the request."""
    decision = decide_admission(PROJECT, state, request(C), ON, NOW)
    assert isinstance(decision, Coalesce)
    assert decision.reason.code is code


def test_force_is_not_lost_in_an_unforced_one() -> None:
    """A person who insists gets a deployment that insists."""
    state = ProjectState(WEB, queued=QUEUED_C)
    asked = request(C, Trigger.PERSON, force=True)
    assert decide_admission(PROJECT, state, asked, ON, NOW) == Admit(replaces=QUEUED_C)


@pytest.mark.parametrize(
    ("state", "asked", "code"),
    [
        pytest.param(
            ProjectState(WEB, live=LIVE_A), request(A), ReasonCode.ALREADY_LIVE, id="live"
        ),
        pytest.param(
            ProjectState(WEB, live=LIVE_A),
            request(A, Trigger.PERSON),
            ReasonCode.ALREADY_LIVE,
            id="live-asked-by-a-person",
        ),
        pytest.param(
            ProjectState(WEB, live=LIVE_A, quarantined=(QUARANTINE_B,)),
            request(B),
            ReasonCode.QUARANTINED,
            id="quarantined",
        ),
    ],
)
def test_refuses(state: ProjectState, asked: Request, code: ReasonCode) -> None:
    """What is live or quarantined is not deployed again unless a person insists."""
    decision = decide_admission(PROJECT, state, asked, ON, NOW)
    assert isinstance(decision, Refuse)
    assert [reason.code for reason in decision.reasons] == [code]


def test_a_new_digest_leaves_the_quarantine() -> None:
    """Quarantine is of one commit with its digests; either of them moving lifts it."""
    bad = Revision(B, {IMAGE: digest_of("bad")})
    state = ProjectState(WEB, quarantined=(Quarantine(bad, 2, NOW, "unhealthy"),))
    fixed = replace(request(B), revision=Revision(B, {IMAGE: digest_of("fixed")}))
    assert decide_admission(PROJECT, state, fixed, ON, NOW) == Admit()


@pytest.mark.parametrize(
    ("switch", "project", "code"),
    [
        pytest.param(OFF, PROJECT, ReasonCode.MASTER_SWITCH_OFF, id="master-switch"),
        pytest.param(
            MasterSwitch(emergency_file="/stop"), PROJECT, ReasonCode.EMERGENCY_FILE, id="file"
        ),
        pytest.param(
            ON, replace(PROJECT, auto_deploy=False), ReasonCode.AUTO_DEPLOY_OFF, id="toggle"
        ),
        pytest.param(ON, replace(PROJECT, expose_port=None), ReasonCode.EXPOSE_MISSING, id="port"),
        pytest.param(
            ON, replace(PROJECT, kind=ProjectKind.TUNNEL), ReasonCode.NOTHING_TO_DEPLOY, id="kind"
        ),
    ],
)
def test_holds_what_no_person_asked_for(
    switch: MasterSwitch, project: Project, code: ReasonCode
) -> None:
    """A brake holds every automatic request, so that the next look asks again."""
    for trigger in Trigger:
        decision = decide_admission(project, ProjectState(WEB), request(A, trigger), switch, NOW)
        if trigger.automatic:
            assert isinstance(decision, Hold)
            assert decision.reasons[0].code is code
        elif code in {ReasonCode.EXPOSE_MISSING, ReasonCode.NOTHING_TO_DEPLOY}:
            assert isinstance(decision, Refuse)
        else:
            assert decision == Admit()


#: NOW is a Tuesday, midnight.
AT_NINE = DeployWindow((0, 1), time(9), time(17))
WINDOWED = replace(PROJECT, rules=Rules(windows=(AT_NINE,)))
FROZEN = Freeze("ann", NOW - timedelta(days=1), "month end", NOW + timedelta(hours=3))
LONG_FROZEN = replace(FROZEN, until=None)
HELD = [
    pytest.param(WINDOWED, None, ReasonCode.WINDOW_CLOSED, NOW + timedelta(hours=9), id="window"),
    pytest.param(PROJECT, FROZEN, ReasonCode.FROZEN, FROZEN.until, id="frozen-until"),
    pytest.param(PROJECT, LONG_FROZEN, ReasonCode.FROZEN, None, id="frozen"),
]


@pytest.mark.parametrize(("project", "freeze", "code", "until"), HELD)
def test_windows_and_a_freeze_hold_triggers_and_refuse_people(
    project: Project, freeze: Freeze | None, code: ReasonCode, until: datetime | None
) -> None:
    """A person may go past them with a reason; a rollback asks nobody."""
    state = ProjectState(WEB, freeze=freeze)

    def ask(trigger: Trigger, **changes: object) -> object:
        return decide_admission(project, state, request(A, trigger, **changes), ON, NOW)

    for trigger in Trigger:
        if trigger.automatic:
            held = ask(trigger, override="nobody's")
            assert isinstance(held, Hold)
            assert [(one.code, one.until) for one in held.reasons] == [(code, until)]
    refused = ask(Trigger.PERSON, force=True)
    assert isinstance(refused, Refuse)
    assert refused.reasons[0].code is code
    assert "--override" in refused.reasons[0].remedy
    assert ask(Trigger.PERSON, override="the shop is down") == Admit()
    assert ask(Trigger.ROLLBACK, restores=DeploymentId(1)) == Admit()


def test_the_reasons_say_who_when_and_why() -> None:
    """A freeze that is over says nothing any more."""
    reasons = reasons_to_wait(WINDOWED, FROZEN, NOW)
    frozen, closed = (one.text for one in reasons)
    assert frozen.startswith("ann froze web until Tue 2030-01-01 03:00 UTC: month end; ")
    assert closed == "no deploy window of web is open; the next opens Tue 2030-01-01 09:00 UTC"
    assert time_to_ask_again(reasons) == NOW + timedelta(hours=9)
    assert reasons_to_wait(WINDOWED, FROZEN, NOW + timedelta(hours=9)) == ()


def test_what_is_under_way_serves_a_person_in_a_closed_window() -> None:
    """What only waits does not: it would be stopped at its start."""
    asked = request(C, Trigger.PERSON)
    running = ProjectState(WEB, running=replace(RUNNING_B, revision=Revision(C)))
    assert isinstance(decide_admission(WINDOWED, running, asked, ON, NOW), Coalesce)
    queued = ProjectState(WEB, queued=QUEUED_C)
    assert isinstance(decide_admission(WINDOWED, queued, asked, ON, NOW), Refuse)
    overriding = replace(asked, override="urgent")
    assert isinstance(decide_admission(WINDOWED, queued, overriding, ON, NOW), Coalesce)


def test_a_young_image_is_old_enough_in_time() -> None:
    """Counted from when its digest was seen first."""
    careful = replace(PROJECT, rules=Rules(minimum_image_age=timedelta(days=3)))
    seen = NOW - timedelta(days=2)
    young = reason_of_age(careful, IMAGE, digest_of("new"), seen, NOW)
    assert young
    assert young.until == NOW + timedelta(days=1)
    asked = request(A, Trigger.IMAGE_WATCH, too_young=(young,))
    assert decide_admission(careful, ProjectState(WEB), asked, ON, NOW) == Hold((young,))
    assert reason_of_age(careful, IMAGE, digest_of("new"), seen, young.until) is None


def test_what_is_handed_on_to_no_host_does_not_run_on_ours() -> None:
    """An image project without an image of its own has nothing that says how it would."""
    project = replace(PROJECT, kind=ProjectKind.IMAGE, image=None, targets=())
    assert [one.code for one in reasons_to_refuse(project)] == [ReasonCode.TARGET_MISSING]
