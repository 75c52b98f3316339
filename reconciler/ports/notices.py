"""Channels, what they were told, and what sends to them."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reconciler.domain.channel import Address, Channel, ChannelName
from reconciler.domain.failure import Failure
from reconciler.domain.notice import FactsTold, NoticeEvent


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """A channel as it may be shown."""

    channel: Channel
    service: str  #: its address's scheme
    fingerprint: str  #: of its address
    last_at: datetime | None = None  #: when something was sent, or tried, last
    last_error: str = ""  #: empty: it went well


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it is sent."""

    event: NoticeEvent
    title: str
    text: str
    facts: FactsTold
    id: str  #: the same when it is sent again
    at: datetime  #: of what it tells


class ChannelStore(Protocol):
    """The channels that were declared, and what each was told."""

    def create_channel(self, channel: Channel, address: Address) -> ChannelRecord:
        """Add it. Raises ``AlreadyExists``, or ``NotFound`` for its project."""
        ...

    def update_channel(self, channel: Channel, address: Address | None = None) -> ChannelRecord:
        """Replace what was chosen, and its address where one is given. Raises ``NotFound``."""
        ...

    def remove_channel(self, name: ChannelName) -> None:
        """Delete it with what waits to be sent to it. Raises ``NotFound``."""
        ...

    def get_channel(self, name: ChannelName) -> ChannelRecord:
        """Return it. Raises ``NotFound``."""
        ...

    def list_channels(self, projects: Collection[str] | None = None) -> Sequence[ChannelRecord]:
        """Return all, by name; or those of ``projects`` alone."""
        ...

    def get_channel_address(self, name: ChannelName) -> Address:
        """Return where its messages go. Raises ``NotFound``."""
        ...

    def record_sending(self, name: ChannelName, at: datetime, error: str) -> None:
        """Record how the newest sending to it went; empty: well."""
        ...

    def tell_what_is_due(self, now: datetime) -> int:
        """Put reminders, and what was left out, into the outbox; return how many."""
        ...

    def tell_of_host(self, host: str, trouble: Failure | None, now: datetime) -> None:
        """Tell channels of all projects how a host stands, once per change."""
        ...


class LetterWriter(Protocol):
    """Makes messages of what is told."""

    def check(self, template: str) -> None:
        """Try it on made-up facts. Raises ``InvalidInput``."""
        ...

    def write(self, template: str, facts: FactsTold) -> str:
        """Return the text; by the usual template where ``template`` is empty or fails."""
        ...


class Notifier(Protocol):
    """Sends messages to the services that people read."""

    def check(self, address: Address) -> None:
        """Look whether the address is one, without sending. Raises ``InvalidInput``."""
        ...

    def send(self, address: Address, letter: Letter, cancel: threading.Event | None = None) -> None:
        """Send one message, within seconds.

        Raises:
            NotifyError: the service did not take it; never shows the address.
            Interrupted: ``cancel`` was set.
        """
        ...
