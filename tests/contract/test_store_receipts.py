"""Receipts: one for each deployment that ends, in one chain, and what is done to it is found."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from reconciler.adapters.signing import SigningKey, parse_public_key
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import Deployment, DeploymentId, Stage, Status, TargetStatus
from reconciler.domain.errors import NotFound, StoreError
from reconciler.domain.host import LOCAL
from reconciler.domain.migration import MigrationState
from reconciler.domain.receipt import Receipt, canonical, problem_with
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.ports import Approval, ReceiptQuery
from reconciler.store.database import Database, connect, parse_location
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import (
    NOW,
    WEB,
    Site,
    claim,
    digest,
    failure,
    prepared,
    project,
    queue,
)

LATER = NOW + timedelta(seconds=3)
#: What an intruder with the database's own password does first.
_UNLOCK = {
    "sqlite": ("DROP TRIGGER receipt_no_update", "DROP TRIGGER receipt_no_delete"),
    "postgresql": ("ALTER TABLE receipt DISABLE TRIGGER USER",),
}


@pytest.fixture
def behind(site: Site) -> Iterator[Database]:
    """The database, opened by somebody else."""
    database = connect(parse_location(site.location), SystemClock())
    yield database
    database.close()


def tamper(database: Database, *statements: str) -> None:
    """Change receipts as one who has the database can."""
    with database.writing() as connection:
        for statement in (*_UNLOCK[connection.dialect.name], *statements):
            connection.execute(text(statement))


def end(store: SqlStore, letter: str, status: Status = Status.FAILED) -> Deployment:
    """Let a deployment of commit ``letter`` end so."""
    asked = queue(store, letter, force=True)
    store.finish(claim(store), status, LATER, error=failure())
    return asked


def fill(store: SqlStore, count: int = 4) -> list[Receipt]:
    """Let deployments end; return their receipts, oldest first."""
    store.create_project(project())
    for letter in "abcdef"[:count]:
        end(store, letter)
    return list(store.read_receipts(after=0, limit=50))


def content(store: SqlStore, deployment: DeploymentId) -> dict[str, Any]:
    return dict(store.get_receipt(deployment).content)


def numbers(store: SqlStore, query: ReceiptQuery) -> list[int]:
    return [one.number for one in store.list_receipts(query)]


# ── What is in them ───────────────────────────────────────────────────────────────────────────


def test_a_deployment_that_ends_leaves_all_that_became_of_it(store: SqlStore) -> None:
    """Who asked, before and after, what was rendered, stages, evidence; signed, word by word."""
    store.create_project(project())
    asked = queue(store, "a")
    store.approve(Approval(WEB, prepared("a").revision.fingerprint, asked.id, "ann", NOW, "read"))
    with pytest.raises(NotFound, match="written when it ends"):
        store.get_receipt(asked.id)
    held = claim(store)
    store.begin_stage(held, Stage.VERIFY, NOW)
    store.record_target(held, LOCAL, TargetStatus.APPLIED, NOW)
    store.record_migration(held, LOCAL, MigrationState.DONE, NOW)
    read_back = {"verify": {"running": [{"service": "web", "digests": [digest("1").text]}]}}
    store.record_target(held, LOCAL, TargetStatus.VERIFIED, LATER, evidence=read_back)
    store.record_target(held, LOCAL, TargetStatus.VERIFIED, LATER)
    store.record_prepared(held, prepared("a"))
    store.end_stage(held, Stage.VERIFY, "ok", LATER)
    store.finish(held, Status.DEPLOYED, LATER)
    assert store.get_deployment(asked.id).targets[0].evidence == read_back
    receipt = store.get_receipt(asked.id)
    key = store.receipt_key()
    assert key.verifies(receipt.text, receipt.signature)
    assert parse_public_key(key.pem.encode()).id == key.id
    said = content(store, asked.id)
    assert receipt.text == canonical(said)
    assert (said["number"], said["previous"], said["status"]) == (1, "", "deployed")
    assert said["triggers"] == [{"trigger": "git-poll", "actor": "test", "detail": ""}]
    assert said["approved"] == {"by": "ann", "at": NOW.isoformat(), "reason": "read"}
    assert said["before"] == {"commit": None, "images": {}, "generation": 1}
    assert said["after"]["commit"] == "a" * 40
    (target,) = said["targets"]
    assert target["strategy"] == "compose"
    assert target["rendered_sha256"] == "0" * 64
    assert target["services"][0]["digest"] == digest("1").text
    assert (target["status"], target["migration"]) == ("verified", "done")
    assert target["evidence"] == read_back
    (stage,) = said["stages"]
    assert (stage["stage"], stage["seconds"], stage["outcome"]) == ("verify", 3.0, "ok")
    assert said["ended_at"] == LATER.isoformat()


def withdrawn(store: SqlStore) -> Deployment:
    asked = queue(store, "a")
    store.ask_to_withdraw(asked.id, failure("withdrawn"), NOW)
    return asked


def replaced(store: SqlStore) -> Deployment:
    asked = queue(store, "a")
    queue(store, "b")
    return asked


def retried_too_late(store: SqlStore) -> Deployment:
    asked = queue(store, "a")
    held = claim(store)
    queue(store, "b")
    store.retry_later(held, LATER, failure())
    return asked


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (lambda store: end(store, "a", Status.ROLLED_BACK), Status.ROLLED_BACK),
        (lambda store: end(store, "a", Status.NEEDS_OPERATOR), Status.NEEDS_OPERATOR),
        (withdrawn, Status.WITHDRAWN),
        (replaced, Status.SUPERSEDED),
        (retried_too_late, Status.SUPERSEDED),
    ],
)
def test_whatever_way_it_ends(
    store: SqlStore, ending: Callable[[SqlStore], Deployment], status: Status
) -> None:
    """There is a receipt at once, and it says how."""
    store.create_project(project())
    deployment = store.get_deployment(ending(store).id)
    said = content(store, deployment.id)
    assert (said["status"], said["superseded_by"]) == (status, deployment.superseded_by)
    assert (said["error"] is None) == (deployment.error is None)
    assert store.check_receipts().intact


def test_they_outlive_their_project_and_are_found(store: SqlStore) -> None:
    """Newest first, in pages, by project and status, and for those who may see some projects."""
    fill(store)
    found = store.read_receipts(after=1, limit=10, among=[WEB])
    assert [one.number for one in found] == [2, 3, 4]
    store.remove_project(WEB)
    store.create_project(project("shop"))
    shop = ProjectName("shop")
    queue(store, "a", name=shop)
    store.finish(claim(store), Status.DEPLOYED, LATER)
    assert numbers(store, ReceiptQuery()) == [5, 4, 3, 2, 1]
    assert numbers(store, ReceiptQuery(project=WEB, before=4, limit=2)) == [3, 2]
    assert numbers(store, ReceiptQuery(statuses=[Status.DEPLOYED])) == [5]
    assert numbers(store, ReceiptQuery(among=[shop])) == [5]
    assert numbers(store, ReceiptQuery(among=[])) == []
    store.create_project(replace(project(), created_at=LATER + timedelta(days=9999)))
    assert numbers(store, ReceiptQuery(among=[WEB, shop])) == [5], "a namesake's are not its own"
    assert store.read_receipts(after=0, limit=10, among=[WEB]) == []


# ── What is done to them ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "statement", ["UPDATE receipt SET body = '{}' WHERE number = 2", "DELETE FROM receipt"]
)
def test_the_database_itself_refuses_changes(
    store: SqlStore, behind: Database, statement: str
) -> None:
    """Whoever slips one into our statements gets no further."""
    fill(store, 2)
    with pytest.raises((DBAPIError, StoreError)), behind.writing() as connection:
        connection.execute(text(statement))
    assert store.check_receipts().intact


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (
            ["UPDATE receipt SET body = replace(body, 'failed', 'deployed') WHERE number = 2"],
            "receipt 2 is not as it was signed",
        ),
        (
            ["UPDATE receipt SET status = 'deployed' WHERE number = 3"],
            "receipt 3 was signed as that of status failed, not of deployed",
        ),
        (
            ["UPDATE receipt SET project = 'shop' WHERE number = 3"],
            "receipt 3 was signed as that of project web, not of shop",
        ),
        (["DELETE FROM receipt WHERE number = 2"], "receipt 2 is missing"),
        (["DELETE FROM receipt WHERE number > 2"], "receipt 3 and those after it are missing"),
        (["DELETE FROM receipt"], "receipt 1 and those after it are missing"),
        (
            [
                "UPDATE receipt SET number = 99 WHERE number = 2",
                "UPDATE receipt SET number = 2 WHERE number = 3",
                "UPDATE receipt SET number = 3 WHERE number = 99",
            ],
            "receipt 2 was signed as that of number 3, not of 2",
        ),
        (
            [
                """INSERT INTO receipt SELECT 5, 99, project, status, at, body, signature
                FROM receipt WHERE number = 4"""
            ],
            "receipt 5 was signed as that of number 4, not of 5",
        ),
    ],
)
def test_what_was_done_behind_our_back_is_found(
    store: SqlStore, behind: Database, statements: list[str], problem: str
) -> None:
    """Changed, removed, cut off, put elsewhere, added: each is named."""
    fill(store)
    tamper(behind, *statements)
    found = store.check_receipts()
    assert not found.intact
    assert problem in found.problem


def test_a_chain_of_another_key_is_found(store: SqlStore, behind: Database) -> None:
    """One who signs all of it anew has another key, which the receipts then name, or not."""
    other = SigningKey(Secret.of("07" * 32))
    first, second = fill(store, 2)
    key = store.receipt_key()
    told = first.text.replace(key.id, other.id)
    forged = {"body": told, "signature": other.sign(told)}
    with behind.writing() as connection:
        for statement in _UNLOCK[connection.dialect.name]:
            connection.execute(text(statement))
        change = "UPDATE receipt SET body = :body, signature = :signature WHERE number = 1"
        connection.execute(text(change), forged)
    assert store.check_receipts().problem == (
        f"receipt 1 is of another key: it names {other.id}, this is {key.id}"
    )
    assert problem_with(second, other).startswith("receipt 2 is of another key: ")


def test_the_end_of_the_chain_can_not_be_written_down_anew(
    store: SqlStore, behind: Database
) -> None:
    """Where it ends is sealed: a cut chain with another end is none."""
    cut = str(fill(store)[1].head)
    tamper(behind, "DELETE FROM receipt WHERE number > 2")
    with behind.writing() as connection:
        change = text("UPDATE fact SET value = :head WHERE key = 'receipt_head'")
        connection.execute(change, {"head": cut})
    assert "where they end is not known" in store.check_receipts().problem


# ── When something goes wrong ─────────────────────────────────────────────────────────────────


def test_either_both_or_neither(store: SqlStore) -> None:
    """A database that fails between the end and its receipt records none of them."""
    fill(store, 1)
    asked = queue(store, "b", force=True)
    held = claim(store)

    def fail(*given: object) -> None:
        if str(given[2]).startswith("INSERT INTO receipt"):
            raise OperationalError("INSERT", {}, Exception("disk full"))

    engine = store._database._writer
    event.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(StoreError):
        store.finish(held, Status.FAILED, LATER)
    event.remove(engine, "before_cursor_execute", fail)
    assert store.get_deployment(asked.id).status is Status.RUNNING
    store.finish(held, Status.FAILED, LATER)
    assert content(store, asked.id)["number"] == 2
    assert store.check_receipts().intact


def test_a_bug_holds_up_no_deployment(
    site: Site, behind: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The end is recorded; the receipt says that it can't tell, and so does the log."""
    store = site.open()
    store.create_project(project())
    asked = queue(store, "a")
    held = claim(store)
    store.record_target(held, LOCAL, TargetStatus.FAILED, NOW, evidence={"verify": {}})
    broken = "UPDATE project SET kind = 'no such kind'"
    with behind.writing() as connection:
        connection.execute(text(broken))
    store.finish(held, Status.FAILED, LATER)
    receipt = store.get_receipt(asked.id)
    assert receipt.content["gap"] == (
        "a bug kept this receipt from being written in full: ValueError"
    )
    assert (receipt.project, receipt.status) == (WEB, Status.FAILED)
    assert f"writing the receipt of deployment {asked.id} failed" in caplog.text
    assert store.check_receipts().intact


def test_replicas_end_deployments_at_once(site: Site) -> None:
    """One chain, whoever writes, with the audit log written by others at the same time."""
    stores = [site.open() for _ in range(4)]
    names = [ProjectName(f"p{number}") for number in range(16)]
    for name in names:
        stores[0].create_project(project(name))
        queue(stores[0], "a", name=name)
    held = [claim(stores[at % 4]) for at in range(len(names))]
    together = threading.Barrier(8)

    def finish(at: int) -> None:
        together.wait(30)
        store = stores[at % 4]
        if at % 3:
            store.finish(held[at], Status.DEPLOYED, LATER)
        else:
            store.finish(held[at], Status.FAILED, LATER, error=failure(), quarantine="it failed")
        again = queue(store, "b", name=names[at], force=True)
        store.ask_to_withdraw(again.id, failure("withdrawn"), LATER)  # a receipt, then the log

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(finish, range(len(names))))
    found = stores[1].check_receipts()
    assert found.intact, found.problem
    assert found.head.number == 32
    assert stores[2].check_audit().intact
    texts = [json.loads(one.text)["number"] for one in stores[3].read_receipts(after=0, limit=99)]
    assert texts == list(range(1, 33))
