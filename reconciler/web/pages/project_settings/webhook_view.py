"""A project's webhooks as its settings show them: where each leads, and what came in lately."""

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.domain.errors import NotFound
from reconciler.domain.forge import reasons_for_silence, remarks_on_address
from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import ProjectName
from reconciler.domain.version import version_of
from reconciler.domain.webhook import WebhookName, parse_webhook_name
from reconciler.pipeline.reasons import loss_in_words
from reconciler.ports import Store, WebhookRecord
from reconciler.web.api_deliveries import list_deliveries
from reconciler.web.pages.deliveries.rows import DeliveryRow
from reconciler.web.pages.frame import Frame
from reconciler.web.pagination import Page
from reconciler.web.principal import Policy, Sight
from reconciler.web.schemas.webhooks import DeliveryList


@dataclass(frozen=True, slots=True)
class WebhookView:
    """One of them."""

    record: WebhookRecord
    address: str  #: where a forge sends to; without a host where the daemon's own is not known
    is_whole: bool  #: whether its address is known in full
    own: bool  #: whether it is this project's alone
    may_test: bool
    silence: Sequence[str]  #: why nothing may arrive, the likeliest first
    lost: str  #: that pushes came without a delivery, in words

    @property
    def name(self) -> WebhookName:
        """Its name."""
        return self.record.webhook.name

    @property
    def mark(self) -> str:
        """Four characters that tell its secret from another."""
        return self.record.fingerprint[:4]


def webhooks_of(frame: Frame, project: Project) -> Sequence[WebhookView]:
    """Return the webhooks of the project, then those that others share with it."""
    every = frame.application.store.list_webhooks()
    own = [one for one in every if one.webhook.project == project.name]
    follows = isinstance(project.source, ExternalSource)
    shared = [one for one in every if one.webhook.project is None and frame.may(Policy.READ)]
    found = [*own, *(shared if follows or project.kind.runs_containers else [])]
    return [_view(frame, project, one) for one in found]


def _view(frame: Frame, project: Project, record: WebhookRecord) -> WebhookView:
    webhook, registrations = record.webhook, frame.application.registrations
    public = registrations.public_url
    silence: list[str] = []
    if public is not None:
        silence = [
            *remarks_on_address(public, registrations.host_names),
            *reasons_for_silence(public, webhook.provider),
        ]
    own = webhook.project is not None
    known = frame.application.store.get_announcements(project.name) if own else None
    return WebhookView(
        record,
        f"{public or ''}{webhook.path}",
        public is not None,
        own,
        frame.may(Policy.TRIGGER, webhook.project),
        silence,
        loss_in_words(known) if known else "",
    )


def deliveries_of(
    frame: Frame, name: ProjectName, limit: int, cursor: str = ""
) -> tuple[Sequence[DeliveryRow], DeliveryList]:
    """Return what came for the project, newest first, as somebody sees it who sees no other."""
    sight = Sight(frame.principal.name, frozenset({name}))
    found = list_deliveries(frame.application, Page(limit, cursor or None), sight)
    own = {
        one.webhook.name
        for one in frame.application.store.list_webhooks()
        if frame.sight.has(one.webhook.project)
    }
    return [DeliveryRow.of(one, may_open=one.webhook in own) for one in found.items], found


def own_webhook(store: Store, project: ProjectName, text: str) -> WebhookRecord:
    """Return a webhook that is the project's alone.

    Raises:
        InvalidInput: not the name of one. ``NotFound``: it has none of this name.
    """
    name = parse_webhook_name(text, "webhook")
    missing = NotFound(f"{project} has no webhook {name} of its own")
    try:
        record = store.get_webhook(name)
    except NotFound:
        raise missing from None
    if record.webhook.project != project:
        raise missing
    return record


def version_of_webhook(record: WebhookRecord) -> str:
    """Return what tells how it is declared, and with which secrets, from any other way."""
    return version_of((record.webhook, record.fingerprint, record.previous_fingerprint))
