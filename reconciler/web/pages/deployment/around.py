"""What stands around a deployment: the delivery that announced it, and who was told of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.domain.deployment import Deployment, Trigger
from reconciler.domain.webhook import WebhookName
from reconciler.ports import DeliveryFilter, Message, OutboxKind, Store
from reconciler.web.pages.deliveries.rows import DeliveryRow
from reconciler.web.principal import Sight
from reconciler.web.schemas.webhooks import DeliveryBody

#: As many as are kept of one webhook.
_MOST_DELIVERIES = 250
_ANNOUNCED = (Trigger.WEBHOOK, Trigger.REGISTRY_EVENT)


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody who is told of it."""

    who: str  #: a channel; empty: the forge, by the commit's status
    message: Message

    @property
    def fate(self) -> str:
        """What became of it, in words."""
        if self.message.settled_at is None:
            return "waits"
        return "given up" if self.message.error else "sent"


def told_of(store: Store, deployment: Deployment) -> Sequence[Told]:
    """Return who is told of it, first the channels; what was told long ago is kept no more."""
    return [
        Told(one.address if kind is OutboxKind.NOTICE else "", one)
        for kind in (OutboxKind.NOTICE, OutboxKind.COMMIT_STATUS)
        for one in reversed(store.list_messages(kind, deployment=deployment.id))
    ]


def delivery_of(store: Store, deployment: Deployment, sight: Sight) -> DeliveryRow | None:
    """Return the delivery that led to it; None: none did, or it is kept no more."""
    hooks = [one.actor for one in deployment.causes if one.trigger in _ANNOUNCED]
    if not hooks:
        return None
    wanted = DeliveryFilter(WebhookName(hooks[0]), deployment.project, projects=sight.projects)
    for one in store.list_deliveries(wanted, limit=_MOST_DELIVERIES):
        row = DeliveryRow.of(DeliveryBody.of(one))
        if any(it.deployment == deployment.id for it in row.led_to):
            return row
    return None
