"""How long stages usually take, and which are still to come."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.domain.deployment import Deployment, DeploymentId, Stage, StageRecord, Status
from reconciler.domain.durations import stages_ahead, usual_durations
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Revision

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUED = Deployment(DeploymentId(1), ProjectName("shop"), Revision(None), (), Status.QUEUED, NOW)
PLAIN = (Stage.PREPARE, Stage.GATE, Stage.APPLY, Stage.VERIFY)


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def test_the_median_counts() -> None:
    """One that took for ever says nothing of the next."""
    took = [(Stage.APPLY, seconds(value)) for value in (2, 600, 3)] + [(Stage.GATE, seconds(1))]
    assert usual_durations(took) == {Stage.APPLY: seconds(3), Stage.GATE: seconds(1)}
    assert usual_durations([(Stage.APPLY, seconds(2)), (Stage.APPLY, seconds(3))]) == {
        Stage.APPLY: seconds(2.5)
    }
    assert usual_durations([]) == {}


@pytest.mark.parametrize(
    ("status", "stage", "ahead"),
    [
        (Status.QUEUED, None, PLAIN),
        (Status.RUNNING, None, PLAIN),
        (Status.RUNNING, Stage.PREPARE, PLAIN[1:]),
        (Status.RUNNING, Stage.APPLY, (Stage.VERIFY,)),
        (Status.RUNNING, Stage.ROLL_BACK, ()),
        (Status.QUEUED, Stage.GATE, PLAIN),
        (Status.FAILED, Stage.GATE, ()),
    ],
)
def test_stages_that_are_still_to_come(
    status: Status, stage: Stage | None, ahead: tuple[Stage, ...]
) -> None:
    """After the one under way; all of them where it waits, also for another attempt."""
    records = (StageRecord(stage, NOW),) if stage else ()
    found = replace(QUEUED, status=status, stage=stage or Stage.PREPARE, stages=records)
    assert stages_ahead(found, {}) == ahead


def test_building_and_migrating_are_expected_where_they_were_before() -> None:
    usual = {Stage.BUILD: seconds(60), Stage.MIGRATE: seconds(2)}
    assert set(stages_ahead(QUEUED, usual)) == {*PLAIN, Stage.BUILD, Stage.MIGRATE}
