"""Bodies of channels and of the messages that they got."""

from datetime import datetime
from typing import Self

from pydantic import ConfigDict

from reconciler.domain.channel import LONGEST_TEMPLATE
from reconciler.domain.notice import NoticeEvent, Telling
from reconciler.domain.secret import Secret
from reconciler.pipeline.declaring.channels import ChannelDraft, Opened
from reconciler.pipeline.notices import Trial, headline_of
from reconciler.ports import ChannelRecord, Message
from reconciler.web.schemas.body import AT, Answer, Asked, next_page, said

_EVENTS = ["failure", "recovery"]
_NAMED = f"Of what it is told: {', '.join(NoticeEvent)}."
_URL = "The address; it is sealed, and never shown again. An `https://` one is a signed webhook."
_TEMPLATE = f"Jinja2, at most {LONGEST_TEMPLATE} characters; empty: the usual text."
_EXAMPLE_TEMPLATE = "{{ headline }} {{ link }}"
_REMINDER = "After how many seconds a trouble is told again while it lasts; 0: never."


class ChosenChannel(Asked):
    """What may be chosen of a channel."""

    model_config = ConfigDict(hide_input_in_errors=True)

    events: list[str] | None = said(
        f"{_NAMED} Null: as it is; of a new one all but success.", _EVENTS, default=None
    )
    remind_after_seconds: int | None = said(
        f"{_REMINDER} Null: as it is; of a new one a day.", 86400, default=None
    )
    template: str | None = said(f"{_TEMPLATE} Null: as it is.", _EXAMPLE_TEMPLATE, default=None)

    def draft(self, url: str | None) -> ChannelDraft:
        """Return what was asked for."""
        given = Secret.of(url) if url is not None else None
        return ChannelDraft(given, self.events, self.remind_after_seconds, self.template)


class NewChannel(ChosenChannel):
    """A channel to declare."""

    name: str = said("1 to 63 of a-z, 0-9 and '-'.", "ops")
    url: str = said(_URL, "ntfys://ntfy.example/deployments", repr=False)
    project: str | None = said("The only project that it hears of.", "shop", default=None)


class ChangedChannel(ChosenChannel):
    """What to change of a channel."""

    url: str | None = said(f"{_URL} Null: as it is.", "slack://T1/B2/c3", default=None, repr=False)


class ChannelBody(Answer):
    """A way to tell people."""

    name: str = said("Its name.", "ops")
    project: str | None = said("The only project that it hears of; null: of all.", None)
    service: str = said("The scheme of its address.", "ntfys")
    fingerprint: str = said("Of its address; tells equal from different, no more.", "5f0c2b1a")
    events: list[str] = said(_NAMED, _EVENTS)
    remind_after_seconds: int = said(_REMINDER, 86400)
    template: str = said(_TEMPLATE, "")
    created_at: datetime = said("When it was declared.", AT)
    created_by: str = said("Who declared it.", "local:1000")
    last_at: datetime | None = said("When something was sent, or tried, last.", AT)
    last_error: str | None = said("Why that failed; null: it went well.", None)

    @classmethod
    def of(cls, record: ChannelRecord) -> Self:
        """Return the body of ``record``."""
        channel = record.channel
        return cls(
            name=channel.name,
            project=channel.project,
            service=record.service,
            fingerprint=record.fingerprint,
            events=sorted(channel.wants.events),
            remind_after_seconds=int(channel.wants.remind_after.total_seconds()),
            template=channel.template,
            created_at=channel.created_at,
            created_by=channel.created_by,
            last_at=record.last_at,
            last_error=record.last_error or None,
        )


class ChannelMade(ChannelBody):
    """A channel that was declared or changed."""

    signing_key: str | None = said(
        "What messages of a signed webhook are signed with, where it was made just now: shown "
        "this once.",
        None,
    )

    @classmethod
    def of_opened(cls, made: Opened) -> Self:
        """Return the body of ``made``."""
        shown = ChannelBody.of(made.record).model_dump()
        return cls(**shown, signing_key=made.key.reveal() if made.key else None)


class ChannelList(Answer):
    """By name."""

    items: list[ChannelBody] = said("The channels.", [])
    next: str | None = next_page()


class ChannelTrialBody(Answer):
    """How a test message went."""

    sent: bool = said("Whether the service took it.", True)
    error: str | None = said("Why it did not.", None)
    took_seconds: float = said("How long that took.", 0.4)

    @classmethod
    def of(cls, trial: Trial) -> Self:
        """Return the body of ``trial``."""
        took = round(trial.took.total_seconds(), 3)
        return cls(sent=trial.sent, error=trial.error or None, took_seconds=took)


class NoticeBody(Answer):
    """A message to a channel, and what became of it."""

    number: int = said("Its number.", 31)
    project: str | None = said("What it tells of; null: of a host.", "shop")
    deployment: int | None = said("The deployment that it tells of.", 12)
    event: str = said("What it tells.", "failure")
    headline: str = said("In one line.", "shop: deployment 12 failed")
    reminder: bool = said("Whether it says again what was told before.", False)
    created_at: datetime = said("When it happened.", AT)
    fate: str = said("waiting, sent or given-up.", "sent")
    attempts: int = said("How often it was tried.", 1)
    next_attempt_at: datetime | None = said("Of one that waits: when it is tried next.", None)
    settled_at: datetime | None = said("When it was sent, or given up.", AT)
    error: str | None = said("Of the last attempt.", None)

    @classmethod
    def of(cls, message: Message) -> Self:
        """Return the body of ``message``."""
        telling = Telling.of_json(message.body)
        waits = message.settled_at is None
        return cls(
            number=message.id,
            project=message.project or None,
            deployment=message.deployment,
            event=telling.event,
            headline=headline_of(telling),
            reminder=telling.reminder,
            created_at=message.created_at,
            fate="waiting" if waits else "given-up" if message.error else "sent",
            attempts=message.attempts,
            next_attempt_at=message.not_before if waits else None,
            settled_at=message.settled_at,
            error=message.error or None,
        )


class NoticeList(Answer):
    """Newest first."""

    items: list[NoticeBody] = said("The messages.", [])
    next: str | None = next_page()
