"""Channels that an operator declares: each value checked before anything is kept."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.domain.channel import (
    WEBHOOKS,
    Address,
    Channel,
    ChannelName,
    parse_channel_name,
    parse_events,
    parse_reminder,
    parse_url,
)
from reconciler.domain.references import parse_project_name
from reconciler.domain.secret import Secret
from reconciler.ports import ChannelRecord, LetterWriter, Notifier, Store

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class ChannelDraft:
    """What was asked for; None: as it is, or as usual."""

    url: Secret | None = None
    events: Sequence[str] | None = None
    remind_after_seconds: int | None = None
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A channel, with the key that its messages are signed with if it was made just now."""

    record: ChannelRecord
    key: Secret | None


@dataclass(frozen=True, slots=True)
class Channels:
    """Declares, changes and removes them."""

    store: Store
    notifier: Notifier
    writer: LetterWriter

    def create(
        self, name: str, project: str | None, draft: ChannelDraft, actor: str, now: datetime
    ) -> Opened:
        """Add a channel.

        Raises:
            InvalidInput: a value is wrong. ``NotFound``: no such project.
            AlreadyExists: there is one of its name.
        """
        of = parse_project_name(project, "project") if project is not None else None
        channel = Channel(parse_channel_name(name), now, of, created_by=actor)
        if of is not None:
            self.store.get_project(of)
        channel = self._chosen(channel, draft)
        address = self._address(draft.url or Secret.of(""))
        return Opened(self.store.create_channel(channel, address), address.key)

    def change(self, name: ChannelName, draft: ChannelDraft) -> Opened:
        """Change what ``draft`` says of it. Raises as ``create`` does."""
        channel = self._chosen(self.store.get_channel(name).channel, draft)
        address = self._address(draft.url) if draft.url is not None else None
        record = self.store.update_channel(channel, address)
        return Opened(record, address.key if address else None)

    def _chosen(self, channel: Channel, draft: ChannelDraft) -> Channel:
        wants = channel.wants
        if draft.events is not None:
            wants = replace(wants, events=parse_events(draft.events))
        if draft.remind_after_seconds is not None:
            wants = replace(wants, remind_after=parse_reminder(draft.remind_after_seconds))
        if draft.template:
            self.writer.check(draft.template)
        template = channel.template if draft.template is None else draft.template
        return replace(channel, wants=wants, template=template)

    def _address(self, url: Secret) -> Address:
        address = parse_url(url)
        self.notifier.check(address)
        if address.service not in WEBHOOKS:
            return address
        return replace(address, key=Secret.of(secrets.token_urlsafe(_KEY_BYTES)))
