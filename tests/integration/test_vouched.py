"""People for whom a proxy or a provider vouches, on a real store."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.passwords import Argon2Passwords
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.access import Person, Role
from reconciler.domain.errors import AccessDenied, IdentityRefused
from reconciler.domain.openid import Flow
from reconciler.pipeline.people.sessions import Browser, Sessions
from reconciler.pipeline.people.sign_in import SignIn
from reconciler.pipeline.people.vouched import ProviderSignIn, Vouched
from reconciler.ports import AuditQuery
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, open_copy

BROWSER = Browser("203.0.113.7", "Firefox")
ADA = Person("ada", Role.OPERATOR, NOW, signs_in_elsewhere=True)


@pytest.fixture
def store(sqlite_template: Path, tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_copy(sqlite_template, tmp_path, SystemClock())
    yield opened
    opened.close()


@pytest.fixture
def vouched(store: SqlStore) -> Vouched:
    clock = SystemClock()
    sign_in = SignIn(store, clock, Argon2Passwords(), Sessions(store, clock))
    return Vouched(store, clock, sign_in)


def test_who_is_new_gets_the_role_that_is_configured(store: SqlStore, vouched: Vouched) -> None:
    """Once: what an admin makes of them afterwards stays."""
    with pytest.raises(IdentityRefused, match="reconciler person add ada --elsewhere"):
        vouched.begin("ada", "proxy", None, BROWSER)
    assert store.find_person("ada") is None
    vouched.begin("ada", "proxy", Role.VIEWER, BROWSER)
    ada = store.get_person("ada")
    assert (ada.role, ada.signs_in_elsewhere) == (Role.VIEWER, True)
    store.change_person(replace(ada, role=Role.OPERATOR))
    vouched.begin("ada", "oidc", Role.VIEWER, BROWSER)
    assert store.get_person("ada").role is Role.OPERATOR
    told = [(entry.action, entry.actor) for entry in store.list_audit(AuditQuery())]
    assert ("person.create", "ada") in told
    assert told.count(("session.begin", "ada")) == 2


def test_who_is_blocked_or_has_a_password_is_not_let_in(store: SqlStore, vouched: Vouched) -> None:
    """Whoever says so."""
    store.add_person(replace(ADA, blocked=True))
    with pytest.raises(AccessDenied):
        vouched.begin("ada", "oidc", Role.ADMIN, BROWSER)
    store.add_person(replace(ADA, name="grace"), "$argon2id$x")
    with pytest.raises(IdentityRefused, match="with a password"):
        vouched.begin("grace", "oidc", Role.ADMIN, BROWSER)


class Says:
    """A provider that names one person whatever it is shown."""

    name = "id.example"

    def address_to_ask(self, flow: Flow) -> str:
        return f"https://id.example/?state={flow.state}"

    def identify(self, flow: Flow, code: str) -> str:
        return code


def test_a_flow_begins_one_session_whichever_replica_is_asked(
    store: SqlStore, vouched: Vouched
) -> None:
    """The store counts, not the memory of one process."""
    store.add_person(ADA)
    one, other = (ProviderSignIn(Says(), vouched, None) for _ in range(2))
    flow, _ = one.begin()
    assert one.finish(flow, "ada", BROWSER).person == "ada"
    for again in (one, other):
        with pytest.raises(IdentityRefused, match="gone before"):
            again.finish(flow, "ada", BROWSER)
    another, _ = other.begin()
    assert other.finish(another, "ada", BROWSER).person == "ada"
