"""The answer to Prometheus: complete, bounded, in its format, and never late."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from reconciler.adapters.metrics import Meters, Reading, Scrape
from reconciler.domain.deployment import (
    Cause,
    Deployment,
    DeploymentId,
    Stage,
    StageRecord,
    Status,
    Trigger,
)
from reconciler.domain.errors import StoreError
from reconciler.domain.failure import Failure
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.webhook_signature import Verdict
from reconciler.ports import Own, ProjectFigures, RegistryStatus, Shared, StoreFigures
from reconciler.testing import ManualClock

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
CLOCK = ManualClock()
NOW = CLOCK.now()


def shared() -> Shared:
    hour_ago = NOW - timedelta(hours=1)
    store = StoreFigures(
        queued=2,
        oldest_queued_at=NOW - timedelta(minutes=3),
        running=1,
        messages_waiting={"notice": 4},
        messages_given_up={"notice": 1},
        audit_entries=17,
        sessions=3,
        size_bytes=4096,
        looked_at={"web": hour_ago},
    )
    projects = (
        ProjectFigures(ProjectName("web"), "in-sync", "live", in_sync=True, since=hour_ago),
        ProjectFigures(ProjectName("api"), "held", "master-switch-off", False, hour_ago),
    )
    return Shared(store, False, projects, {"git.example": NOW + timedelta(seconds=40)})


def own() -> Own:
    cooled = NOW + timedelta(minutes=1)
    registry = RegistryStatus("hub.example", True, "", cooled, 100, 7, 12)
    return Own("1.2", "", True, {"polls": False}, (registry,))


def scrape(
    meters: Meters,
    read: Callable[[], Shared] = shared,
    *,
    per_project: bool = True,
    limit: float = 5,
) -> Scrape:
    reading = Reading(read, timedelta(seconds=limit))
    return Scrape(meters.registry, CLOCK, own, reading, per_project)


def families(answering: Scrape, accept: str = "") -> Mapping[str, Metric]:
    text, _ = answering.answer(accept)
    parse = parse_openmetrics if accept else parse_text
    return {family.name: family for family in parse(text.decode())}


def value(found: Mapping[str, Metric], family: str, **labels: str) -> float:
    (sample,) = (one for one in found[family].samples if labels.items() <= one.labels.items())
    return float(sample.value)


DEPLOYMENT = Deployment(
    id=DeploymentId(1),
    project=ProjectName("web"),
    revision=Revision(None),
    causes=(Cause(Trigger.PUSH, "ann"), Cause(Trigger.PERSON, "bob")),
    status=Status.FAILED,
    created_at=NOW,
    fence=1,
    started_at=NOW + timedelta(seconds=4),
    finished_at=NOW + timedelta(seconds=34),
    error=Failure.of(StoreError("gone")),
    stages=(StageRecord(Stage.APPLY, NOW, NOW + timedelta(seconds=20), "store-error"),),
)


def test_what_stands_and_what_was_counted_is_told() -> None:
    """Each by its own labels; the first trigger is the deployment's."""
    meters = Meters()
    meters.begun(DEPLOYMENT)
    meters.ended(DEPLOYMENT)
    meters.polled("failed", "source-denied", timedelta(seconds=3))
    meters.received(Verdict.WRONG)
    found = families(scrape(meters))
    ended = {"project": "web", "trigger": "push", "outcome": "failed"}
    assert value(found, "reconciler_deployments", **ended) == 1
    waited = found["reconciler_deployment_wait_seconds"].samples
    assert next(one.value for one in waited if one.name.endswith("_sum")) == 4
    assert value(found, "reconciler_errors", where="poll", code="source-denied") == 1
    assert value(found, "reconciler_errors", where="deployment", code=StoreError.code) == 1
    assert value(found, "reconciler_webhook_deliveries", verdict="signature-wrong") == 1
    assert value(found, "reconciler_project_in_sync", project="api") == 0
    assert value(found, "reconciler_project_out_of_sync_seconds", project="api") == 3600
    assert value(found, "reconciler_project_out_of_sync_seconds", project="web") == 0
    told = {"project": "api", "standing": "held", "reason": "master-switch-off"}
    assert value(found, "reconciler_project_standing_info", **told) == 1
    assert value(found, "reconciler_queue_oldest_seconds") == 180
    assert value(found, "reconciler_registry_limit_remaining", registry="hub.example") == 7
    assert value(found, "reconciler_registry_cooldown_seconds", registry="hub.example") == 60
    assert value(found, "reconciler_git_host_cooldown_seconds", host="git.example") == 40
    assert value(found, "reconciler_master_switch") == 0
    assert value(found, "reconciler_scrape_problem") == 0


def test_openmetrics_comes_to_whom_asks_for_it() -> None:
    """Prometheus does. Its parser is a strict one."""
    meters = Meters()
    meters.ended(DEPLOYMENT)
    text, media_type = scrape(meters).answer(OPENMETRICS)
    assert media_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith(b"# EOF\n")
    found = families(scrape(meters), OPENMETRICS)
    assert value(found, "reconciler_project_standing", project="web", standing="in-sync") == 1
    assert scrape(meters).answer("")[1].startswith("text/plain; version=0.0.4")


def test_a_store_that_hangs_costs_its_part_and_no_more() -> None:
    """Partial, in time, and one read at a time however often it is asked."""
    release, reads = threading.Event(), []

    def hang() -> Shared:
        reads.append(1)
        release.wait(10)
        return shared()

    answering = scrape(Meters(), hang, limit=0.05)
    began = time.monotonic()
    for _ in range(3):
        found = families(answering)
        assert value(found, "reconciler_scrape_problem") == 1
        assert "reconciler_projects" not in found
        assert value(found, "reconciler_ready") == 1
    assert time.monotonic() - began < 5
    assert len(reads) == 1
    release.set()


def test_a_store_that_fails_is_said_and_mends() -> None:
    """The next scrape reads again."""
    answers: list[Shared | Exception] = [StoreError("gone"), shared()]

    def read() -> Shared:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    answering = scrape(Meters(), read)
    assert value(families(answering), "reconciler_scrape_problem") == 1
    assert value(families(answering), "reconciler_audit_entries") == 17


def test_without_series_of_projects_there_are_sums() -> None:
    """What is bounded stays: standings, and deployments of all together."""
    meters = Meters(per_project=False)
    meters.ended(DEPLOYMENT)
    meters.ended(replace(DEPLOYMENT, project=ProjectName("api")))
    found = families(scrape(meters, per_project=False))
    assert not [name for name in found if name.startswith("reconciler_project_")]
    assert value(found, "reconciler_projects", standing="held") == 1
    assert value(found, "reconciler_deployments", project="") == 2


def test_registries_beyond_a_number_count_together() -> None:
    """Who writes compose files names registries: no number of them fills the memory."""
    meters = Meters()
    for number in range(1000):
        meters.looked_up(f"r{number}.example", "")
    samples = families(scrape(meters))["reconciler_lookups"].samples
    assert len(samples) == 201
    assert max(samples, key=lambda one: one.value).labels["registry"] == "other"


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_no_label_forges_a_line(accept: str) -> None:
    """A registry's name comes from a compose file."""
    meters = Meters()
    hostile = 'x"} 1\nreconciler_ready 0\n# \\'
    meters.looked_up(hostile, "")
    found = families(scrape(meters), accept)
    (sample,) = found["reconciler_lookups"].samples
    assert sample.labels["registry"] == hostile
    assert [one.value for one in found["reconciler_ready"].samples] == [1]
