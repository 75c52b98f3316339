"""Webhooks: what a forge sends is verified, noted, and taken for a hint to look; no more.

The request is answered before anything is looked up. What came waits in memory and is recorded a
moment later, many at a time. If that is lost, the next poll sees what moved.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from reconciler.domain.deployment import Trigger
from reconciler.domain.errors import (
    InvalidInput,
    NotFound,
    ReconcilerError,
    StoreError,
    TooBusy,
)
from reconciler.domain.project import HostedSource, Project
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import HeaderValues, Webhook, WebhookName
from reconciler.domain.webhook_payload import PushHint, parse_payload, read_push
from reconciler.domain.webhook_signature import Verdict, verify
from reconciler.domain.wish import Wish
from reconciler.ports import Clock, Delivery, Store

#: Looks at a project in somebody's name; returns in plain words what came of it.
LookAt = Callable[[Project, Wish], str]

_BATCH = 500
#: Verified deliveries that wait to be recorded; more are refused, and the forge told to come again.
_MOST_WAITING = 20_000
#: Refused deliveries of one webhook that wait to be recorded; more are counted only.
_MOST_REFUSED_WAITING = 50


@dataclass(frozen=True, slots=True)
class Door:
    """A webhook, with the secrets that open it."""

    webhook: Webhook
    secrets: Sequence[Secret]  #: the present one, then a previous one; never empty


@dataclass(frozen=True, slots=True)
class Knock:
    """A request as it came."""

    headers: HeaderValues
    remote: str  #: address that it came from
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified delivery, before it is recorded."""

    delivery: Delivery
    webhook: Webhook
    hint: PushHint | None = None  #: None: it announces nothing that anybody follows
    is_ping: bool = False


class Inbox:
    """What came and waits to be recorded: bounded, and the refused apart from the others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrivals: deque[Arrival] = deque()
        self._refused: dict[WebhookName, deque[Delivery]] = {}
        self._left_out: Counter[WebhookName] = Counter()

    def add(self, arrival: Arrival) -> None:
        """Let it wait. Raises ``TooBusy``."""
        with self._lock:
            if len(self._arrivals) >= _MOST_WAITING:
                raise TooBusy(f"{len(self._arrivals)} deliveries wait to be looked at")
            self._arrivals.append(arrival)

    def refuse(self, delivery: Delivery) -> None:
        """Let the record of a refused one wait; of many, the newest."""
        with self._lock:
            waiting = self._refused.setdefault(delivery.webhook, deque())
            waiting.append(delivery)
            if len(waiting) > _MOST_REFUSED_WAITING:
                waiting.popleft()
                self._left_out[delivery.webhook] += 1

    def take(self) -> tuple[list[Arrival], list[Delivery], Mapping[WebhookName, int]]:
        """Return what waits, oldest first, and how many refused ones were left out of it."""
        with self._lock:
            arrivals = list(islice(self._arrivals, _BATCH))
            for _ in arrivals:
                self._arrivals.popleft()
            refused = [one for waiting in self._refused.values() for one in waiting]
            left_out = dict(self._left_out)
            self._refused.clear()
            self._left_out.clear()
        return arrivals, sorted(refused, key=lambda one: one.at), left_out

    def put_back(self, arrivals: Sequence[Arrival]) -> None:
        """Let them wait again, before the others."""
        with self._lock:
            self._arrivals.extendleft(reversed(arrivals))


@dataclass(slots=True)
class Receiver:
    """Takes deliveries, and looks where they point."""

    store: Store
    clock: Clock
    look_at: LookAt
    on_arrival: Callable[[], object] = lambda: None  #: called when something waits
    _inbox: Inbox = field(default_factory=Inbox, init=False)

    # ── While the forge waits ─────────────────────────────────────────────────────────────────

    def find_door(self, name: WebhookName) -> Door | None:
        """Return the webhook that takes deliveries under ``name``; None: there is none."""
        found = self.store.find_webhook_secrets(name)
        return Door(*found) if found else None

    def refuse(self, door: Door, knock: Knock, verdict: Verdict) -> None:
        """Note a delivery that is not taken."""
        self._inbox.refuse(self._delivery(door.webhook, knock, verdict))

    def receive(self, door: Door, knock: Knock) -> Arrival | None:
        """Take a delivery, to be looked into in the background; None: it is not verified.

        Raises:
            InvalidInput: it is verified, and not what its provider sends.
            TooBusy: too many wait.
        """
        webhook = door.webhook
        verdict = verify(
            webhook.provider, knock.headers, knock.body, door.secrets, self.clock.now()
        )
        if not verdict.verified:
            self.refuse(door, knock, verdict)
            return None
        delivery = self._delivery(webhook, knock, verdict)
        try:
            arrival = _understand(webhook, delivery, knock.body)
        except InvalidInput as error:
            self._let_in(Arrival(replace(delivery, note=error.message), webhook))
            raise
        self._let_in(arrival)
        return arrival

    def followers_of(self, webhook: Webhook, hint: PushHint) -> Sequence[Project]:
        """Return the projects that ``hint`` may wake, by name."""
        name = ProjectName(hint.repository_name)
        return [
            project
            for project in self._reach(webhook, name)
            if hint.concerns_branch_of(project)
            and (webhook.project is not None or hint.is_source_of(project))
        ]

    # ── In the background ─────────────────────────────────────────────────────────────────────

    def tick(self) -> None:
        """Record what came, and look where it points; each project once for all that came.

        Raises:
            StoreError: what was verified waits for the next tick.
        """
        while True:
            arrivals, refused, left_out = self._inbox.take()
            if not (arrivals or refused or left_out):
                return
            try:
                self._take_up(arrivals, refused, left_out)
            except StoreError:
                self._inbox.put_back(arrivals)
                raise

    def _take_up(
        self,
        arrivals: Sequence[Arrival],
        refused: Sequence[Delivery],
        left_out: Mapping[WebhookName, int],
    ) -> None:
        known: dict[tuple[Webhook, PushHint], Sequence[Project]] = {}
        woken: dict[ProjectName, tuple[Project, Arrival, int]] = {}
        told = []
        for position, arrival in enumerate(arrivals):
            projects = self._awake(arrival, known)
            told.append(_told(arrival, projects))
            woken |= {one.name: (one, arrival, position) for one in projects if one.auto_deploy}
        numbers = self.store.record_deliveries([*told, *refused], left_out)
        for project, arrival, position in woken.values():
            self._look(project, arrival.webhook, numbers[position])

    def _awake(
        self, arrival: Arrival, known: dict[tuple[Webhook, PushHint], Sequence[Project]]
    ) -> Sequence[Project]:
        if arrival.hint is None:
            return ()
        key = arrival.webhook, arrival.hint
        if key not in known:
            known[key] = self.followers_of(*key)
        return known[key]

    def _look(self, project: Project, webhook: Webhook, number: int) -> None:
        """Look at one project; what is wrong with its source is its trouble alone."""
        wish = Wish(Trigger.WEBHOOK, webhook.name, number or None)
        try:
            said = self.look_at(project, wish)
        except StoreError:
            raise
        except ReconcilerError as error:
            said = error.message
        # An external source is looked at in the background, and tells by itself what that gave.
        if number and isinstance(project.source, HostedSource):
            self.store.record_outcomes({number: {project.name: said}})

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
    return Arrival(delivery, webhook, read_push(webhook.provider, payload))


def _told(arrival: Arrival, projects: Sequence[Project]) -> Delivery:
    """Return the delivery with what is made of it."""
    if arrival.hint is None:
        return arrival.delivery
    if not projects:
        return replace(arrival.delivery, note=f"no project follows {arrival.hint}")
    led_to = {
        one.name: "is looked at now" if one.auto_deploy else "its auto-deploy is off"
        for one in projects
    }
    return replace(arrival.delivery, led_to=led_to)
