"""What people look at, in every store: pages, filters, the end of a log, and a mark of change."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from reconciler.domain.deployment import Stage, Status, TargetStatus, Trigger
from reconciler.domain.host import HostName
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.state import SourceHealth
from reconciler.ports import DeploymentFilter, PollResult, SettingRecord
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, ask, claim, failure, project

LOCAL = HostName("local")
SECOND = timedelta(seconds=1)


def test_deployments_are_narrowed_down(store: SqlStore) -> None:
    """By trigger, host and time, each alone and all together; pages go on below a number."""
    store.create_project(project())
    pushed = ask(store, "a", trigger=Trigger.PUSH).deployment
    held = claim(store)
    store.record_target(held, LOCAL, TargetStatus.WAITING, NOW)
    store.finish(held, Status.FAILED, NOW, error=failure())
    polled = ask(store, "b", trigger=Trigger.GIT_POLL).deployment
    assert pushed is not None
    assert polled is not None

    def found(only: DeploymentFilter) -> list[int]:
        return [one.id for one in store.list_deployments(WEB, only=only)]

    at = pushed.created_at
    assert found(DeploymentFilter()) == [polled.id, pushed.id]
    assert found(DeploymentFilter(trigger=Trigger.PUSH)) == [pushed.id]
    assert found(DeploymentFilter(trigger=Trigger.PERSON)) == []
    assert found(DeploymentFilter(host=LOCAL)) == [pushed.id]
    assert found(DeploymentFilter(actor=pushed.causes[0].actor))[-1] == pushed.id
    assert found(DeploymentFilter(actor='no "such\\ é%_')) == []
    assert found(DeploymentFilter(host=HostName("east"))) == []
    assert found(DeploymentFilter(since=at, until=at + SECOND))[-1] == pushed.id
    assert found(DeploymentFilter(until=at)) == []
    assert found(DeploymentFilter(since=polled.created_at + SECOND)) == []
    assert found(DeploymentFilter(trigger=Trigger.PUSH, host=LOCAL, since=at)) == [pushed.id]
    newest, first = store.list_triggers(WEB)
    assert list(store.list_triggers(WEB, before=newest.number)) == [first]


def test_the_deployments_of_a_project_are_counted(store: SqlStore) -> None:
    """Whatever became of them, and those of no other."""
    for name in ("web", "api"):
        store.create_project(project(name))
    assert store.count_deployments(WEB) == 0
    for letter in "ab":  # the second takes the first one's place
        ask(store, letter)
    ask(store, "a", name=ProjectName("api"))
    assert store.count_deployments(WEB) == 2


def test_the_end_of_a_log(store: SqlStore) -> None:
    """The last lines, in order; all of them where there are no more."""
    store.create_project(project())
    deployment = ask(store, "a").deployment
    assert deployment is not None
    assert store.read_newest_log(deployment.id, limit=2) == []
    store.append_log(deployment.id, Stage.PREPARE, ["one", "two", "three"], NOW)
    assert [one.text for one in store.read_newest_log(deployment.id, limit=2)] == ["two", "three"]
    assert len(store.read_newest_log(deployment.id, limit=9)) == 3


def test_whatever_is_looked_at_changes_the_mark(store: SqlStore) -> None:
    """Each change does, and none but a change: a look that found nothing new does not."""
    marks = [store.change_mark()]

    def changes(change: Callable[[], object]) -> None:
        change()
        marks.append(store.change_mark())
        assert marks[-1] != marks[-2]
        assert store.change_mark() == marks[-1]

    health = SourceHealth(looked_at=NOW, observed=CommitSha("a" * 40), observed_at=NOW)
    changes(lambda: store.create_project(project()))
    changes(lambda: store.record_polls([PollResult(WEB, health)]))
    again = replace(health, looked_at=NOW + SECOND, observed_at=NOW + SECOND)
    store.record_polls([PollResult(WEB, again)])
    assert store.change_mark() == marks[-1]
    back = replace(health, observed=CommitSha("b" * 40))
    changes(lambda: store.record_polls([PollResult(WEB, back)]))
    failed = health.after_failure(failure(), NOW, NOW)
    changes(lambda: store.record_polls([PollResult(WEB, failed)]))
    changes(lambda: store.record_polls([PollResult(WEB, replace(health, branch_gone=True))]))
    changes(lambda: ask(store, "a"))
    held = claim(store)
    changes(lambda: store.begin_stage(held, Stage.PREPARE, NOW))
    changes(lambda: store.end_stage(held, Stage.PREPARE, "ok", NOW))
    changes(lambda: store.record_target(held, LOCAL, TargetStatus.WAITING, NOW))
    changes(lambda: store.record_target(held, LOCAL, TargetStatus.FAILED, NOW + SECOND))
    changes(lambda: store.finish(held, Status.FAILED, NOW, error=failure(), quarantine="bad"))
    changes(lambda: store.lift_quarantine(WEB))
    switched = SettingRecord("auto_deploy_master_enabled", False, "ada", NOW)
    changes(lambda: store.put_settings([switched]))
    changed = replace(project(), auto_deploy=False, updated_at=NOW + SECOND)
    changes(lambda: store.update_project(changed))
    changes(lambda: store.remove_project(WEB))
