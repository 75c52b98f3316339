"""Announced images: looked up at once, whatever the image watch does, and never backwards."""

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.domain.deployment import Deployment, Trigger
from reconciler.domain.errors import SourceThrottled
from reconciler.domain.failure import Failure
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.domain.registry_event import ImageHint, ImagesHint
from reconciler.domain.secret import Secret
from reconciler.domain.state import ImageLook
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.domain.webhook_signature import Verdict
from reconciler.domain.wish import Wish
from reconciler.pipeline.reconcile import OutOfDate, Reconciler
from reconciler.ports import Comparison, Delivery, ImageFacts
from reconciler.store.sql_store import SqlStore
from reconciler.testing import ManualClock, digest_of
from reconciler.triggers.compose_images import ComposeImages
from reconciler.triggers.image_watch import ImageWatch
from reconciler.triggers.lanes import Lanes
from reconciler.triggers.registry_events import RegistryEvents
from tests.parts.waiting import eventually
from tests.unit.triggers.conftest import Sources

IMAGE = "registry.example/team/app:1"
HINT = ImagesHint((ImageHint("registry.example", "team/app", "1"),))
WEB, API = ProjectName("web"), ProjectName("api")
HOOK = WebhookName("images")
_PLACES = 4
WATCH = Wish(Trigger.IMAGE_WATCH, "image-watch")


@dataclass
class SlowRegistry:
    """Says what is there when it is asked, and may let whoever asked wait for that answer."""

    now: Digest | Exception = field(default_factory=lambda: digest_of("one"))
    gates: deque[threading.Event] = field(default_factory=deque)
    asked: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def digest(self, image: ImageReference, project: ProjectName | None = None) -> Digest:
        with self.lock:
            answer, gate = self.now, self.gates.popleft() if self.gates else None
            self.asked += 1
        if gate is not None:
            assert gate.wait(10)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def holds(self, image: ImageReference, project: ProjectName | None = None) -> bool:
        return True

    def describe(
        self,
        image: ImageReference,
        digest: Digest,
        platform: str,
        project: ProjectName | None = None,
    ) -> ImageFacts:
        return ImageFacts()

    def probe(self, host: str) -> Failure | None:
        return None


def _no_comparison(*_: object) -> Comparison:
    raise AssertionError("no commit moves here")


class World:
    """An image watch and registry events that share nothing but the store."""

    def __init__(self, store: SqlStore, clock: ManualClock, sources: Sources) -> None:
        self.store, self.clock = store, clock
        self.registry = SlowRegistry()
        self.bugs: list[Exception] = []
        self.reconciler = Reconciler(store, clock, lambda switch: switch, _no_comparison)
        self.lanes = [self._lanes(), self._lanes()]
        self.watch = ImageWatch(
            store,
            self.registry,
            ComposeImages(store, sources, sources, RuamelComposeReader()),  # type: ignore[arg-type]
            clock,
            self.lanes[0],
            lambda look: self.act(look, WATCH),
            lambda _, bug: self.bugs.append(bug),
        )
        self.events = RegistryEvents(
            store,
            self.registry,
            clock,
            self.lanes[1],
            self.act,
            lambda _, bug: self.bugs.append(bug),
        )
        store.create_webhook(
            Webhook(HOOK, Provider.HARBOR, clock.now(), registry="registry.example"),
            Secret.of("a-secret-of-harbor"),
        )

    def act(self, look: ImageLook, wish: Wish) -> str | None:
        result = self.reconciler.reconcile_images(look, wish)
        return None if isinstance(result, OutOfDate) else getattr(result, "outcome", "in sync")

    def add(self, name: ProjectName) -> None:
        now = self.clock.now()
        self.store.create_project(
            Project(
                *(name, ProjectKind.IMAGE, now, now),
                image=ImageReference.parse(IMAGE),
                auto_deploy=True,
            )
        )

    def announce(self, *names: ProjectName) -> int:
        """Have ``names`` looked at; return the number of the delivery that announced it."""
        told = Delivery(HOOK, self.clock.now(), "", Verdict.VERIFIED, hint=HINT)
        (number,) = self.store.record_deliveries([told], {})
        wish = Wish(Trigger.REGISTRY_EVENT, HOOK, number)
        self.events.look_at(HINT, dict.fromkeys(names, wish))
        return number

    def said(self, number: int) -> dict[ProjectName, str]:
        return dict(self.store.get_delivery(HOOK, number).led_to)

    def deployments(self, name: ProjectName = WEB) -> list[Deployment]:
        return list(self.store.list_deployments(name))

    def tracked(self) -> Digest:
        return self.store.get_state(WEB).tracked_images[IMAGE]

    def hold(self) -> threading.Event:
        """Let the next look-up wait for its answer until the event is set."""
        gate = threading.Event()
        self.registry.gates.append(gate)
        return gate

    def take_all_places(self) -> threading.Event:
        """Have as many look-ups wait for their answer as may be made at once."""
        gate, before = threading.Event(), self.registry.asked
        for number in range(1, _PLACES + 1):
            self.registry.gates.append(gate)
            self.announce(WEB)
            eventually(lambda: self.registry.asked == before + number, what="a look began")  # noqa: B023
        return gate

    def start_tick(self) -> threading.Thread:
        before = self.registry.asked
        thread = threading.Thread(target=self.watch.tick)
        thread.start()
        eventually(lambda: self.registry.asked > before, what="the image watch asked")
        return thread

    def _lanes(self) -> Lanes:
        return Lanes("test", at_once=_PLACES, per_host=_PLACES, suspects_at_once=1)


@pytest.fixture
def world(store: SqlStore, clock: ManualClock, sources: Sources) -> Iterator[World]:
    made = World(store, clock, sources)
    made.add(WEB)
    made.watch.tick()
    yield made
    for lanes in made.lanes:
        assert lanes.join(10)
        lanes.close()
    assert made.bugs == []


def test_what_is_announced_is_looked_up_and_deployed(world: World) -> None:
    """In the webhook's name; what came of it stands with the delivery."""
    world.registry.now = digest_of("two")
    number = world.announce(WEB)
    eventually(lambda: world.said(number) == {WEB: "admitted"}, what="it was looked into")
    (deployment,) = world.deployments()
    (cause,) = deployment.causes
    assert (cause.trigger, cause.actor) == (Trigger.REGISTRY_EVENT, HOOK)
    assert deployment.revision.images == {IMAGE: digest_of("two")}
    (image,) = world.store.get_images(WEB)
    assert image.digest == digest_of("two")
    again = world.announce(WEB)
    eventually(lambda: world.said(again) == {WEB: "in sync"}, what="it was looked into again")
    assert len(world.deployments()) == 1


@pytest.mark.parametrize("seen", ["one", "between"])
def test_it_is_at_once_while_the_watch_waits_and_is_not_undone_by_it(
    world: World, seen: str
) -> None:
    """What the watch had asked for before is out of date when it comes, and deploys nothing."""
    world.clock.advance(timedelta(minutes=10))
    world.registry.now = digest_of(seen)
    gate = world.hold()
    tick = world.start_tick()
    world.clock.advance(timedelta(seconds=1))
    world.registry.now = digest_of("two")
    number = world.announce(WEB)
    eventually(lambda: world.said(number) == {WEB: "admitted"}, what="nothing was waited for")
    assert tick.is_alive()
    gate.set()
    tick.join(10)
    assert world.tracked() == digest_of("two")
    assert len(world.deployments()) == 1
    assert world.store.get_images(WEB)[0].digest == digest_of("two"), "nor is it shown as newest"


def test_an_event_that_ends_after_the_watch_looks_again(world: World) -> None:
    """What it had asked for before is out of date; what is there by now counts."""
    world.registry.now = digest_of("two")
    gate = world.hold()
    number = world.announce(WEB)
    eventually(lambda: world.registry.asked == 2, what="the event's look began")
    world.registry.now = digest_of("three")
    world.watch.tick()
    world.registry.now = digest_of("four")
    gate.set()
    eventually(lambda: world.said(number) == {WEB: "admitted"}, what="it looked again")
    assert world.tracked() == digest_of("four")
    newest, older = world.deployments()
    assert newest.revision.images == {IMAGE: digest_of("four")}
    assert older.causes[0].trigger is Trigger.IMAGE_WATCH


def test_a_flood_is_few_looks(world: World) -> None:
    """All that comes while every place for its registry is taken is one more."""
    world.add(API)
    world.watch.tick()
    gate, before = world.take_all_places(), world.registry.asked
    world.registry.now = digest_of("two")
    last = [world.announce(WEB, API) for _ in range(30)][-1]
    gate.set()
    eventually(lambda: set(world.said(last)) == {WEB, API}, what="the last counts")
    assert world.lanes[1].join(10)
    assert world.registry.asked == before + 1
    assert [len(world.deployments(name)) for name in (WEB, API)] == [1, 1]


def test_a_registry_that_cools_down_is_left_alone(world: World) -> None:
    """That is said, and nothing is deployed or forgotten."""
    told = "registry.example is cooling down for another 30 s"
    world.registry.now = SourceThrottled(told, timedelta(seconds=30))
    number = world.announce(WEB)
    eventually(lambda: world.said(number) == {WEB: told}, what="it is said")
    (image,) = world.store.get_images(WEB)
    assert image.error is not None
    assert (image.digest, world.deployments()) == (digest_of("one"), [])


def test_a_project_that_was_never_looked_at_only_waits(world: World) -> None:
    """What to compare with is recorded by the image watch, as a whole."""
    world.add(API)
    world.store.put_images(API, "now", world.store.get_images(WEB))
    world.registry.now = digest_of("two")
    number = world.announce(API)
    eventually(lambda: "never looked at" in world.said(number).get(API, ""), what="it is said")
    assert not world.store.get_state(API).images_seeded


def test_a_project_that_went_meanwhile_stops_no_other(world: World) -> None:
    """Nor does one that follows the image no longer."""
    world.add(API)
    world.watch.tick()
    gone = ProjectName("gone")
    world.add(gone)
    world.watch.tick()
    gate = world.take_all_places()
    world.registry.now = digest_of("two")
    number = world.announce(gone, API, WEB)
    world.store.remove_project(gone)
    world.store.put_images(API, "now", [])
    gate.set()
    said = {API: f"it follows {IMAGE} no longer", WEB: "admitted"}
    eventually(lambda: world.said(number) == said, what="it was looked into")
    (bug,) = world.bugs
    assert "gone" in str(bug)
    world.bugs.clear()


def test_only_the_images_that_it_concerns_are_asked_for(world: World) -> None:
    """By their tag; one that is not watched is not asked for either."""
    (image,) = world.store.get_images(WEB)
    other = replace(image, image="registry.example/team/app:2")
    pinned = replace(image, image="registry.example/team/app:3", unwatched_because="it is stateful")
    world.store.put_images(WEB, "now", [image, other, pinned])
    before = world.registry.asked
    any_tag = ImagesHint((ImageHint("registry.example", "team/app", None),))
    for hint, looks in ((HINT, 1), (any_tag, 2)):
        world.events.look_at(hint, {WEB: WATCH})
        assert world.lanes[1].join(10)
        assert world.registry.asked == before + looks
        before += looks
