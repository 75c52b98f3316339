"""People, sessions and tries in every store: atomic, also between replicas."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from reconciler.adapters.passwords import Argon2Passwords
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.access import EVERYTHING, AccessToken, Person, Role, Session
from reconciler.domain.errors import AlreadyExists, LastAdmin, NotFound, SignInFailed, TooManyTries
from reconciler.domain.secret import Secret
from reconciler.domain.sign_in import FOR_ONE, FORGIVEN_AFTER, Patience
from reconciler.pipeline.people.sessions import Browser, Sessions
from reconciler.pipeline.people.sign_in import SignIn
from reconciler.ports import AnswerKey, AuditQuery, GivenAnswer
from reconciler.store.sessions import MOST_OF_ONE
from reconciler.store.sql_store import SqlStore
from reconciler.store.tables import SIGN_IN_ATTEMPT
from tests.parts.stores import NOW, WEB, Site

ADA = Person("ada", Role.ADMIN, NOW, signs_in_elsewhere=True)
BOB = Person("bob", None, NOW, {WEB: Role.OPERATOR}, signs_in_elsewhere=True)
IDLE = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)
NO_WAIT = timedelta(0)


def session(name: str = "one", person: str = "ada", **more: object) -> Session:
    """Return a session that begins now."""
    made = Session(name, person, NOW, NOW, NOW + 24 * IDLE, "192.0.2.7", "Firefox", "password")
    return replace(made, **more)  # type: ignore[arg-type]


def test_people_are_kept(store: SqlStore) -> None:
    """With their roles, and the hash of a password that only the one who asks for it gets."""
    store.add_person(BOB)
    store.add_person(ADA, "$argon2id$x")
    ada = replace(ADA, signs_in_elsewhere=False)
    assert list(store.list_people()) == [ada, BOB]
    assert store.find_password_hash("ada") == "$argon2id$x"
    assert store.find_password_hash("bob") == store.find_password_hash("nobody") == ""
    with pytest.raises(AlreadyExists):
        store.add_person(ADA)
    with pytest.raises(NotFound):
        store.get_person("nobody")
    store.renew_password_hash("ada", "another", "renewed")
    assert store.find_password_hash("ada") == "$argon2id$x"
    store.renew_password_hash("ada", "$argon2id$x", "renewed")
    assert store.find_password_hash("ada") == "renewed"
    assert "argon2id" not in str(store.list_audit(AuditQuery()))


def test_the_last_admin_stays(store: SqlStore) -> None:
    """Whatever would leave nobody, blocked ones not counted."""
    store.add_person(ADA)
    store.add_person(replace(BOB, role=Role.ADMIN, blocked=True))
    with pytest.raises(LastAdmin):
        store.remove_person("ada")
    for less in (replace(ADA, blocked=True), replace(ADA, role=Role.OPERATOR)):
        with pytest.raises(LastAdmin):
            store.change_person(less)
    assert store.get_person("ada") == ADA
    store.change_person(replace(BOB, role=Role.ADMIN))
    store.remove_person("ada")
    assert store.find_person("ada") is None


def test_two_admins_who_demote_each_other(site: Site) -> None:
    """At the same moment, from two replicas: one of them stays."""
    stores = [site.open(), site.open()]
    for name in ("ada", "grace"):
        stores[0].add_person(replace(ADA, name=name))
    with ThreadPoolExecutor(2) as pool:
        tries = [
            pool.submit(one.remove_person, name)
            for one, name in zip(stores, ("ada", "grace"), strict=True)
        ]
    assert [type(one.exception()) for one in tries].count(LastAdmin) == 1


def test_what_a_person_was_answered_goes_with_them(store: SqlStore) -> None:
    """Somebody else may get the name."""
    store.add_person(ADA)
    store.add_person(BOB)
    key = AnswerKey(BOB.name, "k")
    assert store.begin_answer(key, "asked", NOW) is None
    store.remove_person("bob")
    assert store.begin_answer(key, "another", NOW) is None
    assert store.begin_answer(key, "another", NOW) == GivenAnswer("another", NOW)


def test_one_link_makes_one_admin(site: Site) -> None:
    """Twenty use it at once, on two replicas."""
    stores = [site.open(), site.open()]
    assert stores[0].offer_set_up("d" * 64, NOW, IDLE)
    assert stores[1].offer_set_up("e" * 64, NOW, IDLE)
    with ThreadPoolExecutor(20) as pool:
        used = list(
            pool.map(
                lambda number: stores[number % 2].use_set_up(
                    "de"[number % 2] * 64, replace(ADA, name=f"ada{number}"), "hash"
                ),
                range(20),
            )
        )
    assert used.count(True) == 1
    (only,) = stores[0].list_people()
    assert only.is_admin
    assert not stores[0].offer_set_up("f" * 64, NOW, IDLE)
    assert not stores[0].is_set_up_offered("d" * 64, NOW)


def test_a_link_ends(store: SqlStore) -> None:
    """In time, where there is an admin, and for nobody's taken name."""
    store.add_person(BOB)
    assert store.offer_set_up("d" * 64, NOW, IDLE)
    assert store.is_set_up_offered("d" * 64, NOW + IDLE - MINUTE)
    assert not store.is_set_up_offered("e" * 64, NOW)
    late = replace(ADA, created_at=NOW + IDLE)
    assert not store.use_set_up("d" * 64, late, "hash")
    assert store.list_people() == [BOB]
    with pytest.raises(AlreadyExists):
        store.use_set_up("d" * 64, replace(ADA, name="bob"), "hash")
    store.add_token(AccessToken("admin", EVERYTHING, None, NOW, expires_at=NOW + MINUTE), "t" * 64)
    assert store.has_admin(NOW)
    assert not store.use_set_up("d" * 64, ADA, "hash")
    assert not store.has_admin(NOW + MINUTE)
    assert store.use_set_up("d" * 64, replace(ADA, created_at=NOW + MINUTE), "hash")


def test_sessions_end(store: SqlStore) -> None:
    """Idle ones after a while, others in their time, and those that somebody ends."""
    store.add_person(ADA)
    assert store.add_session(session(), "d" * 64)
    found = store.find_session("d" * 64, NOW + IDLE - MINUTE, IDLE)
    assert found is not None
    assert (found[0].id, found[1].name) == ("one", "ada")
    assert store.find_session("d" * 64, NOW + 2 * IDLE - 2 * MINUTE, IDLE), "it was seen meanwhile"
    assert store.find_session("d" * 64, NOW + 4 * IDLE, IDLE) is None
    assert store.find_session("e" * 64, NOW, IDLE) is None
    assert store.find_session("d" * 64, NOW + 24 * IDLE, 99 * IDLE) is None
    with pytest.raises(NotFound):
        store.remove_session("one", "bob")
    store.remove_session("one", "ada")
    assert store.find_session("d" * 64, NOW, IDLE) is None


def test_a_full_disk_keeps_nobody_from_looking(store: SqlStore) -> None:
    """That a token or a session is used can't be noted then; it opens all the same."""

    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE"):
            raise OperationalError("UPDATE", {}, Exception("disk full"))

    store.add_person(ADA)
    assert store.add_session(session(), "d" * 64)
    store.add_token(AccessToken("ci", EVERYTHING, None, NOW), "t")
    event.listen(store._database._writer, "before_cursor_execute", fail)
    assert store.find_session("d" * 64, NOW + 2 * MINUTE, IDLE)
    assert store.find_token("t", NOW)
    event.remove(store._database._writer, "before_cursor_execute", fail)


def test_sessions_follow_their_person(store: SqlStore) -> None:
    """Blocking and another password end them at once; a role counts from the next request on."""
    store.add_person(ADA)
    store.add_person(BOB, "old")
    for number in "123":
        assert store.add_session(session(number, "bob"), number * 64)
    store.change_person(replace(BOB, role=Role.VIEWER))
    found = store.find_session("1" * 64, NOW, IDLE)
    assert found is not None
    assert found[1].role is Role.VIEWER
    store.put_password_hash("bob", "new", keep="2")
    assert [one.id for one in store.list_sessions(NOW, IDLE)] == ["2"]
    assert not store.add_session(session("4", "bob"), "4" * 64, proven="old")
    assert store.add_session(session("4", "bob"), "4" * 64, proven="new")
    assert store.remove_sessions("bob", keep="4") == 1
    store.change_person(replace(BOB, blocked=True))
    assert store.find_session("4" * 64, NOW, IDLE) is None
    store.change_person(BOB)
    assert store.find_session("4" * 64, NOW, IDLE) is None, "for good"
    assert not store.add_session(session("5", "nobody"), "5" * 64)


def test_nobody_fills_the_database_with_sessions(store: SqlStore) -> None:
    """The oldest of a person's go."""
    store.add_person(ADA)
    for number in range(MOST_OF_ONE + 1):
        begun = NOW + timedelta(seconds=number)
        store.add_session(session(f"s{number}", created_at=begun), f"{number:064}")
    kept = [one.id for one in store.list_sessions(NOW, IDLE, "ada")]
    assert len(kept) == MOST_OF_ONE
    assert "s0" not in kept


def test_tries_are_counted_before_they_are_looked_at(site: Site) -> None:
    """A hundred at once, on two replicas: as many as are free, and not one more."""
    stores = [site.open(), site.open()]
    with ThreadPoolExecutor(16) as pool:
        waits = list(
            pool.map(
                lambda number: stores[number % 2].take_attempt("ada 192.0.2.0/24", NOW, FOR_ONE),
                range(100),
            )
        )
    assert waits.count(NO_WAIT) == FOR_ONE.free
    assert set(waits) == {NO_WAIT, FOR_ONE.first}
    assert stores[0].take_attempt("bob 192.0.2.0/24", NOW, FOR_ONE) == NO_WAIT


def test_the_wait_grows_and_passes(store: SqlStore) -> None:
    """Twice as long after each; forgotten with the right password, and in time."""
    take = partial(store.take_attempt, "ada", patience=FOR_ONE)
    for _ in range(FOR_ONE.free):
        assert take(NOW) == NO_WAIT
    now = NOW
    for wait in (2, 4, 8):
        assert take(now) == store.wait_of("ada", now) == timedelta(seconds=wait)
        now += timedelta(seconds=wait)
        assert store.wait_of("ada", now) == NO_WAIT
        assert take(now) == NO_WAIT
    store.give_attempt_back("ada")
    assert take(now + timedelta(seconds=16)) == NO_WAIT
    assert take(now + timedelta(seconds=31)) == timedelta(seconds=1)
    store.forget_attempts("ada")
    assert take(now) == NO_WAIT
    for _ in range(FOR_ONE.free):
        take(now)
    assert take(now) > NO_WAIT
    store.take_attempt("bob", now, FOR_ONE)
    assert take(now + FORGIVEN_AFTER + MINUTE) == NO_WAIT
    with store._database.reading() as connection:
        kept = connection.execute(select(SIGN_IN_ATTEMPT.c.subject)).scalars().all()
    assert kept == ["ada"], "old ones go"


def test_made_up_names_fill_no_database(store: SqlStore) -> None:
    """One customer's IPv6 network counts as one, and what is not looked at leaves nothing."""
    clock = SystemClock()
    passwords = Argon2Passwords(memory_kib=8, passes=1)
    sign_in = SignIn(store, clock, passwords, Sessions(store, clock))
    for name in ("a\0b", "\ud800", "Ada Lovelace"):
        with pytest.raises(SignInFailed):
            sign_in.sign_in(name, "wrong", Browser("2001:db8:1:1::7", ""))
    subjects = select(SIGN_IN_ATTEMPT.c.subject)
    with store._database.reading() as connection:
        before = connection.execute(subjects).scalars().all()
    assert len(before) == 2, "nobody, and the network"
    store.take_attempt("2001:db8:1::/48", clock.now(), Patience(0, MINUTE, MINUTE))
    for number in range(10):
        with pytest.raises(TooManyTries):
            sign_in.sign_in(f"name{number}", "wrong", Browser(f"2001:db8:1:{number}::7", ""))
    with store._database.reading() as connection:
        assert connection.execute(subjects).scalars().all() == before


def test_the_key_of_browsers_is_one(site: Site) -> None:
    """Whichever replica made it."""
    assert site.open().get_device_key() == site.open().get_device_key()


def test_a_hundred_passwords_at_once(site: Site) -> None:
    """On two replicas: at most one more than is free is looked at; others sign in meanwhile."""
    looked_at: list[Secret] = []

    class Counting(Argon2Passwords):
        def verify(self, password: Secret, known: str) -> bool:
            looked_at.append(password)
            return super().verify(password, known)

    passwords = Counting(memory_kib=64, passes=1)
    stores = [site.open(), site.open()]
    replicas = [
        SignIn(one, SystemClock(), passwords, Sessions(one, SystemClock())) for one in stores
    ]
    for name in ("ada", "bob"):
        stores[0].add_person(replace(ADA, name=name), passwords.hash(Secret.of("right")))
    known = replicas[0].sign_in("ada", "right", Browser("203.0.113.9", ""))
    looked_at.clear()

    def guess(number: int) -> str:
        try:
            replicas[number % 2].sign_in("ada", f"{number}", Browser("192.0.2.7", ""))
        except (SignInFailed, TooManyTries) as error:
            return error.code
        return "in"

    with ThreadPoolExecutor(16) as pool:
        tries = pool.map(guess, range(100))
        other = pool.submit(replicas[1].sign_in, "bob", "right", Browser("192.0.2.8", ""))
        herself = pool.submit(
            replicas[0].sign_in, "ada", "right", Browser("192.0.2.7", ""), known.mark
        )
        codes = list(tries)
    assert other.result().person == "bob"
    assert herself.result().person == "ada"
    guessed = [one for one in looked_at if one.reveal() != "right"]
    assert len(guessed) <= FOR_ONE.free + 1
    assert codes.count("sign-in-failed") == len(guessed)
    assert codes.count("too-many-tries") == 100 - len(guessed)
