"""Bodies of webhooks."""

from datetime import datetime
from typing import Self

from pydantic import ConfigDict

from reconciler.domain.announcement import Announcements
from reconciler.domain.forge import WebAddress
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Matching, Provider
from reconciler.pipeline.declaring.registration import Registered
from reconciler.pipeline.declaring.webhooks import Opened, WebhookDraft
from reconciler.pipeline.reasons import loss_in_words
from reconciler.ports import Delivery, WebhookRecord
from reconciler.triggers.webhook_trial import Trial
from reconciler.web.schemas.body import AT, Answer, Asked, next_page, said
from reconciler.web.schemas.registrations import RegistrationBody

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
    matching: str = said(
        "repository: a push wakes all that follow what it moved; apps: of those, the projects "
        "`NAME` whose folder `apps/NAME/` it changed, where the forge names them.",
        "apps",
        default=Matching.REPOSITORY,
    )
    secret: str | None = said(
        "16 to 255 characters, where the forge makes it; null: one is made and shown once.",
        _SECRET,
        default=None,
        repr=False,
    )
    registry: str | None = said(
        "Of a registry's webhook: its host, as images name it. Needed for distribution and harbor.",
        "registry.example:5000",
        default=None,
    )

    def draft(self) -> WebhookDraft:
        """Return what was asked for."""
        secret = Secret.of(self.secret) if self.secret is not None else None
        return WebhookDraft(
            self.name, self.provider, self.project, secret, self.matching, self.registry
        )


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
        "Of whose branch or image; null: of the webhook's own project, or the first that has one.",
        "shop",
        default=None,
    )


class TrialBody(Answer):
    """A push that was pretended."""

    delivery: str | None = said(
        "Its id, among the deliveries; null: a registry of its kind gives none.",
        "test-0a1b2c3d4e5f6071",
    )
    repository: str = said("As a forge or registry would name it.", "team/shop")
    branch: str = said("The branch, or the tag.", "main")
    wakes: list[str] = said("The projects that such a push concerns.", ["shop"])

    @classmethod
    def of(cls, trial: Trial) -> Self:
        """Return the body of ``trial``."""
        return cls(
            delivery=trial.delivery or None,
            repository=trial.repository,
            branch=trial.branch,
            wakes=list(trial.wakes),
        )


class AnnouncedBody(Answer):
    """Whether a project's last pushes came announced."""

    of_last: int = said("How many pushes are looked at, at most 5.", 5)
    missed: int = said("How many of them no delivery announced; a poll found those.", 0)
    remark: str | None = said("In words, where it is more than a chance.", None)


class WebhookBody(Answer):
    """A way in for a forge or a registry."""

    name: str = said("Its name.", "forgejo")
    provider: str = said("Whose deliveries it takes.", "forgejo")
    project: str | None = said("The only project that it wakes; null: each that follows.", None)
    matching: str = said("Whom a push wakes: repository or apps.", "repository")
    url_path: str = said(
        "Where it is sent to, below the daemon's address. KEY stands for the secret, where a "
        "registry can't send it in another way.",
        "/webhook/forgejo",
    )
    registry: str | None = said(
        "Of a registry's webhook: its host, as images name it.", "registry.example:5000"
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
    registration: RegistrationBody | None = said("Null: it was entered at the forge by hand.")
    announced: AnnouncedBody | None = said("Null: it is bound to no project, or nothing moved yet.")

    @classmethod
    def of(cls, record: WebhookRecord, known: Announcements | None = None) -> Self:
        """Return the body of ``record``; ``known`` is what its own project's pushes tell."""
        webhook = record.webhook
        registration, announced = record.registration, None
        if known is not None and known.judged:
            announced = AnnouncedBody(
                of_last=known.judged, missed=known.missed, remark=loss_in_words(known) or None
            )
        return cls(
            name=webhook.name,
            provider=webhook.provider,
            project=webhook.project,
            matching=webhook.matching,
            url_path=webhook.path,
            registry=webhook.registry,
            fingerprint=record.fingerprint,
            previous_fingerprint=record.previous_fingerprint or None,
            rotated_at=record.rotated_at,
            created_at=webhook.created_at,
            verified=record.verified,
            refused=record.refused,
            last_at=record.last_at,
            last_verdict=record.last_verdict,
            registration=RegistrationBody.of(registration) if registration else None,
            announced=announced,
        )


class WebhookList(Answer):
    """By name."""

    items: list[WebhookBody] = said("The webhooks, without their secrets.", [])
    next: str | None = next_page()


class WebhookMade(Answer):
    """A webhook with its new secret."""

    webhook: WebhookBody = said("The webhook.")
    secret: str | None = said(
        "The secret that was made; this is the one time that it is shown. Null: it was given.",
        _SECRET,
        repr=False,
    )
    url: str | None = said(
        "Where to send; null: `public_url` is not set.",
        "https://deploy.example.com/webhook/forgejo",
    )

    @classmethod
    def of(cls, opened: Opened, public_url: WebAddress | None) -> Self:
        """Return the body of ``opened``."""
        secret = opened.secret.reveal() if opened.secret else None
        webhook = WebhookBody.of(opened.record)
        url = f"{public_url}{webhook.url_path}" if public_url else None
        return cls(webhook=webhook, secret=secret, url=url)


class RegisteredBody(Answer):
    """A webhook that its forge knows now."""

    webhook: WebhookBody = said("The webhook.")
    declared: bool = said("Whether it was declared here just now.", True)
    created: bool = said("Whether it is new at the forge; else it was brought up to date.", True)
    tested: str = said("sent, not-possible, failed or not-asked.", "sent")
    test_problem: str | None = said("Why the forge sent no test.", None)
    after: int = said("What the forge sends now has a higher number among the deliveries.", 16)
    remarks: list[str] = said("What is allowed, and often not meant.", [])
    if_silent: list[str] = said(
        "Why no delivery may arrive, the likeliest first.",
        ["a firewall or a router between the forge and deploy.example.com lets nothing through"],
    )

    @classmethod
    def of(cls, registered: Registered) -> Self:
        """Return the body of ``registered``."""
        return cls(
            webhook=WebhookBody.of(registered.record),
            declared=registered.declared,
            created=registered.created,
            tested=registered.tested,
            test_problem=registered.test_problem or None,
            after=registered.after,
            remarks=list(registered.remarks),
            if_silent=list(registered.if_silent),
        )


class DeliveryBody(Answer):
    """One request to a webhook's address, or one that a person had looked into again."""

    webhook: str = said("Through which webhook.", "forgejo")
    number: int = said("Grows with each.", 17)
    at: datetime = said("When it came.", AT)
    remote: str = said("From which address; behind a proxy, the proxy's.", "10.0.0.7")
    event: str | None = said("Which event, as the forge names it.", "push")
    delivery: str | None = said("The forge's own id, the same when it is sent again.", _DELIVERY)
    verdict: str = said("verified, or why not, e.g. signature-wrong.", "verified")
    verified: bool = said("Whether it was from who knows the secret.", True)
    duplicate: bool = said("Whether one of the same id was there before.", False)
    note: str | None = said("What was made of it, where no project was looked at.", None)
    announces: str | None = said(
        "What moved, in words; null: nothing, or it is not verified.", "main of team/shop"
    )
    repeats: int | None = said(
        "Number of the one that a person had looked into again; null: it came.", None
    )
    led_to: dict[str, str] = said(
        "Project → what looking at it gave.", {"shop": "admitted: deployment 42 is queued"}
    )

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """Return the body of ``delivery``."""
        return cls(
            webhook=delivery.webhook,
            number=delivery.number,
            at=delivery.at,
            remote=delivery.remote,
            event=delivery.event or None,
            delivery=delivery.delivery or None,
            verdict=delivery.verdict,
            verified=delivery.verdict.verified,
            duplicate=delivery.duplicate,
            note=delivery.note or None,
            announces=str(delivery.hint) if delivery.hint else None,
            repeats=delivery.repeats,
            led_to={str(name): told for name, told in delivery.led_to.items()},
        )


class DeliveryList(Answer):
    """Newest first."""

    items: list[DeliveryBody] = said("The deliveries that are kept.", [])
    next: str | None = next_page()


class Received(Answer):
    """What was made of a delivery, before anything was looked up."""

    outcome: str = said("accepted, ignored (it announces no push) or pong.", "accepted")
