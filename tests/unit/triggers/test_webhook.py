"""What is received is a hint: who is woken by it, and what is kept of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from reconciler.domain.deployment import Trigger
from reconciler.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    SourceUnreachable,
    StoreError,
    TooBusy,
)
from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import BranchName, GitUrl, ProjectName
from reconciler.domain.registry_event import ImagesHint
from reconciler.domain.secret import Secret
from reconciler.domain.state import WatchedImage
from reconciler.domain.webhook import (
    FORGES,
    REGISTRY_HOSTS,
    Matching,
    Provider,
    Webhook,
    WebhookName,
)
from reconciler.domain.webhook_payload import make_push
from reconciler.domain.webhook_signature import Verdict, sign
from reconciler.domain.wish import Wish
from reconciler.log import correlated
from reconciler.ports import Delivery, DeliveryFilter
from reconciler.store.sql_store import SqlStore
from reconciler.testing import ManualClock
from reconciler.triggers.doors import Door
from reconciler.triggers.webhook import Receiver
from reconciler.triggers.webhook_inbox import Inbox, Knock
from reconciler.triggers.webhook_trial import try_webhook
from tests.unit.triggers.conftest import add_project, hosted, promoted

NAME = WebhookName("forgejo")
SECRET = Secret.of("a-secret-of-the-forge")


@dataclass
class Looks:
    """What was asked to be looked at."""

    wishes: list[tuple[str, Wish]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)  #: during whose looks the store is away

    def look_at(self, project: Project, wish: Wish) -> str:
        self.wishes.append((project.name, wish))
        if project.name in self.away:
            raise StoreError("the database did not answer")
        if project.name in self.broken:
            raise SourceUnreachable(f"{project.name}: no answer")
        return "admitted: deployment 1 is queued"

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.wishes]


@pytest.fixture
def looks() -> Looks:
    return Looks()


@pytest.fixture
def receiver(store: SqlStore, clock: ManualClock, looks: Looks) -> Receiver:
    return Receiver(store, clock, looks.look_at)


def open_door(receiver: Receiver, **changes: object) -> Door:
    webhook = Webhook(NAME, Provider.FORGEJO, receiver.clock.now(), **changes)  # type: ignore[arg-type]
    receiver.store.create_webhook(webhook, SECRET)
    return door_of(receiver)


def door_of(receiver: Receiver) -> Door:
    door = receiver.doors.find(NAME)
    assert door is not None
    return door


def knock(
    receiver: Receiver,
    payload: Mapping[str, object] | bytes | None = None,
    *,
    event: str = "push",
    delivery: str = "",
    secret: Secret = SECRET,
) -> Knock:
    given = make_push(Provider.FORGEJO, "team/app", "main") if payload is None else payload
    body = given if isinstance(given, bytes) else json.dumps(given).encode()
    signed = sign(Provider.FORGEJO, body, secret, "", receiver.clock.now())
    headers = {"x-forgejo-event": event, "x-forgejo-delivery": delivery, **signed}
    return Knock({name: [value] for name, value in headers.items()}, "10.0.0.7", body)


def kept(receiver: Receiver) -> list[Delivery]:
    receiver.tick()
    return list(receiver.store.list_deliveries(DeliveryFilter(NAME), limit=500))


def elsewhere(path: str = "team/app", branch: str = "main") -> ExternalSource:
    return ExternalSource(GitUrl.parse(f"https://git.example/{path}.git"), BranchName(branch))


def test_the_followers_of_the_branch_are_woken(
    receiver: Receiver, store: SqlStore, clock: ManualClock, looks: Looks
) -> None:
    """In the webhook's name. Other repositories' and branches' are not, nor who is switched off.

    Nor who is promoted from one of them: it is told apart.
    """
    add_project(store, clock, "here", hosted("app"))
    add_project(store, clock, "there", elsewhere())
    add_project(store, clock, "other", elsewhere("other/app"))
    add_project(store, clock, "next", elsewhere(branch="next"))
    add_project(store, clock, "live", elsewhere(), environment=promoted("there"))
    off = add_project(store, clock, "off", elsewhere())
    store.update_project(
        Project(off.name, off.kind, off.created_at, off.updated_at, source=off.source)
    )
    with correlated("5d1c0f3be82a9746"):  # the id of the request
        arrival = receiver.receive(open_door(receiver), knock(receiver, delivery="d-1"))
    assert arrival is not None
    assert looks.wishes == [], "nothing is looked up while the forge waits"
    (one,) = kept(receiver)
    wish = Wish(Trigger.WEBHOOK, "forgejo", one.number, "5d1c0f3be82a9746")
    assert looks.wishes == [("here", wish), ("there", wish)]
    assert (one.verdict, one.event, one.delivery, one.remote) == (
        *(Verdict.VERIFIED, "push", "d-1"),
        "10.0.0.7",
    )
    assert one.led_to == {
        ProjectName("here"): "admitted: deployment 1 is queued",
        ProjectName("live"): "it gets what there verified",
        ProjectName("off"): "its auto-deploy is off",
        ProjectName("there"): "is looked at now",
    }


def test_a_webhook_of_one_project_wakes_no_other(
    receiver: Receiver, store: SqlStore, clock: ManualClock, looks: Looks
) -> None:
    """Whatever the forge calls the repository; its branch counts still."""
    add_project(store, clock, "here", hosted("app"))
    add_project(store, clock, "there", elsewhere("mirror/of-it"))
    door = open_door(receiver, project=ProjectName("there"))
    receiver.receive(door, knock(receiver))
    receiver.receive(door, knock(receiver, make_push(Provider.FORGEJO, "team/app", "next")))
    receiver.tick()
    assert looks.names == ["there"]


@pytest.mark.parametrize(
    ("matching", "paths", "woken"),
    [
        pytest.param(Matching.APPS, ["apps/shop/x", "README"], ["shop"], id="one"),
        pytest.param(Matching.APPS, ["apps/shop/x", "apps/blog/y"], ["blog", "shop"], id="two"),
        pytest.param(Matching.APPS, ["libs/x"], ["app", "blog", "shop"], id="none-is-named"),
        pytest.param(Matching.APPS, ["apps/other/x"], ["app", "blog", "shop"], id="no-project"),
        pytest.param(Matching.REPOSITORY, ["apps/shop/x"], ["app", "blog", "shop"], id="all"),
    ],
)
def test_the_apps_that_a_push_names_are_woken(
    receiver: Receiver,
    store: SqlStore,
    clock: ManualClock,
    looks: Looks,
    matching: Matching,
    paths: list[str],
    woken: list[str],
) -> None:
    """E5: of those that follow the repository, and all of these where it names none of them."""
    for name in ("shop", "blog", "app"):
        add_project(store, clock, name, elsewhere())
    add_project(store, clock, "other", elsewhere("team/other"))
    payload = {
        **make_push(Provider.FORGEJO, "team/app", "main"),
        "commits": [{"added": [], "removed": [], "modified": paths}],
        "total_commits": 1,
    }
    receiver.receive(open_door(receiver, matching=matching), knock(receiver, payload))
    receiver.tick()
    assert looks.names == woken


def test_many_deliveries_are_one_look(
    receiver: Receiver, store: SqlStore, clock: ManualClock, looks: Looks
) -> None:
    """Each delivery is kept, those that come again are marked, and the project is asked once."""
    add_project(store, clock, "there", elsewhere())
    door = open_door(receiver)
    for name in ("a", "b", "b", "b"):
        receiver.receive(door, knock(receiver, delivery=name))
    assert [one.duplicate for one in kept(receiver)] == [True, True, False, False]
    assert looks.names == ["there"]


def test_what_is_forged_wakes_nobody_and_is_kept(
    receiver: Receiver, store: SqlStore, clock: ManualClock, looks: Looks
) -> None:
    """With why it was refused; not even its JSON is read."""
    add_project(store, clock, "there", elsewhere())
    door = open_door(receiver)
    wrong = Secret.of("another-secret-altogether")
    for body in (None, b"\xff{"):
        assert receiver.receive(door, knock(receiver, body, secret=wrong)) is None
    unsigned = Knock({"x-forgejo-event": ["push"]}, "10.0.0.8", b"{}")
    assert receiver.receive(door, unsigned) is None
    verdicts = {one.verdict for one in kept(receiver)}
    assert verdicts == {Verdict.WRONG, Verdict.MISSING}
    assert looks.wishes == []


def test_a_flood_of_forged_ones_is_bounded_and_counted(receiver: Receiver) -> None:
    """Before anything is written, too; what is genuine still comes through."""
    door = open_door(receiver)
    wrong = Secret.of("another-secret-altogether")
    receiver.receive(door, knock(receiver, delivery="genuine"))
    forged = knock(receiver, secret=wrong)
    for _ in range(500):
        receiver.receive(door, forged)
    assert [one.delivery for one in kept(receiver) if one.verdict.verified] == ["genuine"]
    record = receiver.store.get_webhook(NAME)
    assert (record.verified, record.refused) == (1, 500)


def test_pings_and_other_events_wake_nobody(receiver: Receiver, looks: Looks) -> None:
    """They are verified like the rest, and the record says what they were."""
    door = open_door(receiver)
    ping = receiver.receive(door, knock(receiver, {"zen": "x"}, event="ping"))
    other = receiver.receive(door, knock(receiver, {"action": "opened"}, event="issues"))
    assert ping is not None
    assert ping.is_ping
    assert other is not None
    assert (other.is_ping, other.hint) == (False, None)
    assert {one.note for one in kept(receiver)} == {
        "a ping: the way is open",
        "issues announces no push",
    }
    assert looks.wishes == []


def test_what_its_provider_does_not_send_is_refused_and_kept(receiver: Receiver) -> None:
    """Verified, so that the sender may be told what is wrong."""
    door = open_door(receiver)
    for body, field_ in ((b"{", "body"), (b"{}", "repository.full_name")):
        with pytest.raises(InvalidInput, match=field_):
            receiver.receive(door, knock(receiver, body))
    assert [one.note for one in kept(receiver)] == [
        "repository.full_name: is missing, or no name that can be one",
        "body: is not JSON",
    ]


def test_a_source_in_trouble_is_its_project_s_alone(
    receiver: Receiver, store: SqlStore, clock: ManualClock, looks: Looks
) -> None:
    """The others are looked at, and the record says what went wrong."""
    for name in ("a", "b"):
        add_project(store, clock, name, hosted("app"))
    looks.broken = {"a"}
    receiver.receive(open_door(receiver), knock(receiver))
    assert kept(receiver)[0].led_to == {
        ProjectName("a"): "a: no answer",
        ProjectName("b"): "admitted: deployment 1 is queued",
    }


def test_what_the_store_kept_from_a_look_is_looked_at_later(
    receiver: Receiver, store: SqlStore, clock: ManualClock, looks: Looks
) -> None:
    """It is recorded already, so that nothing else would have it looked at soon; and once only."""
    for name in ("a", "b", "c"):
        add_project(store, clock, name, elsewhere())
    looks.away = {"b"}
    receiver.receive(open_door(receiver), knock(receiver))
    with pytest.raises(StoreError):
        receiver.tick()
    looks.away.clear()
    for _ in range(2):
        receiver.tick()
    assert looks.names == ["a", "b", "c", "b"]


def test_a_delivery_by_the_previous_secret_says_so(receiver: Receiver, clock: ManualClock) -> None:
    """So that the operator sees whether the forge has the new one; ended, it is refused."""
    open_door(receiver)
    receiver.store.rotate_webhook_secret(NAME, Secret.of("a-newer-secret-of-it"), clock.now())
    receiver.receive(door_of(receiver), knock(receiver))
    receiver.store.drop_previous_webhook_secret(NAME)
    clock.advance(timedelta(seconds=1))
    receiver.receive(door_of(receiver), knock(receiver))
    assert {one.verdict for one in kept(receiver)} == {
        Verdict.VERIFIED_BY_PREVIOUS,
        Verdict.WRONG,
    }


def test_more_than_may_wait_is_put_off(receiver: Receiver) -> None:
    """The forge is told to come again; what waits already is kept, in its order."""
    arrival = receiver.receive(open_door(receiver), knock(receiver))
    assert arrival is not None
    inbox = Inbox()
    for _ in range(20_000):  # what a thousand a second leave in twenty seconds without a database
        inbox.add(arrival)
    with pytest.raises(TooBusy):
        inbox.add(arrival)
    first, _, _ = inbox.take()
    inbox.put_back(first)
    taken = 0
    while found := inbox.take()[0]:
        taken += len(found)
    assert taken == 20_000


@pytest.mark.parametrize("provider", FORGES)
def test_a_trial_goes_the_way_of_a_delivery(
    receiver: Receiver, store: SqlStore, clock: ManualClock, looks: Looks, provider: Provider
) -> None:
    """Signed, verified, recorded, and looked into."""
    add_project(store, clock, "there", elsewhere())
    secret = Secret.of("whsec_" + "QUFB" * 11) if provider is Provider.GITLAB_SIGNED else SECRET
    store.create_webhook(Webhook(NAME, provider, clock.now()), secret)
    trial = try_webhook(store, clock, receiver, door_of(receiver), None)
    assert (trial.repository, trial.branch, trial.wakes) == ("team/app", "main", ("there",))
    (one,) = kept(receiver)
    assert (one.delivery, one.verdict, one.remote) == (trial.delivery, Verdict.VERIFIED, "a test")
    assert looks.names == ["there"]


def test_a_trial_needs_a_repository(
    receiver: Receiver, store: SqlStore, clock: ManualClock
) -> None:
    """Without one there is nothing to pretend a push to."""
    door = open_door(receiver)
    with pytest.raises(Conflict, match="no project follows"):
        try_webhook(store, clock, receiver, door, None)
    add_project(store, clock, "bare", None)
    with pytest.raises(Conflict, match="bare follows no repository"):
        try_webhook(store, clock, receiver, door, ProjectName("bare"))


# ── Registries ────────────────────────────────────────────────────────────────────────────────────

IMAGES = WebhookName("images")
HOST = "registry.example:5000"


@dataclass
class ImageLooks:
    """Which images were asked to be looked at, and for whom."""

    calls: list[tuple[str, dict[ProjectName, Wish]]] = field(default_factory=list)

    def look_at(self, hint: ImagesHint, wishes: Mapping[ProjectName, Wish]) -> None:
        self.calls.append((str(hint), dict(wishes)))


@pytest.fixture
def image_looks(receiver: Receiver) -> ImageLooks:
    made = ImageLooks()
    receiver.look_at_images = made.look_at
    return made


def watch(store: SqlStore, clock: ManualClock, name: str, *images: str, on: bool = True) -> Project:
    """Add a project that watches ``images``, and one that it does not."""
    project = add_project(store, clock, name, hosted(name))
    watched = [WatchedImage(f"{HOST}/{image}", ("web",)) for image in images]
    stateful = WatchedImage(f"{HOST}/team/db:1", ("db",), "its service is stateful")
    store.put_images(project.name, "read", [*watched, stateful])
    if not on:
        store.update_project(replace(project, auto_deploy=False))
    return project


def image_door(receiver: Receiver, **changes: object) -> Door:
    made = Webhook(IMAGES, Provider.DISTRIBUTION, receiver.clock.now(), registry=HOST)
    receiver.store.create_webhook(replace(made, **changes), SECRET)  # type: ignore[arg-type]
    door = receiver.doors.find(IMAGES)
    assert door is not None
    return door


def events(*names: str, action: str = "push") -> Knock:
    """What the distribution registry sends of ``names``."""
    targets = [dict(zip(("repository", "tag"), name.split(":"), strict=False)) for name in names]
    body = json.dumps({"events": [{"action": action, "target": one} for one in targets]})
    headers = {"authorization": [f"Bearer {SECRET.reveal()}"]}
    return Knock(headers, "10.0.0.9", body.encode())


def kept_images(receiver: Receiver) -> list[Delivery]:
    receiver.tick()
    return list(receiver.store.list_deliveries(DeliveryFilter(IMAGES), limit=500))


def test_who_watches_an_image_is_woken_by_its_registry(
    receiver: Receiver, store: SqlStore, clock: ManualClock, image_looks: ImageLooks, looks: Looks
) -> None:
    """By registry, repository and tag; who is switched off is told apart, and who only runs it.

    So is who is promoted from one of them.
    """
    watch(store, clock, "app", "team/app:1")
    watch(store, clock, "both", "team/app:1", "team/api:1")
    watch(store, clock, "other-tag", "team/app:2")
    watch(store, clock, "off", "team/app:1", on=False)
    watch(store, clock, "database")
    live = watch(store, clock, "live", "team/app:1")
    store.update_project(replace(live, environment=promoted("app")))
    assert receiver.receive(image_door(receiver), events("team/app:1", "team/db:1")) is not None
    assert image_looks.calls == [], "nothing is looked up while the registry waits"
    (one,) = kept_images(receiver)
    wish = Wish(Trigger.REGISTRY_EVENT, "images", one.number)
    app, both = ProjectName("app"), ProjectName("both")
    assert image_looks.calls == [(f"{HOST}/team/app:1 and 1 more", {app: wish, both: wish})]
    assert looks.wishes == [], "their repositories did not move"
    assert one.event == "push"
    assert one.led_to == {
        app: "is looked at now",
        both: "is looked at now",
        ProjectName("live"): "it gets what app verified",
        ProjectName("off"): "its auto-deploy is off",
    }


def test_a_registry_s_webhook_of_one_project_wakes_no_other(
    receiver: Receiver, store: SqlStore, clock: ManualClock, image_looks: ImageLooks
) -> None:
    """And what nobody watches wakes nobody."""
    watch(store, clock, "app", "team/app:1")
    watch(store, clock, "too", "team/app:1")
    door = image_door(receiver, project=ProjectName("too"))
    receiver.receive(door, events("team/app:1"))
    receiver.receive(door, events("team/app:2"))
    receiver.receive(door, events("team/app:1", action="pull"))
    pulled, nobody, one = kept_images(receiver)
    assert [list(wishes) for _, wishes in image_looks.calls] == [["too"]]
    assert list(one.led_to) == ["too"]
    assert nobody.note == f"no project follows {HOST}/team/app:2"
    assert (pulled.note, pulled.hint) == ("it holds no push of a tag", None)


def test_many_announcements_are_one_look(
    receiver: Receiver, store: SqlStore, clock: ManualClock, image_looks: ImageLooks
) -> None:
    """The last one's record says what came of it."""
    watch(store, clock, "app", "team/app:1")
    door = image_door(receiver)
    for _ in range(300):
        receiver.receive(door, events("team/app:1"))
    newest = kept_images(receiver)[0]
    ((_, wishes),) = image_looks.calls
    assert wishes[ProjectName("app")].delivery == newest.number


@pytest.mark.parametrize("provider", list(REGISTRY_HOSTS))
def test_a_trial_of_a_registry_s_webhook(
    receiver: Receiver,
    store: SqlStore,
    clock: ManualClock,
    image_looks: ImageLooks,
    provider: Provider,
) -> None:
    """An image of the project is pretended to be pushed."""
    door = image_door(receiver, provider=provider)
    watch(store, clock, "none")
    for name in (None, ProjectName("none")):
        with pytest.raises(Conflict, match=r"image of registry\.example:5000 yet"):
            try_webhook(store, clock, receiver, door, name)
    watch(store, clock, "app", "team/app:1")
    trial = try_webhook(store, clock, receiver, door, None)
    assert (trial.repository, trial.branch) == (f"{HOST}/team/app", "1")
    assert trial.wakes == ("app",)
    (one,) = kept_images(receiver)
    assert (one.verdict, one.remote) == (Verdict.VERIFIED, "a test")
    assert len(image_looks.calls) == 1


# ── Looked into again ─────────────────────────────────────────────────────────────────────────────


def test_a_delivery_is_looked_into_again(
    receiver: Receiver, store: SqlStore, clock: ManualClock, looks: Looks
) -> None:
    """In a record of its own, which says who asked; no request is counted."""
    door = open_door(receiver)
    receiver.receive(door, knock(receiver, delivery="d-1"))
    (first,) = kept(receiver)
    assert first.note == "no project follows main of team/app"
    add_project(store, clock, "here", hosted("app"))
    again = receiver.redeliver(door.webhook, first.number, "ann")
    assert looks.wishes == [("here", Wish(Trigger.WEBHOOK, "forgejo", again.number))]
    assert again.led_to == {ProjectName("here"): "admitted: deployment 1 is queued"}
    assert (again.repeats, again.hint, again.note) == (
        *(first.number, first.hint),
        "asked for by ann",
    )
    assert (again.delivery, again.duplicate) == ("", False)
    assert store.get_webhook(NAME).verified == 1
    assert receiver.redeliver(door.webhook, again.number, "bob").repeats == again.number


def test_an_announced_image_is_looked_up_again(
    receiver: Receiver, store: SqlStore, clock: ManualClock, image_looks: ImageLooks
) -> None:
    """As when the registry announced it."""
    watch(store, clock, "app", "team/app:1")
    door = image_door(receiver)
    receiver.receive(door, events("team/app:1"))
    (first,) = kept_images(receiver)
    again = receiver.redeliver(door.webhook, first.number, "ann")
    wish = Wish(Trigger.REGISTRY_EVENT, "images", again.number)
    assert image_looks.calls[1:] == [(f"{HOST}/team/app:1", {ProjectName("app"): wish})]


def test_what_points_nowhere_is_not_looked_into_again(receiver: Receiver, looks: Looks) -> None:
    """A forged one least of all."""
    door = open_door(receiver)
    receiver.receive(door, knock(receiver, secret=Secret.of("another-secret-altogether")))
    receiver.receive(door, knock(receiver, {"zen": "x"}, event="ping"))
    with pytest.raises(InvalidInput):
        receiver.receive(door, knock(receiver, b"{}"))
    for one in kept(receiver):
        said = "announces nothing" if one.verdict.verified else "was refused: signature-wrong"
        with pytest.raises(Conflict, match=said):
            receiver.redeliver(door.webhook, one.number, "ann")
    with pytest.raises(NotFound, match="999"):
        receiver.redeliver(door.webhook, 999, "ann")
    assert looks.wishes == []
    assert len(kept(receiver)) == 3
