"""The audit log: added to only, and what was done to it behind our back is found."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.access import AccessToken, Scope
from reconciler.domain.audit import Head
from reconciler.domain.deployment import Trigger
from reconciler.domain.errors import StoreError
from reconciler.domain.secret import Secret
from reconciler.domain.settings import IMAGE_WATCH_INTERVAL, POLL_INTERVAL
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.ports import Acting, Approval, AuditQuery, SettingRecord, acting_for
from reconciler.store.database import Database, connect, parse_location
from reconciler.store.sql_store import SqlStore
from tests.contract.test_store_hosts import host
from tests.parts.stores import NOW, WEB, Site, ask, failure, open_copy, project, queue

HOOK = WebhookName("forgejo")
_OF_THE_LOG = ("INSERT INTO audit_entry ", "UPDATE fact SET value=")

#: What an intruder with the database's own password does first.
_UNLOCK = {
    "sqlite": ("DROP TRIGGER audit_entry_no_update", "DROP TRIGGER audit_entry_no_delete"),
    "postgresql": ("ALTER TABLE audit_entry DISABLE TRIGGER USER",),
}


@pytest.fixture
def behind(site: Site) -> Iterator[Database]:
    """The database, opened by somebody else."""
    database = connect(parse_location(site.location), SystemClock())
    yield database
    database.close()


def tamper(database: Database, *statements: str) -> None:
    """Change the log as one who has the database can."""
    with database.writing() as connection:
        for statement in (*_UNLOCK[connection.dialect.name], *statements):
            connection.execute(text(statement))


def fill(store: SqlStore, count: int = 4) -> Head:
    """Write entries, in somebody's name, and return the newest."""
    with acting_for(Acting("ann", "192.0.2.7", "r-1")):
        for number in range(count):
            store.note("project.deploy", f"project p{number}")
    return store.check_audit().head


def test_entries_say_who_did_what(store: SqlStore) -> None:
    """Newest first, in pages, and filtered."""
    fill(store)
    store.note("settings.change", "settings")
    newest = store.list_audit(AuditQuery())[0]
    assert (newest.number, newest.actor, newest.action) == (5, "reconciler", "settings.change")
    assert newest.at.tzinfo == UTC
    page = store.list_audit(AuditQuery(actor="ann", before=4, limit=2))
    assert [one.subject for one in page] == ["project p2", "project p1"]
    assert (page[0].remote, page[0].request) == ("192.0.2.7", "r-1")
    assert len(store.list_audit(AuditQuery(action="project"))) == 4
    assert store.list_audit(AuditQuery(action="proj")) == []
    assert [one.number for one in store.read_audit(after=3, limit=5)] == [4, 5]
    assert store.check_audit().intact


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_entry SET actor = 'bob' WHERE number = 2", "DELETE FROM audit_entry"],
)
def test_the_database_itself_refuses_changes(
    store: SqlStore, behind: Database, statement: str
) -> None:
    """Whoever slips one into our statements gets no further."""
    fill(store)
    with pytest.raises((DBAPIError, StoreError)), behind.writing() as connection:
        connection.execute(text(statement))
    assert store.check_audit().intact


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["UPDATE audit_entry SET actor = 'bob' WHERE number = 2"], "entry 2 is not as it was"),
        (["UPDATE audit_entry SET changes = '{\"a\": [1, 2]}' WHERE number = 3"], "entry 3 is not"),
        (["DELETE FROM audit_entry WHERE number = 2"], "entry 2 is missing"),
        (["DELETE FROM audit_entry WHERE number > 2"], "entry 3 and those after it are missing"),
        (
            [
                "UPDATE audit_entry SET number = 99 WHERE number = 2",
                "UPDATE audit_entry SET number = 2 WHERE number = 3",
                "UPDATE audit_entry SET number = 3 WHERE number = 99",
            ],
            "entry 2 is not as it was written",
        ),
        (
            [
                """INSERT INTO audit_entry SELECT 5, at, actor, remote, request, action, subject,
                changes, seal FROM audit_entry WHERE number = 4"""
            ],
            "entry 5 is not as it was written",
        ),
    ],
)
def test_what_was_done_behind_our_back_is_found(
    store: SqlStore, behind: Database, statements: list[str], problem: str
) -> None:
    """Changed, removed, cut off, put elsewhere, added."""
    fill(store)
    tamper(behind, *statements)
    found = store.check_audit()
    assert not found.intact
    assert problem in found.problem


def test_a_note_of_the_head_finds_what_the_database_can_t_know(
    store: SqlStore, behind: Database
) -> None:
    """One who puts back an earlier state as a whole, head and all, is found by what was noted."""
    early = fill(store, 2)
    with behind.reading() as connection:
        query = text("SELECT value FROM fact WHERE key = 'audit_head'")
        kept = connection.execute(query).scalar_one()
    late = fill(store, 2)
    assert store.check_audit(early).intact
    put_back = "UPDATE fact SET value = '{}' WHERE key = 'audit_head'"
    tamper(behind, "DELETE FROM audit_entry WHERE number > 2", put_back.format(early))
    assert "where it ends is not known" in store.check_audit().problem
    with behind.writing() as connection:
        connection.execute(text(put_back.format(kept)))
    assert store.check_audit().intact
    assert "entry 3 and those after it are missing" in store.check_audit(late).problem
    fill(store, 2)
    assert "entry 4 is another one" in store.check_audit(late).problem


def test_replicas_write_one_after_another(site: Site) -> None:
    """No number twice, no gap, whoever writes at the same time."""
    stores = [site.open() for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: stores[n % 3].note("a.b", f"subject {n}"), range(30)))
    found = stores[0].check_audit()
    assert found.intact
    assert found.head.number == 30


def change_all_sorts(store: SqlStore) -> None:
    """Have all sorts of changes told, twice where that is another way."""
    store.create_project(project())
    store.update_project(replace(project(), expose_port=81))
    for text_ in ("one", "two"):
        secret = Secret.of(text_)
        store.put_secret(WEB, "variable:A", secret, bound_to="", username="", now=NOW)
    store.remove_secret(WEB, "variable:A")
    store.put_settings(
        [SettingRecord(key, 70, "ann", NOW) for key in (POLL_INTERVAL, IMAGE_WATCH_INTERVAL)]
    )
    store.create_host(host())
    store.put_host_secret(host().name, Secret.of("key"), NOW)
    store.remove_host(host().name)
    store.pin_host_key("ssh://git.example", "ssh-ed25519 AAAA", NOW)
    store.add_token(AccessToken("ci", frozenset({Scope.READ}), None, NOW), "d1")
    store.remove_token("ci")
    store.create_webhook(Webhook(HOOK, Provider.FORGEJO, NOW, WEB), Secret.of("s"))
    store.rotate_webhook_secret(HOOK, Secret.of("t"), NOW)
    store.remove_webhook(HOOK)
    ask(store, "a", trigger=Trigger.PERSON)
    asked = queue(store, "b", trigger=Trigger.PERSON)
    store.approve(Approval(WEB, asked.revision.fingerprint, asked.id, "ann", NOW))
    store.ask_to_withdraw(asked.id, failure("withdrawn"), NOW)
    store.remove_project(WEB)


def test_an_entry_is_what_a_transaction_writes_last(sqlite_template: Path, tmp_path: Path) -> None:
    """Else two who lock the log's head and something else, each in another order, end in a ring."""
    store = open_copy(sqlite_template, tmp_path, SystemClock())
    written: list[list[str]] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("BEGIN"):
            written.append([])
        written[-1].append(statement)

    event.listen(store._database._writer, "before_cursor_execute", note)
    change_all_sorts(store)
    audited = [deed for deed in written if any(sql.startswith(_OF_THE_LOG[0]) for sql in deed)]
    assert len(audited) >= 20
    for deed in audited:
        first = next(place for place, sql in enumerate(deed) if sql.startswith(_OF_THE_LOG[0]))
        later = [sql for sql in deed[first:] if sql.startswith(("INSERT", "UPDATE", "DELETE"))]
        assert all(sql.startswith(_OF_THE_LOG) for sql in later)
    store.close()
