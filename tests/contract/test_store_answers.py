"""Answers in every store: kept for a day and sealed, each request carried out once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import select

from reconciler.domain.access import AccessToken, Scope
from reconciler.domain.errors import ChangedMeanwhile
from reconciler.domain.secret import Secret
from reconciler.ports import AnswerKey, GivenAnswer, SettingRecord
from reconciler.store import answers
from reconciler.store.sql_store import SqlStore
from reconciler.store.tables import ANSWER
from tests.contract.test_store_hosts import host
from tests.parts.stores import NOW, WEB, Site, project

KEY = AnswerKey("ada", "k")
ASKED = "5f0c"
MINUTE = timedelta(minutes=1)


def given(status: int = 201) -> GivenAnswer:
    return GivenAnswer(ASKED, NOW, status, {"location": "/x"}, Secret.of('{"token":"t0p"}'))


def test_an_answer_is_kept_for_its_principal(store: SqlStore, site: Site) -> None:
    """The first one works on it; another replica finds it taken, then answered."""
    other = site.open()
    assert store.begin_answer(KEY, ASKED, NOW) is None
    assert other.begin_answer(KEY, ASKED, NOW + MINUTE) == GivenAnswer(ASKED, NOW)
    assert other.begin_answer(AnswerKey("admin bob", "k"), ASKED, NOW) is None
    store.keep_answer(KEY, given())
    assert other.begin_answer(KEY, ASKED, NOW + MINUTE) == given()
    another = other.begin_answer(KEY, "another", NOW + MINUTE)
    assert another is not None
    assert (another.request, another.body.reveal()) == ("", "")


def test_it_is_sealed(store: SqlStore) -> None:
    """Neither what is shown once nor what was asked can be told from the database."""
    store.begin_answer(KEY, ASKED, NOW)
    store.keep_answer(KEY, given())
    with store._database.reading() as connection:
        ((sealed, asked),) = connection.execute(select(ANSWER.c.sealed_body, ANSWER.c.request))
    assert sealed
    assert "t0p" not in sealed
    assert asked != ASKED


def test_it_goes_with_its_token(store: SqlStore) -> None:
    """A later token of that name gets to see nothing of it; a person of it keeps theirs."""
    tokens, others = AnswerKey("token:ada", "k"), KEY
    for key in (tokens, others):
        store.begin_answer(key, ASKED, NOW)
        store.keep_answer(key, given())
    store.add_token(AccessToken("ada", frozenset({Scope.ADMIN}), None, NOW), "d" * 64)
    store.remove_token("ada")
    assert store.begin_answer(tokens, ASKED, NOW) is None
    assert store.begin_answer(others, ASKED, NOW) == given()


def test_what_was_given_up_is_taken_over_once(store: SqlStore) -> None:
    """After two minutes, by the same request; the late answer of the first is not kept."""
    store.begin_answer(KEY, ASKED, NOW)
    later = NOW + answers.LONGEST_WORK
    assert store.begin_answer(KEY, "another", later) is not None
    assert store.begin_answer(KEY, ASKED, later) is None
    assert store.begin_answer(KEY, ASKED, later) is not None
    store.keep_answer(KEY, given())
    found = store.begin_answer(KEY, ASKED, later)
    assert found is not None
    assert found.status is None


def test_a_key_is_free_again(store: SqlStore) -> None:
    """Where it was let go of, and a day later."""
    store.begin_answer(KEY, ASKED, NOW)
    store.drop_answer(KEY, NOW)
    assert store.begin_answer(KEY, "another", NOW) is None
    tomorrow = NOW + answers.KEPT_FOR + MINUTE
    assert store.begin_answer(KEY, ASKED, tomorrow) is None


def test_nobody_fills_the_database(store: SqlStore) -> None:
    """Of one principal the newest are kept, and no other's go for it."""
    rows = [
        {"principal": KEY.principal, "key": f"k{number}", "request": "", "sealed_body": ""}
        | {"headers": {}, "at": NOW + timedelta(seconds=number)}
        for number in range(answers.MOST_OF_ONE)
    ]
    other = AnswerKey("admin bob", "k")
    store.begin_answer(other, ASKED, NOW)
    store.keep_answer(other, given())
    with store._database.writing() as connection:
        connection.execute(ANSWER.insert(), rows)
    later = NOW + timedelta(hours=4)
    assert store.begin_answer(KEY, ASKED, later) is None
    assert store.begin_answer(AnswerKey(KEY.principal, "k0"), ASKED, later) is None
    assert store.begin_answer(other, ASKED, later) is not None
    kept = store.begin_answer(AnswerKey(KEY.principal, "k2"), ASKED, later)
    assert kept is not None


def test_nobody_overwrites_what_they_have_not_seen(store: SqlStore) -> None:
    """Compared in the transaction that changes it: of two who saw the same, one is refused."""
    store.create_project(project())
    store.create_host(host())
    seen, machine, settings = store.get_project(WEB), host(), store.get_settings()
    changed = replace(project(), expose_port=81)
    store.update_project(changed, seen)
    store.update_host(host(port=22), machine)
    record = SettingRecord("auto_deploy_poll_interval_seconds", 70, "ada", NOW)
    store.put_settings([record], settings)
    for late in (
        lambda: store.update_project(replace(project(), expose_port=82), seen),
        lambda: store.remove_project(WEB, seen),
        lambda: store.update_host(host(port=23), machine),
        lambda: store.put_host_secret(machine.name, Secret.of("x"), NOW, machine),
        lambda: store.remove_host(machine.name, machine),
        lambda: store.put_settings([record], settings),
    ):
        with pytest.raises(ChangedMeanwhile):
            late()
    assert store.get_project(WEB) == changed
    store.remove_project(WEB, changed)
    store.remove_host(machine.name, host(port=22))


def test_a_key_that_is_let_go_of_meanwhile_is_no_fault(site: Site) -> None:
    """Whoever asks in that very moment is told to ask again."""
    one, other = site.open(), site.open()
    given_up = Event()

    def ask_again_and_again() -> None:
        while not given_up.is_set():
            found = other.begin_answer(KEY, ASKED, NOW)
            assert found is None or found.status is None

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask_again_and_again)
        for _ in range(60):
            one.begin_answer(KEY, ASKED, NOW)
            one.drop_answer(KEY, NOW)
        given_up.set()
        asking.result()
