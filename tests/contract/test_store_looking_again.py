"""What was read before is not read again, and what changed since is; many are read as one."""

from dataclasses import replace
from datetime import timedelta

from reconciler.domain.deployment import Stage, Status
from reconciler.domain.state import SourceHealth, WatchedImage
from reconciler.ports import PollResult
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, claim, digest, prepared, project, queue

_OTHER = project("other")


def deploy(store: SqlStore, letter: str, *, seconds: int = 1, **more: object) -> None:
    """Run a deployment to its good end."""
    queue(store, letter, **more)
    held = claim(store)
    store.begin_stage(held, Stage.APPLY, NOW)
    store.end_stage(held, Stage.APPLY, "ok", NOW + timedelta(seconds=seconds))
    store.record_prepared(held, prepared(letter))
    store.finish(held, Status.DEPLOYED, NOW)


def test_what_was_verified_is_taken_from_before(store: SqlStore) -> None:
    for one in (project(), _OTHER):
        store.create_project(one)
        deploy(store, "a", name=one.name)
    before = store.list_states()
    deploy(store, "c", name=_OTHER.name)
    queue(store, "b")
    again = store.list_states(before.values())
    assert again == store.list_states()
    assert again[WEB].live is before[WEB].live
    assert again[WEB].queued is not None
    assert again[_OTHER.name].live != before[_OTHER.name].live


def test_what_nobody_edited_is_taken_from_before(store: SqlStore) -> None:
    gone = project("gone")
    for one in (project(), _OTHER, gone):
        store.create_project(one)
    before = store.list_projects()
    store.update_project(replace(_OTHER, auto_deploy=False))
    store.remove_project(gone.name)
    store.create_project(project("new"))
    again = store.list_projects(before)
    assert again == store.list_projects()
    assert [one.name for one in again] == ["new", "other", "web"]
    assert again[2] is next(one for one in before if one.name == WEB)


def test_usual_durations_of_many(store: SqlStore) -> None:
    for one in (project(), _OTHER, project("new")):
        store.create_project(one)
    for seconds in (900, 1, 2, 3, 4, 5):
        deploy(store, str(seconds)[0], seconds=seconds)
    deploy(store, "a", name=_OTHER.name, seconds=7)
    names = [WEB, _OTHER.name, project("new").name]
    assert store.list_usual_durations(names) == {
        WEB: {Stage.APPLY: timedelta(seconds=3)},
        _OTHER.name: {Stage.APPLY: timedelta(seconds=7)},
        names[2]: {},
    }
    assert store.list_usual_durations([]) == {}


def test_when_the_images_of_each_were_looked_at(store: SqlStore) -> None:
    for one in (project(), _OTHER):
        store.create_project(one)
        store.put_images(
            one.name, "key", [WatchedImage(f"r.example/{n}:1", ("web",)) for n in "ab"]
        )
    assert store.images_looked_at() == {}
    looks = [
        WatchedImage(f"r.example/{name}:1", ("web",), digest=digest("1"), looked_at=at)
        for name, at in (("a", NOW), ("b", NOW + timedelta(minutes=1)))
    ]
    store.record_lookups({WEB: looks})
    assert store.images_looked_at() == {WEB: NOW + timedelta(minutes=1)}


def test_when_a_source_is_looked_at_next(store: SqlStore) -> None:
    """What is overdue is not to come, and neither is what nobody looks at."""
    for number, one in enumerate((project(), _OTHER, project("late"))):
        store.create_project(one)
        due = NOW + (number - 1) * timedelta(minutes=1)
        health = SourceHealth(looked_at=NOW, next_look_at=due)
        store.record_polls([PollResult(one.name, health)])
    store.create_project(replace(project("off"), auto_deploy=False))
    assert store.next_poll(NOW - timedelta(minutes=2)) == NOW - timedelta(minutes=1)
    assert store.next_poll(NOW) == NOW + timedelta(minutes=1)
    assert store.next_poll(NOW, {"web", "other"}) is None
    assert store.next_poll(NOW, ()) is None
