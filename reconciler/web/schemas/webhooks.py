"""Bodies of webhooks."""

from datetime import datetime
from typing import Self

from pydantic import ConfigDict

from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider
from reconciler.pipeline.declaring.webhooks import Opened, WebhookDraft
from reconciler.ports import Delivery, WebhookRecord
from reconciler.triggers.webhook_trial import Trial
from reconciler.web.schemas.body import AT, Answer, Asked, said

_SECRET = "qM8Yk0W5cXo3bR7tZ1nV4uE6aL9sD2fG0hJ5kP8wQxI"  # noqa: S105  an example
_DELIVERY = "f6266f16-1bf3-46a5-9ea4-602e06ead473"


class NewWebhook(Asked):
    """A webhook to declare."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str = said("1 to 63 of a-z, 0-9 and '-'; the last part of its path.", "forgejo")
    provider: str = said(f"Whose deliveries it takes: {', '.join(Provider)}.", "forgejo")
    project: str | None = said(
        "The only project that it wakes. Null: each that follows the repository pushed to.",
        "shop",
        default=None,
    )
    secret: str | None = said(
        "16 to 255 characters, where the forge makes it; null: one is made and shown once.",
        _SECRET,
        default=None,
        repr=False,
    )

    def draft(self) -> WebhookDraft:
        """Return what was asked for."""
        secret = Secret.of(self.secret) if self.secret is not None else None
        return WebhookDraft(self.name, self.provider, self.project, secret)


class NewWebhookSecret(Asked):
    """A secret to put in the place of the present one."""

    model_config = ConfigDict(hide_input_in_errors=True)

    secret: str | None = said("As of a new webhook.", _SECRET, default=None, repr=False)
    keep_previous: bool = said(
        "Whether the one before is taken, too, until it is dropped.", True, default=True
    )


class NewTrial(Asked):
    """Which push to pretend."""

    project: str | None = said(
        "Of whose branch; null: of the webhook's own project, or the first that has a repository.",
        "shop",
        default=None,
    )


class TrialBody(Answer):
    """A push that was pretended."""

    delivery: str = said("Its id, among the deliveries.", "test-0a1b2c3d4e5f6071")
    repository: str = said("As a forge would name it.", "team/shop")
    branch: str = said("The branch.", "main")
    wakes: list[str] = said("The projects that such a push concerns.", ["shop"])

    @classmethod
    def of(cls, trial: Trial) -> Self:
        """Return the body of ``trial``."""
        return cls(
            delivery=trial.delivery,
            repository=trial.repository,
            branch=trial.branch,
            wakes=list(trial.wakes),
        )


class WebhookBody(Answer):
    """A way in for a forge."""

    name: str = said("Its name.", "forgejo")
    provider: str = said("Whose deliveries it takes.", "forgejo")
    project: str | None = said("The only project that it wakes; null: each that follows.", None)
    url_path: str = said(
        "Where the forge sends to, below the daemon's address.", "/webhook/forgejo"
    )
    fingerprint: str = said("Of its secret; tells equal from different, no more.", "5f0c2b1a")
    previous_fingerprint: str | None = said(
        "Of the secret before, while that is taken, too.", "7d10e44c"
    )
    rotated_at: datetime | None = said("When it was given its present secret.", AT)
    created_at: datetime = said("When it was declared.", AT)
    verified: int = said("Deliveries that were verified, ever.", 128)
    refused: int = said("Deliveries that were not.", 2)
    last_at: datetime | None = said("When the last one came.", AT)
    last_verdict: str | None = said("Whether that was verified, or why not.", "verified")

    @classmethod
    def of(cls, record: WebhookRecord) -> Self:
        """Return the body of ``record``."""
        webhook = record.webhook
        return cls(
            name=webhook.name,
            provider=webhook.provider,
            project=webhook.project,
            url_path=webhook.path,
            fingerprint=record.fingerprint,
            previous_fingerprint=record.previous_fingerprint or None,
            rotated_at=record.rotated_at,
            created_at=webhook.created_at,
            verified=record.verified,
            refused=record.refused,
            last_at=record.last_at,
            last_verdict=record.last_verdict,
        )


class WebhookList(Answer):
    """By name."""

    items: list[WebhookBody] = said("The webhooks, without their secrets.", [])


class WebhookMade(Answer):
    """A webhook with its new secret."""

    webhook: WebhookBody = said("The webhook.")
    secret: str | None = said(
        "The secret that was made; this is the one time that it is shown. Null: it was given.",
        _SECRET,
        repr=False,
    )

    @classmethod
    def of(cls, opened: Opened) -> Self:
        """Return the body of ``opened``."""
        secret = opened.secret.reveal() if opened.secret else None
        return cls(webhook=WebhookBody.of(opened.record), secret=secret)


class DeliveryBody(Answer):
    """One request to a webhook's address."""

    number: int = said("Grows with each.", 17)
    at: datetime = said("When it came.", AT)
    remote: str = said("From which address; behind a proxy, the proxy's.", "10.0.0.7")
    event: str | None = said("Which event, as the forge names it.", "push")
    delivery: str | None = said("The forge's own id, the same when it is sent again.", _DELIVERY)
    verdict: str = said("verified, or why not, e.g. signature-wrong.", "verified")
    verified: bool = said("Whether it was from who knows the secret.", True)
    duplicate: bool = said("Whether one of the same id was there before.", False)
    note: str | None = said("What was made of it, where no project was looked at.", None)
    led_to: dict[str, str] = said(
        "Project → what looking at it gave.", {"shop": "admitted: deployment 42 is queued"}
    )

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """Return the body of ``delivery``."""
        return cls(
            number=delivery.number,
            at=delivery.at,
            remote=delivery.remote,
            event=delivery.event or None,
            delivery=delivery.delivery or None,
            verdict=delivery.verdict,
            verified=delivery.verdict.verified,
            duplicate=delivery.duplicate,
            note=delivery.note or None,
            led_to={str(name): told for name, told in delivery.led_to.items()},
        )


class DeliveryList(Answer):
    """Newest first."""

    items: list[DeliveryBody] = said("The deliveries that are kept.", [])


class Received(Answer):
    """What was made of a delivery, before anything was looked up."""

    outcome: str = said("accepted, ignored (it announces no push) or pong.", "accepted")
