"""Webhooks as they are kept, and what came in through them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from reconciler.domain.announcement import Announcements
from reconciler.domain.forge import Registration
from reconciler.domain.references import ProjectName
from reconciler.domain.registry_event import ImagesHint
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Webhook, WebhookName
from reconciler.domain.webhook_payload import PushHint
from reconciler.domain.webhook_signature import Verdict

#: Where a delivery points.
Hint = PushHint | ImagesHint


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """A webhook, and what may be shown of its secrets and its traffic."""

    webhook: Webhook
    fingerprint: str  #: of the secret; tells equal from different, no more
    previous_fingerprint: str = ""  #: of the one before, while that is still taken; else empty
    rotated_at: datetime | None = None  #: when the present secret took the previous one's place
    verified: int = 0  #: deliveries, ever
    refused: int = 0  #: the same of those that were not verified, kept or not
    last_at: datetime | None = None  #: of any delivery
    last_verdict: Verdict | None = None
    registration: Registration | None = None  #: at which forge it was registered from here


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request to a webhook's address, and what it led to."""

    webhook: WebhookName
    at: datetime
    remote: str  #: address that it came from
    verdict: Verdict
    event: str = ""  #: as the forge names it; empty: none that can be one
    delivery: str = ""  #: the forge's own id, the same when it is sent again
    note: str = ""  #: what was made of it, where no project was looked at
    #: Project → what looking at it gave, in plain words.
    led_to: Mapping[ProjectName, str] = field(default_factory=dict)
    duplicate: bool = False  #: one of the same id was there before
    number: int = 0  #: 0 before it is kept
    hint: Hint | None = None  #: where it points; None: it is not verified, or announces nothing
    repeats: int | None = None  #: number of the one that a person had looked into again


class DeliveryOutcome(StrEnum):
    """What was made of a delivery."""

    REFUSED = "refused"  #: it was not verified
    IGNORED = "ignored"  #: it announces nothing
    UNFOLLOWED = "unfollowed"  #: no project follows what it announces
    FOLLOWED = "followed"  #: it led to projects


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries are wanted; None: all."""

    webhook: WebhookName | None = None
    project: ProjectName | None = None  #: one that they led to
    outcome: DeliveryOutcome | None = None
    before: int | None = None  #: only those of a smaller number
    #: Only those that came through a webhook of one of these, or led to one; None: all.
    projects: frozenset[str] | None = None


#: Of a batch of deliveries that announce nothing.
NOTHING_ANNOUNCED: Mapping[ProjectName, Delivery] = MappingProxyType({})


class WebhookStore(Protocol):
    """The webhooks that were declared, their secrets, and their newest deliveries."""

    @property
    def webhooks_mark(self) -> object:
        """Another one after each change of a webhook that was made through this store."""
        ...

    def create_webhook(self, webhook: Webhook, secret: Secret) -> WebhookRecord:
        """Add it. Raises ``AlreadyExists``."""
        ...

    def remove_webhook(self, name: WebhookName) -> None:
        """Delete it with its deliveries. Raises ``NotFound``."""
        ...

    def get_webhook(self, name: WebhookName) -> WebhookRecord:
        """Return it. Raises ``NotFound``."""
        ...

    def list_webhooks(self) -> Sequence[WebhookRecord]:
        """Return all, by name."""
        ...

    def find_webhook_secrets(self, name: WebhookName) -> tuple[Webhook, Sequence[Secret]] | None:
        """Return it and what it takes: the present secret, then a previous one; None: no such."""
        ...

    def rotate_webhook_secret(self, name: WebhookName, secret: Secret, now: datetime) -> None:
        """Put ``secret`` in the present one's place, which becomes the previous one.

        Raises:
            NotFound: no such webhook.
        """
        ...

    def drop_previous_webhook_secret(self, name: WebhookName) -> None:
        """Take the present secret alone from now on. Safe to repeat. Raises ``NotFound``."""
        ...

    def record_registration(self, name: WebhookName, registration: Registration | None) -> None:
        """Record at which forge it is registered; None: at none. Raises ``NotFound``."""
        ...

    def record_deliveries(
        self,
        deliveries: Sequence[Delivery],
        more_refused: Mapping[WebhookName, int],
        announced: Mapping[ProjectName, Delivery] = NOTHING_ANNOUNCED,
    ) -> Sequence[int]:
        """Keep ``deliveries``; return their numbers, 0 for one whose webhook is gone.

        The newest of each webhook are kept, and those that were refused apart from the others, so
        that no flood of them takes the others' places.

        Args:
            deliveries: in the order in which they came.
            more_refused: how many others were refused that are only counted.
            announced: project → the newest of them that announces a push to its source.
        """
        ...

    def record_outcomes(self, outcomes: Mapping[int, Mapping[ProjectName, str]]) -> None:
        """Record what looking gave: number of a delivery → project → plain words."""
        ...

    def list_deliveries(self, wanted: DeliveryFilter, *, limit: int) -> Sequence[Delivery]:
        """Return those that are wanted, newest first; none of a webhook that there is not."""
        ...

    def get_delivery(self, name: WebhookName, number: int) -> Delivery:
        """Return one that came in through the webhook. Raises ``NotFound``."""
        ...

    def get_announcements(self, name: ProjectName) -> Announcements:
        """Return how the project's last moves were announced; nothing where none was recorded."""
        ...

    def list_announcements(self) -> Mapping[ProjectName, Announcements]:
        """Return the same of all projects that have some."""
        ...
