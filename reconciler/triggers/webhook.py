"""Webhooks: what is sent to them is verified, noted, and taken for a hint to look; no more.

The request is answered before anything is looked up. What came waits in memory and is recorded a
moment later, many at a time. If that is lost, the next poll sees what moved.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    ReconcilerError,
    StoreError,
)
from reconciler.domain.payload import parse_payload
from reconciler.domain.project import ExternalSource, HostedSource, Project
from reconciler.domain.references import ProjectName
from reconciler.domain.registry_event import ImagesHint, read_registry_event
from reconciler.domain.webhook import Matching, Webhook, WebhookName
from reconciler.domain.webhook_apps import read_apps
from reconciler.domain.webhook_payload import PushHint, read_push
from reconciler.domain.webhook_signature import Verdict, verify
from reconciler.domain.wish import Wish
from reconciler.ports import UNMETERED, Clock, Delivery, Hint, Metering, Store
from reconciler.triggers.awakened import Awakened, LookAtImages
from reconciler.triggers.doors import Door, Doors
from reconciler.triggers.webhook_inbox import BATCH, MOST_WAITING, Arrival, Inbox, Knock

#: Looks at a project in somebody's name; returns in plain words what came of it.
LookAt = Callable[[Project, Wish], str]

_AGAIN = "looked into again"


@dataclass(slots=True)
class Receiver:
    """Takes deliveries, and looks where they point."""

    store: Store
    clock: Clock
    look_at: LookAt
    on_arrival: Callable[[], object] = lambda: None  #: called when something waits
    look_at_images: LookAtImages = lambda _hint, _wishes: None
    metering: Metering = UNMETERED
    doors: Doors = field(init=False)
    _inbox: Inbox = field(default_factory=Inbox, init=False)
    _awakened: Awakened = field(default_factory=Awakened, init=False)

    def __post_init__(self) -> None:
        """Begin with no door known."""
        self.doors = Doors(self.store, self.clock)

    # ── While the forge waits ─────────────────────────────────────────────────────────────────

    def refuse(self, door: Door, knock: Knock, verdict: Verdict) -> None:
        """Note a delivery that is not taken."""
        self.metering.received(verdict)
        self._inbox.refuse(self._delivery(door.webhook, knock, verdict))

    def receive(self, door: Door, knock: Knock) -> Arrival | None:
        """Take a delivery, to be looked into in the background; None: it is not verified.

        Raises:
            InvalidInput: it is verified, and not what its provider sends.
            TooBusy: too many wait.
        """
        webhook = door.webhook
        verdict = verify(
            webhook.provider, knock.headers, knock.body, door.secrets, self.clock.now(), knock.key
        )
        if not verdict.verified:
            self.refuse(door, knock, verdict)
            return None
        self.metering.received(verdict)
        delivery = self._delivery(webhook, knock, verdict)
        try:
            arrival = _understand(webhook, delivery, knock.body)
        except InvalidInput as error:
            self._let_in(Arrival(replace(delivery, note=error.message), webhook))
            raise
        self._let_in(arrival)
        return arrival

    def followers_of(self, webhook: Webhook, hint: Hint) -> Sequence[Project]:
        """Return the projects that ``hint`` may wake, by name."""
        if isinstance(hint, ImagesHint):
            watching = self.store.list_image_followers(hint)
            return [one for one in watching if webhook.project in {None, one.name}]
        name = ProjectName(hint.repository_name)
        followers = [
            project
            for project in self._reach(webhook, name)
            if hint.concerns_branch_of(project)
            and (webhook.project is not None or hint.is_source_of(project))
        ]
        return [one for one in followers if hint.may_concern(one)] or followers

    # ── When a person asks ────────────────────────────────────────────────────────────────────

    def redeliver(self, webhook: Webhook, number: int, actor: str) -> Delivery:
        """Look again where a delivery pointed; return the new one that records it.

        Raises:
            NotFound: no such delivery is kept.
            Conflict: it was not verified, or announces nothing.
        """
        before = self.store.get_delivery(webhook.name, number)
        if not before.verdict.verified:
            raise Conflict(
                f"delivery {number} was refused: {before.verdict}; nothing follows of it"
            )
        if before.hint is None:
            raise Conflict(f"delivery {number} announces nothing that could be looked at")
        again = replace(
            before,
            at=self.clock.now(),
            remote=_AGAIN,
            delivery="",
            note=f"asked for by {actor}",
            led_to={},
            duplicate=False,
            repeats=number,
        )
        awakened = Awakened()
        (made,) = self._take_up([Arrival(again, webhook)], [], {}, awakened)
        awakened.look(self._look, self.look_at_images)
        return self.store.get_delivery(webhook.name, made)

    # ── In the background ─────────────────────────────────────────────────────────────────────

    def tick(self) -> None:
        """Record what came, and look where it points; each project once for all that came.

        Raises:
            StoreError: what was verified, or not looked at yet, waits for the next tick.
        """
        try:
            for _ in range(MOST_WAITING // BATCH):
                arrivals, refused, left_out = self._inbox.take()
                if not (arrivals or refused or left_out):
                    return
                try:
                    self.doors.keep_fresh()
                    self._take_up(arrivals, refused, left_out, self._awakened)
                except StoreError:
                    self._inbox.put_back(arrivals)
                    raise
        finally:
            self._awakened.look(self._look, self.look_at_images)

    def _take_up(
        self,
        arrivals: Sequence[Arrival],
        refused: Sequence[Delivery],
        left_out: Mapping[WebhookName, int],
        awakened: Awakened,
    ) -> Sequence[int]:
        """Record them, and add whom they wake; return the numbers of ``arrivals``."""
        known: dict[tuple[Webhook, Hint], Sequence[Project]] = {}
        awake = [self._awake(arrival, known) for arrival in arrivals]
        told = [_told(*one) for one in zip(arrivals, awake, strict=True)]
        numbers = self.store.record_deliveries(
            [*told, *refused], left_out, _announced(zip(arrivals, awake, strict=True))
        )[: len(arrivals)]
        for arrival, projects, number in zip(arrivals, awake, numbers, strict=True):
            awakened.add(arrival, projects, number)
        return numbers

    def _awake(
        self, arrival: Arrival, known: dict[tuple[Webhook, Hint], Sequence[Project]]
    ) -> Sequence[Project]:
        if arrival.hint is None:
            return ()
        key = arrival.webhook, arrival.hint
        if key not in known:
            known[key] = self.followers_of(*key)
        return known[key]

    def _look(self, project: Project, wish: Wish) -> None:
        """Look at one project; what is wrong with its source is its trouble alone."""
        try:
            said = self.look_at(project, wish)
        except StoreError:
            raise
        except ReconcilerError as error:
            said = error.message
        # An external source is looked at in the background, and tells by itself what that gave.
        if wish.delivery and isinstance(project.source, HostedSource):
            self.store.record_outcomes({wish.delivery: {project.name: said}})

    def _reach(self, webhook: Webhook, repository: ProjectName) -> Sequence[Project]:
        if webhook.project is None:
            return self.store.list_followers(repository)
        try:
            return [self.store.get_project(webhook.project)]
        except NotFound:  # removed since; the webhook waits for one of its name
            return []

    def _let_in(self, arrival: Arrival) -> None:
        self._inbox.add(arrival)
        self.on_arrival()

    def _delivery(self, webhook: Webhook, knock: Knock, verdict: Verdict) -> Delivery:
        return Delivery(
            webhook=webhook.name,
            at=self.clock.now(),
            remote=knock.remote,
            verdict=verdict,
            event=webhook.event_of(knock.headers),
            delivery=webhook.delivery_of(knock.headers),
        )


def _understand(webhook: Webhook, delivery: Delivery, body: bytes) -> Arrival:
    """Return what a verified delivery means. Raises ``InvalidInput``."""
    if webhook.is_ping(delivery.event):
        return Arrival(replace(delivery, note="a ping: the way is open"), webhook, is_ping=True)
    payload = parse_payload(body)
    if not webhook.is_push(delivery.event):
        note = f"{delivery.event or 'an event without a name'} announces no push"
        return Arrival(replace(delivery, note=note), webhook)
    if webhook.registry is not None:
        event = read_registry_event(webhook.provider, webhook.registry, payload)
        said = replace(delivery, event=event.name, hint=event.hint, note=event.note)
        return Arrival(said, webhook)
    hint = read_push(webhook.provider, payload)
    if webhook.matching is Matching.APPS:
        hint = replace(hint, apps=read_apps(webhook.provider, payload))
    return Arrival(replace(delivery, hint=hint), webhook)


def _told(arrival: Arrival, projects: Sequence[Project]) -> Delivery:
    """Return the delivery with what is made of it."""
    if arrival.hint is None:
        return arrival.delivery
    if not projects:
        notes = (arrival.delivery.note, f"no project follows {arrival.hint}")
        return replace(arrival.delivery, note="; ".join(filter(None, notes)))
    return replace(arrival.delivery, led_to={one.name: _what_follows(one) for one in projects})


def _what_follows(project: Project) -> str:
    if not project.follows_its_source:
        return f"it gets what {project.promoted_from} verified"
    return "is looked at now" if project.auto_deploy else "its auto-deploy is off"


def _announced(
    taken: Iterable[tuple[Arrival, Sequence[Project]]],
) -> Mapping[ProjectName, Delivery]:
    """Return the projects elsewhere of which a push was announced now, by the forge itself."""
    return {
        project.name: arrival.delivery
        for arrival, projects in taken
        for project in projects
        if isinstance(arrival.hint, PushHint)
        and arrival.delivery.repeats is None
        and project.auto_deploy
        and project.follows_its_source
        and isinstance(project.source, ExternalSource)
    }
