"""Pushes that a webhook should have announced: found by polling, counted, and told."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.domain.project import ExternalSource, Project, ProjectKind
from reconciler.domain.references import BranchName, GitUrl, ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.pipeline.explain import Explainer
from reconciler.pipeline.reasons import ExplainedReason
from reconciler.ports import GitRemote
from reconciler.store.sql_store import SqlStore
from reconciler.testing import ManualClock
from reconciler.triggers.git_poll import GitPoll
from reconciler.triggers.lanes import Lanes
from reconciler.triggers.webhook import Receiver
from reconciler.triggers.webhook_inbox import Knock
from tests.parts.git_repository import Repository
from tests.parts.git_server import GitServer
from tests.parts.stores import open_copy

pytestmark = pytest.mark.needs_git

SHOP, HOOK = ProjectName("shop"), WebhookName("shop")
SECRET = "a-secret-of-the-forge"
MINUTE = timedelta(minutes=1)


@dataclass
class Shop:
    """One project that is polled, and the webhook that should announce its pushes."""

    store: SqlStore
    clock: ManualClock
    repository: Repository
    poll: GitPoll
    receiver: Receiver

    def push(self, name: str) -> None:
        self.repository.commit({"name": name})

    def announce(self, secret: str = SECRET) -> None:
        """Send what the forge sends of a push, and take it up."""
        body = {"ref": "refs/heads/main", "repository": {"full_name": "team/shop"}}
        text = json.dumps(body).encode()
        signature = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
        headers = {"x-gitea-event": ["push"], "x-gitea-signature": [signature]}
        door = self.receiver.doors.find(HOOK)
        assert door is not None
        self.receiver.receive(door, Knock(headers, "10.0.0.7", text))
        self.receiver.tick()

    def look(self) -> None:
        """Do the looks that are due."""
        self.poll.tick(MINUTE)
        assert self.poll.lanes.join(10)
        self.poll.record()

    def wait(self) -> None:
        """Let a minute and a bit pass, and do what is due then."""
        self.clock.advance(MINUTE + timedelta(seconds=10))
        self.look()

    def told(self) -> list[bool]:
        """Return of each move whether it came announced."""
        return [move.announced for move in self.store.get_announcements(SHOP).moves]

    def why(self) -> list[ExplainedReason]:
        """Return what `why` says of the webhook."""
        reasons = Explainer(self.store, self.clock, lambda switch: switch).why(SHOP).reasons
        return [one for one in reasons if one.code == "webhook-missing"]


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[GitRemote]:
    keys = HostKeys(lambda _: "", lambda *_: None)
    made = DulwichRemote(tmp_path / "git", LocalRunner("test"), keys)
    yield made
    made.close()


@pytest.fixture
def shop(sqlite_template: Path, tmp_path: Path, remote: GitRemote) -> Iterator[Shop]:
    clock = ManualClock()
    store = open_copy(sqlite_template, tmp_path, clock)
    with GitServer() as server:
        repository = server.repository("team/shop.git")
        source = ExternalSource(GitUrl.parse(server.url("team/shop.git")), BranchName("main"))
        now = clock.now()
        made = Project(SHOP, ProjectKind.COMPOSE, now, now, source=source, auto_deploy=True)
        store.create_project(made)
        store.create_webhook(Webhook(HOOK, Provider.GITEA, now, SHOP), Secret.of(SECRET))
        lanes = Lanes("test", at_once=1, per_host=1, suspects_at_once=1)
        poll = GitPoll(
            *(store, remote, clock, lanes, lambda *_: "seen"),
            on_bug=lambda what, error: pytest.fail(f"{what}: {error}"),
            random=lambda: 0.5,
        )

        def look_at(project: Project, wish: object) -> str:
            store.poll_now(project.name, wish)  # type: ignore[arg-type]
            return "is looked at now"

        receiver = Receiver(store, clock, look_at)
        repository.commit({"name": "first"})
        running = Shop(store, clock, repository, poll, receiver)
        running.look()
        yield running
        lanes.close()
    store.close()


def test_pushes_that_come_unannounced_are_told(shop: Shop) -> None:
    """Two of them are more than a chance; what the webhook did last says where to look."""
    assert (shop.told(), shop.why()) == ([], [])  # the first sight is no move
    shop.push("announced")
    shop.announce()
    shop.look()
    assert shop.told() == [True]
    for name in ("lost", "lost again"):
        assert shop.why() == []
        shop.push(name)
        shop.wait()
    assert shop.told() == [True, False, False]
    (reason,) = shop.why()
    assert reason.text.startswith(
        "2 of the last 3 pushes came without a delivery; polling found them; "
        "the last delivery to shop, of "
    )
    assert "was verified" in reason.text
    shop.announce("another-secret-than-ours")
    assert "was refused: signature wrong" in shop.why()[0].text
    for name in "abcd":
        shop.clock.advance(2 * MINUTE)
        shop.push(name)
        shop.announce()
        shop.look()
    assert shop.told()[-5:] == [False, True, True, True, True]
    assert shop.why() == []


def test_a_webhook_that_never_worked_is_told(shop: Shop) -> None:
    """And nothing is said any more once it is gone: polling is what is left then."""
    for name in ("one", "two"):
        shop.push(name)
        shop.wait()
    assert "no delivery ever came to shop" in shop.why()[0].text
    shop.store.remove_webhook(HOOK)
    assert shop.why() == []


def test_a_poll_that_is_faster_than_the_delivery_is_no_loss(shop: Shop) -> None:
    """The delivery comes a moment later, and finds nothing new."""
    shop.push("raced")
    shop.wait()
    assert shop.told() == [False]
    shop.clock.advance(timedelta(seconds=2))
    shop.announce()
    shop.look()
    assert shop.told() == [True]


def test_what_a_person_had_looked_at_is_not_counted(shop: Shop) -> None:
    """Nobody waited for a delivery there."""
    shop.push("looked at")
    shop.store.poll_now(SHOP)
    shop.look()
    shop.wait()
    assert shop.told() == []


def test_a_delivery_whose_look_failed_still_announced_it(shop: Shop) -> None:
    """The forge said so, and its git server was down for a moment."""
    shop.clock.advance(timedelta(seconds=5))
    shop.push("while it was down")
    shop.announce()
    shop.repository.path.rename(shop.repository.path.with_name("away.git"))
    shop.look()
    shop.repository.path.with_name("away.git").rename(shop.repository.path)
    assert shop.store.get_health(SHOP).failures == 1
    shop.clock.advance(5 * MINUTE)
    shop.look()
    assert shop.told() == [True]
