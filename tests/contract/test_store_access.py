"""Tokens in every store: bound to what there is, and to nothing that comes later."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from reconciler.domain.access import AccessToken, Scope
from reconciler.domain.errors import InvalidInput
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.domain.webhook_signature import Verdict
from reconciler.ports import AnswerKey, AuditQuery, Delivery, DeliveryFilter
from reconciler.store.sql_store import SqlStore
from reconciler.store.tables import PERSON
from tests.parts.stores import NOW, WEB, project

BLOG = ProjectName("blog")
READ, PUSH = frozenset({Scope.READ}), frozenset({Scope.PUSH})
BOTH = READ | PUSH


def bound(name: str, scopes: frozenset[Scope], *projects: ProjectName) -> AccessToken:
    return AccessToken(name, scopes, projects or None, NOW)


@pytest.fixture
def tokens(store: SqlStore) -> dict[str, AccessToken]:
    """Keep tokens of every kind, beside two projects."""
    for name in (WEB, BLOG):
        store.create_project(project(name))
    made = [
        bound("everywhere", READ),
        bound("web", READ, WEB),
        bound("two", BOTH, BLOG, WEB),
        bound("blog", READ, BLOG),
        bound("pusher", PUSH, WEB),
    ]
    for one in made:
        store.add_token(one, one.name)
    return {one.name: one for one in made}


def kept(store: SqlStore) -> dict[str, AccessToken]:
    return {one.name: one for one in store.list_tokens()}


def told(store: SqlStore) -> list[tuple[str, str]]:
    return [(one.action, one.subject) for one in store.list_audit(AuditQuery(limit=3))]


def test_bindings_go_with_their_project(store: SqlStore, tokens: dict[str, AccessToken]) -> None:
    """A later one of its name is another: who could read the first can't read it."""
    roles = {WEB: "admin", BLOG: "viewer"}
    with store._database.writing() as connection:
        person = {"name": "ada", "roles": roles, "created_at": NOW}
        connection.execute(insert(PERSON).values(person))
    key = AnswerKey("token:web", "k")
    store.begin_answer(key, "asked", NOW)
    its, all_of_them = WebhookName("its"), WebhookName("forge")
    store.create_webhook(Webhook(its, Provider.FORGEJO, NOW, WEB), Secret.of("s" * 20))
    store.create_webhook(Webhook(all_of_them, Provider.FORGEJO, NOW), Secret.of("s" * 20))
    led = Delivery(all_of_them, NOW, "192.0.2.1", Verdict.VERIFIED, led_to={WEB: "looked"})
    store.record_deliveries([led], {})
    assert len(store.list_deliveries(DeliveryFilter(projects=frozenset({WEB})), limit=9)) == 1
    store.remove_project(WEB)
    store.create_project(replace(project(WEB), created_at=NOW + timedelta(seconds=1)))
    assert [one.webhook.name for one in store.list_webhooks()] == [all_of_them]
    assert store.list_deliveries(DeliveryFilter(projects=frozenset({WEB})), limit=9) == []
    assert kept(store) == {
        "everywhere": tokens["everywhere"],
        "two": replace(tokens["two"], projects=(BLOG,)),
        "blog": tokens["blog"],
        "pusher": tokens["pusher"],  # for the repository, which is there as before
    }
    assert store.find_token("web", NOW) is None
    assert store.begin_answer(key, "asked", NOW) is None
    with store._database.reading() as connection:
        assert connection.execute(select(PERSON.c.roles)).scalar_one() == {BLOG: "viewer"}
    store.remove_project(WEB)
    assert ("project.remove", f"project {WEB}") in told(store)


def test_bindings_go_with_their_repository(store: SqlStore, tokens: dict[str, AccessToken]) -> None:
    """Whoever could push to it can't push to a later one; who reads the project reads it still."""
    store.unbind_repository(WEB)
    after = kept(store)
    assert "pusher" not in after
    assert after["two"].projects == (BLOG,)
    assert after["web"] == tokens["web"]
    assert told(store)[:2] == [("token.change", "token two"), ("token.remove", "token pusher")]


def test_nothing_is_bound_to_a_project_that_may_come(store: SqlStore) -> None:
    """Whoever declared a project of that name would let it in."""
    with pytest.raises(InvalidInput, match="'blog' is no project"):
        store.add_token(bound("early", READ, BLOG), "d")
    assert kept(store) == {}
    store.add_token(bound("pusher", PUSH, BLOG), "d")


def test_a_token_ends_at_its_instant(store: SqlStore) -> None:
    """Up to then it opens, from then on it does not."""
    end = NOW + timedelta(hours=1)
    store.add_token(replace(bound("ci", READ), expires_at=end), "d")
    last = end - timedelta(microseconds=1)
    found = store.find_token("d", last)
    assert found is not None
    assert found.expires_at == end
    assert store.find_token("d", end) is None
