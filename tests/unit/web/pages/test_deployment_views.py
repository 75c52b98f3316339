"""What pages work out of a deployment: its stages, its place, where its log tells of an error."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.domain.deployment import (
    Cause,
    Deployment,
    DeploymentId,
    Stage,
    StageRecord,
    Status,
    TargetRecord,
    TargetStatus,
    Trigger,
)
from reconciler.domain.host import LOCAL
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Revision
from reconciler.ports import LogExtent
from reconciler.web.pages.deployment.listing import queue_places
from reconciler.web.pages.deployment.log_lines import Hit, find
from reconciler.web.pages.deployment.stages import stage_line

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
SHOP = ProjectName("shop")


def deployment(status: Status = Status.RUNNING, *took: tuple[Stage, int, str]) -> Deployment:
    """Return one with these stages, one after another, which end now; 0 s: it is under way."""
    at = NOW - timedelta(seconds=sum(seconds for _, seconds, _ in took))
    stages = []
    for stage, seconds, outcome in took:
        ended = at + timedelta(seconds=seconds) if outcome else None
        stages.append(StageRecord(stage, at, ended, outcome))
        at += timedelta(seconds=seconds)
    cause = Cause(Trigger.PUSH, "push")
    made = Deployment(DeploymentId(7), SHOP, Revision(None), (cause,), status, NOW)
    stage = took[-1][0] if took else Stage.PREPARE
    return replace(made, stages=tuple(stages), stage=stage)


USUAL = {Stage.PREPARE: timedelta(seconds=9), Stage.VERIFY: timedelta(seconds=20)}


def test_what_is_under_way_never_seems_done() -> None:
    one = deployment(Status.RUNNING, (Stage.PREPARE, 8, "ok"), (Stage.VERIFY, 25, ""))
    line = stage_line(one, USUAL, NOW)
    assert [(step.name, step.kind) for step in line.steps] == [("Prepare", "ok"), ("Verify", "run")]
    assert line.current
    assert line.current.percent == 98
    assert line.current.late == timedelta(seconds=5)
    assert line.usual == timedelta(seconds=29)


def test_without_a_history_nobody_knows_how_long_it_takes() -> None:
    line = stage_line(deployment(Status.RUNNING, (Stage.PREPARE, 3, "")), {}, NOW)
    assert [step.name for step in line.steps] == ["Prepare", "Gate", "Apply", "Verify"]
    assert line.current
    assert line.current.percent is None
    assert line.usual is None


def test_only_the_last_attempt_is_shown_and_each_stage_once() -> None:
    one = deployment(
        Status.DEPLOYED,
        *((Stage.PREPARE, 5, "failed"), (Stage.PREPARE, 4, "ok"), (Stage.GATE, 1, "ok")),
        *((Stage.APPLY, 10, "ok"), (Stage.VERIFY, 6, "ok")),
        *((Stage.APPLY, 20, "ok"), (Stage.VERIFY, 7, "ok")),
    )
    shown = [(step.name, step.took) for step in stage_line(one, {}, NOW).steps]
    assert shown == [
        ("Prepare", timedelta(seconds=4)),
        ("Gate", timedelta(seconds=1)),
        ("Apply", timedelta(seconds=30)),
        ("Verify", timedelta(seconds=13)),
    ]


def test_the_way_back_ends_with_verifying_again() -> None:
    one = deployment(
        Status.ROLLED_BACK,
        *((Stage.APPLY, 10, "ok"), (Stage.VERIFY, 6, "failed"), (Stage.ROLL_BACK, 27, "ok")),
    )
    evidence = {"roll-back": {"seconds": 15.0}}
    target = TargetRecord(LOCAL, TargetStatus.ROLLED_BACK, NOW, NOW, evidence=evidence)
    steps = stage_line(replace(one, targets=(target,)), {}, NOW).steps
    assert [(step.name, step.kind) for step in steps[1:]] == [
        ("Verify", "fail"),
        ("Roll back", "back"),
        ("Verify again", "ok"),
    ]
    assert [step.took for step in steps[2:]] == [timedelta(seconds=12), timedelta(seconds=15)]


def test_what_waits_is_told_for_what() -> None:
    blog, wiki = ProjectName("blog"), ProjectName("wiki")
    base = deployment(Status.QUEUED)
    running = [replace(base, id=DeploymentId(3), status=Status.RUNNING)]
    later = NOW + timedelta(minutes=1)
    queued = [
        replace(base, id=DeploymentId(6), project=wiki, not_before=later, attempt=2),
        replace(base, id=DeploymentId(5), project=blog),
        replace(base, id=DeploymentId(4)),
    ]
    waits = [(one.id, said, behind) for one, said, behind in queue_places(running, queued, 1, NOW)]
    assert waits == [
        (4, "1st, starts when", 3),
        (5, "2nd, starts when a place is free", None),
        (6, "attempt 2 waits for its time", None),
    ]
    (_, said, _) = next(iter(queue_places([], queued[1:2], 1, NOW)))
    assert said == "1st, starts in a moment"


@pytest.mark.parametrize(
    ("start", "back", "hit"),
    [
        pytest.param(1, False, Hit(10, 1, 3), id="first"),
        pytest.param(10, False, Hit(10, 1, 3), id="there"),
        pytest.param(11, False, Hit(20, 2, 3), id="next"),
        pytest.param(31, False, Hit(10, 1, 3), id="round"),
        pytest.param(20, True, Hit(10, 1, 3), id="before"),
        pytest.param(10, True, Hit(30, 3, 3), id="round, back"),
    ],
)
def test_finding_goes_round(start: int, hit: Hit, *, back: bool) -> None:
    assert find([10, 20, 30], start, back=back) == hit
    assert find([], start, back=back) is None


def test_places_of_lines_skip_what_was_left_out() -> None:
    extent = LogExtent(head=100, tail=901, last=1000)
    assert extent.count == 200
    assert [extent.number_at(place) for place in (1, 100, 101, 200)] == [1, 100, 901, 1000]
    assert [extent.place_of(number) for number in (1, 100, 500, 901, 1000)] == [
        1,
        100,
        100,
        101,
        200,
    ]
