"""What channels are told: with what it tells of, once in all, and the same on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.channel import Address, Channel, ChannelName
from reconciler.domain.deployment import DeploymentId, Status
from reconciler.domain.errors import AlreadyExists, NotFound, Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.host import Host, HostName
from reconciler.domain.notice import MOST_AN_HOUR, NoticeEvent, Telling, Wants
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.state import SourceHealth, WatchedImage
from reconciler.ports import AuditQuery, Message, OutboxKind, PollResult
from reconciler.store.database import connect, parse_location
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, Site, claim, prepared, project, queue

OPS = ChannelName("ops")
ADDRESS = Address(Secret.of("ntfys://ntfy.example/topic-of-ours"))
BROKEN = Failure("verification-failed", "web exited with status 1", Recovery.STALL)
DENIED = Failure("source-denied", "git.example refused the token", Recovery.OPERATOR)
AWAY = Failure("source-unreachable", "git.example did not answer", Recovery.RETRY)


def channel(name: str = "ops", **more: Any) -> Channel:
    return Channel(ChannelName(name), NOW, **more)


@pytest.fixture
def told(store: SqlStore) -> SqlStore:
    """A store with a project and a channel of all projects."""
    store.create_project(project())
    store.create_channel(channel(), ADDRESS)
    return store


def end(store: SqlStore, letter: str, status: Status, error: Failure | None = None) -> int:
    """Deploy commit ``letter`` to its end; return the deployment's number."""
    queue(store, letter, force=True)
    held = claim(store)
    store.record_prepared(held, prepared(letter))
    store.finish(held, status, NOW, error=error)
    return held.deployment.id


def messages(store: SqlStore, address: str = "") -> list[Message]:
    """Return what waits, oldest first."""
    return list(reversed(store.list_messages(OutboxKind.NOTICE, address=address)))


def tellings(store: SqlStore, address: str = "") -> list[Telling]:
    return [Telling.of_json(message.body) for message in messages(store, address)]


def events(store: SqlStore, address: str = "") -> list[str]:
    return [str(telling.event) for telling in tellings(store, address)]


def look(store: SqlStore, error: Failure | None = None, *, gone: bool = False) -> None:
    health = SourceHealth(looked_at=NOW, next_look_at=NOW, error=error, branch_gone=gone)
    store.record_polls([PollResult(WEB, health)])


def test_a_channel_is_kept_as_it_was_declared(store: SqlStore, site: Site) -> None:
    """Its address is sealed, with the key of a signed webhook, and bound to its own row."""
    store.create_project(project())
    webhook = Address(Secret.of("https://hook.example/x"), Secret.of("key-of-ours"))
    wants = Wants(frozenset({NoticeEvent.SUCCESS}), timedelta(hours=1))
    made = channel(project=WEB, wants=wants, template="{{ headline }}", created_by="anna")
    record = store.create_channel(made, webhook)
    assert (record.channel, record.service, len(record.fingerprint)) == (made, "https", 8)
    again = site.open()
    assert again.list_channels() == [record]
    assert again.get_channel_address(OPS) == webhook
    with pytest.raises(AlreadyExists, match="ops"):
        store.create_channel(channel(), ADDRESS)
    assert "hook.example" not in repr(store.list_channels())
    shown = repr(store.list_audit(AuditQuery(subject="channel ops")))
    assert record.fingerprint in shown
    assert "hook.example" not in shown
    assert "key-of-ours" not in shown


def test_what_is_not_there_is_said(store: SqlStore) -> None:
    for attempt in (
        lambda: store.get_channel(OPS),
        lambda: store.remove_channel(OPS),
        lambda: store.update_channel(channel()),
        lambda: store.get_channel_address(OPS),
        lambda: store.create_channel(channel(project=ProjectName("nope")), ADDRESS),
    ):
        with pytest.raises(NotFound):
            attempt()


def test_a_failure_is_told_once_and_its_end_once(told: SqlStore) -> None:
    """With what people want to know of it; a deployment that goes well by itself tells nobody."""
    end(told, "a", Status.DEPLOYED)
    assert messages(told) == []
    number = end(told, "b", Status.FAILED, BROKEN)
    end(told, "b", Status.FAILED, BROKEN)
    end(told, "c", Status.DEPLOYED)
    end(told, "d", Status.DEPLOYED)
    assert events(told) == ["failure", "recovery"]
    first = messages(told)[0]
    assert (first.address, first.project, first.deployment) == ("ops", "web", number)
    assert told.list_messages(OutboxKind.NOTICE, deployment=number) == [first]
    assert told.list_messages(OutboxKind.NOTICE, deployment=number + 3) == []
    facts = tellings(told)[0].facts
    assert (facts["project"], facts["error"]) == ("web", "web exited with status 1")
    assert facts["commit"] == "b" * 40
    assert str(facts["runs"]).startswith("deployment 1, ")
    assert facts["cause"] == "git-poll by test"


@pytest.mark.parametrize(
    ("status", "event"),
    [
        pytest.param(Status.ROLLED_BACK, "rollback"),
        pytest.param(Status.NEEDS_OPERATOR, "needs-person"),
    ],
)
def test_each_bad_end_has_its_event(told: SqlStore, status: Status, event: str) -> None:
    end(told, "a", status, BROKEN)
    assert events(told) == [event]


def test_what_goes_on_failing_is_told_before_it_ends(told: SqlStore) -> None:
    """At the attempt that is the last of what a person asked for; once."""
    queue(told, "a")
    for attempt in range(1, 8):
        told.retry_later(claim(told), NOW, AWAY)
        assert len(messages(told)) == (attempt >= 5), attempt


def test_channels_hear_of_their_project_and_choose(store: SqlStore) -> None:
    for name in ("web", "blog"):
        store.create_project(project(name))
    quiet = Wants(frozenset({NoticeEvent.RECOVERY}))
    store.create_channel(channel("all"), ADDRESS)
    store.create_channel(channel("blog", project=ProjectName("blog")), ADDRESS)
    store.create_channel(channel("quiet", wants=quiet), ADDRESS)
    end(store, "a", Status.FAILED, BROKEN)
    end(store, "b", Status.DEPLOYED)
    assert events(store, "all") == ["failure", "recovery"]
    assert events(store, "blog") == events(store, "quiet") == []
    assert [one.channel.name for one in store.list_channels({"blog"})] == ["blog"]


def test_sources_that_a_person_has_to_see_to_are_told(told: SqlStore) -> None:
    """What passes by itself is not, and neither ends it nor begins it."""
    for error in (AWAY, DENIED, DENIED, AWAY, DENIED, None, None, AWAY):
        look(told, error)
    assert events(told) == ["needs-person", "recovery"]
    look(told, gone=True)
    assert tellings(told)[-1].facts["code"] == "branch-gone"


def test_registries_that_refuse_are_told(told: SqlStore) -> None:
    """Of all images of the project, whichever of them was looked at last."""
    images = [WatchedImage(f"hub.example/{name}:1", ("web",)) for name in ("one", "two")]
    told.put_images(WEB, "here", images)
    denied = [replace(one, error=DENIED, looked_at=NOW) for one in images]
    told.record_lookups({WEB: denied})
    told.record_lookups({WEB: [replace(images[0], looked_at=NOW)]})
    assert events(told) == ["needs-person"]
    assert tellings(told)[0].facts["images"] == "hub.example/one:1, hub.example/two:1"
    told.record_lookups({WEB: [replace(images[1], looked_at=NOW)]})
    assert events(told) == ["needs-person", "recovery"]


def test_hosts_are_told_to_channels_of_all_projects(told: SqlStore) -> None:
    told.create_channel(channel("web", project=WEB), ADDRESS)
    for trouble in (None, DENIED, DENIED, None):
        told.tell_of_host("web1", trouble, NOW)
    assert events(told) == ["needs-person", "recovery"]
    assert {message.address for message in messages(told)} == {"ops"}
    assert tellings(told)[0].subject == "host web1"


def test_it_is_told_again_and_no_more_once_it_is_over(told: SqlStore) -> None:
    end(told, "a", Status.FAILED, BROKEN)
    now = _told_at(told)
    assert told.tell_what_is_due(now + timedelta(hours=23)) == 0
    assert told.tell_what_is_due(now + timedelta(hours=25)) == 1
    assert told.tell_what_is_due(now + timedelta(hours=25)) == 0
    assert tellings(told)[-1].reminder
    end(told, "b", Status.DEPLOYED)
    assert told.tell_what_is_due(now + timedelta(days=90)) == 0


def _told_at(store: SqlStore) -> datetime:
    return messages(store)[-1].created_at


def test_a_flapping_project_floods_nobody(told: SqlStore) -> None:
    """And an hour later one message says how many were left out."""
    for _ in range(MOST_AN_HOUR):
        look(told, DENIED)
        look(told)
    assert len(messages(told)) == MOST_AN_HOUR
    later = _told_at(told) + timedelta(hours=1, minutes=1)
    assert told.tell_what_is_due(later) == 1
    assert tellings(told)[-1].left_out == MOST_AN_HOUR - 1


def test_what_nobody_looks_at_any_more_is_told_no_more(told: SqlStore) -> None:
    """Neither of a project that was switched off, nor of a host that was removed."""
    told.create_host(Host(HostName("web1"), NOW, alias="web1"))
    look(told, DENIED)
    told.tell_of_host("web1", DENIED, NOW)
    told.update_project(replace(project(), auto_deploy=False))
    told.remove_host(HostName("web1"))
    assert told.tell_what_is_due(_told_at(told) + timedelta(days=9)) == 0
    assert len(messages(told)) == 2


def test_a_removed_project_is_told_no_more(told: SqlStore) -> None:
    """Its own channels go with it."""
    told.create_channel(channel("web", project=WEB), ADDRESS)
    end(told, "a", Status.FAILED, BROKEN)
    now = _told_at(told)
    told.remove_project(WEB)
    assert told.tell_what_is_due(now + timedelta(days=3)) == 0
    assert [one.channel.name for one in told.list_channels()] == ["ops"]


def test_a_removed_channel_leaves_nothing(told: SqlStore) -> None:
    """Another one of its name was told nothing."""
    end(told, "a", Status.FAILED, BROKEN)
    told.remove_channel(OPS)
    assert messages(told) == []
    told.create_channel(channel(), ADDRESS)
    end(told, "a", Status.FAILED, BROKEN)
    assert events(told) == ["failure"]


def test_a_channel_is_changed_and_remembers_what_it_was_told(told: SqlStore) -> None:
    end(told, "a", Status.FAILED, BROKEN)
    before = told.get_channel(OPS)
    other = Address(Secret.of("gotify://gotify.lan/token"))
    after = told.update_channel(channel(template="{{ project }}"), other)
    assert (after.service, after.channel.template) == ("gotify", "{{ project }}")
    assert after.fingerprint != before.fingerprint
    assert told.get_channel_address(OPS) == other
    end(told, "a", Status.FAILED, BROKEN)
    assert events(told) == ["failure"]
    told.record_sending(OPS, NOW, "gotify.lan is away")
    assert told.get_channel(OPS).last_error == "gotify.lan is away"


def test_replicas_tell_once_in_all(told: SqlStore, site: Site) -> None:
    """However many see the same at the same moment."""
    stores = [told, *(site.open() for _ in range(3))]
    with ThreadPoolExecutor(len(stores)) as pool:
        list(pool.map(lambda store: look(store, DENIED), stores * 3))
        now = _told_at(told) + timedelta(days=2)
        list(pool.map(lambda store: store.tell_what_is_due(now), stores * 3))
    assert [telling.reminder for telling in tellings(told)] == [False, True]


def test_what_is_rolled_back_is_not_told(told: SqlStore) -> None:
    """A transaction that fails after it takes the message, and that it was told, with it."""
    queue(told, "a")
    held = claim(told)
    lost = replace(held, fence=held.fence + 1)
    with pytest.raises(Exception, match="no longer held"):
        told.finish(lost, Status.FAILED, NOW, error=BROKEN)
    assert messages(told) == []
    told.finish(held, Status.FAILED, NOW, error=BROKEN)
    assert events(told) == ["failure"]


def test_what_was_told_and_can_t_be_read_holds_up_nothing(site: Site) -> None:
    """Neither a deployment's end, nor a look at sources, nor what other channels hear."""
    store = site.open()
    store.create_project(project())
    for name in ("broken", "ops"):
        store.create_channel(channel(name), ADDRESS)
    end(store, "a", Status.FAILED, BROKEN)
    behind = connect(parse_location(site.location), SystemClock())
    with behind.writing() as connection:
        broken = """UPDATE told SET body = '{"troubles": 7}' WHERE channel = 'broken'"""
        connection.execute(text(broken))
    behind.close()
    ended = end(store, "b", Status.ROLLED_BACK, replace(BROKEN, message="web said \ud800\0"))
    found = store.get_deployment(DeploymentId(ended))
    assert found.status is Status.ROLLED_BACK
    assert found.error is not None
    assert found.error.message == "web said ?␀", "of what a server says, text alone is kept"
    assert store.get_receipt(DeploymentId(ended)).status is Status.ROLLED_BACK
    look(store, DENIED)
    assert store.get_health(WEB).error == DENIED
    assert events(store, "ops") == ["failure", "rollback", "needs-person"]
    store.tell_what_is_due(SystemClock().now() + timedelta(days=2))
    assert tellings(store, "ops")[-1].reminder
    assert events(store, "broken") == ["failure"]
