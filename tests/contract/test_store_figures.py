"""The store in numbers, and the ids that it keeps: the same on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.domain.admission import Request
from reconciler.domain.deployment import Cause, Deployment, Status, Trigger
from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.state import SourceHealth
from reconciler.pipeline.trigger import trigger_deployment
from reconciler.ports import PollResult, Unmetered
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, claim, commit, project, queue

HOUR = timedelta(hours=1)


class Counting(Unmetered):
    """Remembers what became of deployments, and which transactions were timed."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Status]] = []
        self.kinds: set[str] = set()

    def begun(self, deployment: Deployment) -> None:
        self.told.append(("begun", deployment.status))

    def put_back(self, deployment: Deployment) -> None:
        self.told.append(("put back", deployment.status))

    def ended(self, deployment: Deployment) -> None:
        self.told.append(("ended", deployment.status))

    def stored(self, kind: str, seconds: float) -> None:
        assert seconds >= 0
        self.kinds.add(kind)


def test_an_empty_store_has_all_figures(store: SqlStore) -> None:
    """Nothing is missing where there is nothing."""
    found = store.read_figures(NOW)
    assert (found.queued, found.oldest_queued_at, found.running, found.sessions) == (0, None, 0, 0)
    assert found.messages_waiting == {"notice": 0, "commit-status": 0}
    assert found.messages_given_up == {"notice": 0, "commit-status": 0}
    assert found.looked_at == {}
    assert found.size_bytes > 10_000


def test_the_queue_and_the_audit_log_are_counted(store: SqlStore) -> None:
    """Of those that wait, the oldest says since when."""
    for number, name in enumerate(("web", "api", "worker")):
        store.create_project(project(name))
        queue(store, "a", name=ProjectName(name), now=NOW + number * HOUR)
    claim(store)
    found = store.read_figures(NOW)
    assert (found.queued, found.running) == (2, 1)
    assert found.oldest_queued_at == NOW + HOUR
    assert found.audit_entries == 3


def test_the_last_look_that_went_well_is_told(store: SqlStore) -> None:
    """A failed look since then does not count."""
    store.create_project(project())
    good = SourceHealth(looked_at=NOW, next_look_at=NOW, observed=commit("a"), observed_at=NOW)
    store.record_polls([PollResult(WEB, good)])
    assert store.read_figures(NOW).looked_at == {WEB: NOW}
    failed = good.after_failure(Failure("x", "no", Recovery.RETRY), NOW + HOUR, NOW + HOUR)
    store.record_polls([PollResult(WEB, failed)])
    assert store.read_figures(NOW).looked_at == {WEB: NOW}


def test_what_becomes_of_deployments_is_counted_once_each(store: SqlStore) -> None:
    """Whatever ends them: a worker, a newer one, or an attempt that is put off."""
    counting = Counting()
    store.meter_with(counting)
    store.create_project(project())
    queue(store, "a")
    queue(store, "b")
    store.retry_later(claim(store), NOW, Failure("x", "later", Recovery.RETRY))
    store.finish(claim(store), Status.DEPLOYED, NOW)
    assert counting.told == [
        ("ended", Status.SUPERSEDED),
        ("begun", Status.RUNNING),
        ("put back", Status.QUEUED),
        ("begun", Status.RUNNING),
        ("ended", Status.DEPLOYED),
    ]
    assert counting.kinds == {"write"}
    store.list_states()
    assert counting.kinds == {"read", "write"}


@pytest.mark.parametrize("given", ["5d1c0f3be82a9746", ""])
def test_the_id_of_what_asked_first_is_kept(store: SqlStore, given: str) -> None:
    """What is coalesced has an id of its own, which its request alone keeps."""
    store.create_project(project())
    asked = Request(WEB, Revision(commit("a")), Cause(Trigger.PUSH, "push"), correlation=given)
    again = replace(asked, cause=Cause(Trigger.PERSON, "ann"), correlation="other")
    first, second = (
        trigger_deployment(store, one, brakes=lambda switch: switch, now=NOW).deployment
        for one in (asked, again)
    )
    assert first
    assert second
    assert first.correlation
    assert not given or first.correlation == given
    assert (second.id, second.correlation) == (first.id, first.correlation)
    assert claim(store).deployment.correlation == first.correlation
    asked_under = [one.correlation for one in store.list_triggers(WEB)]
    assert asked_under == ["other", first.correlation]
