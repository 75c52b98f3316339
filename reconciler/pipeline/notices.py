"""Messages to people: made of what was told, sent, and kept until they are, or can't be."""

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.domain.channel import ChannelName
from reconciler.domain.errors import (
    Interrupted,
    NotFound,
    NotifyError,
    ReconcilerError,
    Recovery,
)
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.notice import (
    DEPLOYMENT,
    FactsTold,
    NoticeEvent,
    Telling,
    wait_before_next,
)
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.log import Redactor, fields
from reconciler.ports import Clock, Letter, LetterWriter, Message, Notifier, Store

log = logging.getLogger(__name__)

_SHORT = 12  # characters of a commit
#: Subject → what it is called, in trouble and when that is over.
_ABOUT = {
    "source": "its source",
    "images": "the registry of its images",
    "promotion": "its promotion",
}
_DEPLOYMENT_WORDS = {
    NoticeEvent.FAILURE: "failed",
    NoticeEvent.ROLLBACK: "failed and was rolled back",
    NoticeEvent.NEEDS_PERSON: "needs a person",
    NoticeEvent.RECOVERY: "went well again",
    NoticeEvent.SUCCESS: "went well",
}


@dataclass(frozen=True, slots=True)
class NoticeParts:
    """What messages are made of and sent by."""

    store: Store
    clock: Clock
    notifier: Notifier
    writer: LetterWriter
    redactor: Redactor
    #: Returns a commit's first line; empty where it is not known.
    subject_of: Callable[[ProjectName, CommitSha, CommitSha | None], str]
    #: Returns how each host that was checked stands.
    hosts: Callable[[], dict[HostName, HostHealth]]
    public_url: str = ""  #: without a slash at its end


@dataclass(frozen=True, slots=True)
class Trial:
    """How sending a test message went."""

    sent: bool
    error: str = ""
    took: timedelta = timedelta(0)


@dataclass(slots=True)
class Notices:
    """Sends what waits in the outbox. Threads may share it."""

    parts: NoticeParts
    _hosts: dict[HostName, Failure | None] = field(default_factory=dict)

    def tell(self) -> None:
        """Put into the outbox what comes by itself: hosts in trouble, reminders."""
        now = self.parts.clock.now()
        for name, health in self.parts.hosts().items():
            trouble = health.error
            passing = trouble is not None and trouble.recovery is not Recovery.OPERATOR
            if not passing and self._hosts.get(name) != trouble:
                self.parts.store.tell_of_host(name, trouble, now)
                self._hosts[name] = trouble
        self.parts.store.tell_what_is_due(now)

    def send(self, message: Message, owner: str, cancel: threading.Event) -> None:
        """Send one message that was claimed, and record what became of it."""
        store, name = self.parts.store, ChannelName(message.address)
        try:
            letter = self._letter(message)
            self.parts.notifier.send(store.get_channel_address(name), letter, cancel)
        except Interrupted:
            store.put_off_message(message, owner, self.parts.clock.now(), "interrupted")
        except NotFound:
            store.settle_message(message, owner, "the channel was removed")
        except ReconcilerError as error:
            self._not_sent(message, owner, error)
        except Exception as bug:
            # Given up in the end, as others are: those that come after it wait for it.
            log.exception("message %d to %s failed unexpectedly", message.id, name)
            self._not_sent(message, owner, NotifyError(f"unexpected: {type(bug).__name__}"))
        else:
            store.settle_message(message, owner)
            store.record_sending(name, self.parts.clock.now(), "")
            log.info("told %s: %s", name, letter.title)

    def try_out(self, name: ChannelName) -> Trial:
        """Send a test message now, and tell how it went. Raises ``NotFound``."""
        parts, began = self.parts, self.parts.clock.monotonic()
        address = parts.store.get_channel_address(name)
        title = f"a test of the channel {name}"
        text = f"{title}: messages of reconciler arrive here.\n{parts.public_url}".strip()
        facts = {"headline": title, "channel": name, "link": parts.public_url}
        number = f"test-{secrets.token_hex(8)}"
        letter = Letter(NoticeEvent.SUCCESS, title, text, facts, number, parts.clock.now())
        error = ""
        try:
            parts.notifier.send(address, letter)
        except ReconcilerError as failure:
            error = parts.redactor.clean(failure.message)
        parts.store.record_sending(name, parts.clock.now(), error)
        took = timedelta(seconds=parts.clock.monotonic() - began)
        return Trial(sent=not error, error=error, took=took)

    def _not_sent(self, message: Message, owner: str, error: ReconcilerError) -> None:
        store, now = self.parts.store, self.parts.clock.now()
        said = self.parts.redactor.clean(error.message)
        asked = error.retry_after if isinstance(error, NotifyError) else timedelta(0)
        wait = wait_before_next(message.attempts + 1, now - message.created_at, asked)
        if wait is None:
            store.settle_message(message, owner, said)
        else:
            store.put_off_message(message, owner, now + wait, said)
        store.record_sending(ChannelName(message.address), now, said)
        more = fields(channel=message.address, code=error.code, attempt=message.attempts + 1)
        log.warning("a message was not sent: %s", said, extra=more)

    def _letter(self, message: Message) -> Letter:
        telling = Telling.of_json(message.body)
        record = self.parts.store.get_channel(ChannelName(message.address))
        title = headline_of(telling)
        facts = {
            **{name: self._shown(value) for name, value in telling.facts.items()},
            "event": str(telling.event),
            "channel": message.address,
            "subject": telling.subject,
            "reminder": int(telling.reminder),
            "left_out": telling.left_out,
            "since": _said(telling.since),
            "at": _said(message.created_at),
            "headline": title,
            "link": self._link(telling),
            "commit_message": self._commit_message(telling.facts),
        }
        told = {**facts, "commit": str(facts.get("commit", ""))[:_SHORT]}
        text = self.parts.redactor.redact(self.parts.writer.write(record.channel.template, told))
        return Letter(telling.event, title, text, facts, f"notice-{message.id}", message.created_at)

    def _shown(self, value: str | int) -> str | int:
        return self.parts.redactor.clean(value) if isinstance(value, str) else value

    def _link(self, telling: Telling) -> str:
        base, project = self.parts.public_url, telling.facts.get("project")
        if not base:
            return ""
        if deployment := telling.facts.get("deployment"):
            return f"{base}/deployments/{deployment}"
        return f"{base}/projects/{project}" if project else base

    def _commit_message(self, facts: FactsTold) -> str:
        commit, before = facts.get("commit"), facts.get("commit_before")
        if not commit:
            return ""
        base = CommitSha(str(before)) if before and before != commit else None
        try:
            project = ProjectName(str(facts["project"]))
            return self.parts.subject_of(project, CommitSha(str(commit)), base)
        except ReconcilerError:
            return ""  # what is told is worth more than this line


def headline_of(telling: Telling) -> str:
    """Return in one line what is told."""
    facts, well = telling.facts, telling.event in {NoticeEvent.RECOVERY, NoticeEvent.SUCCESS}
    project = f"{facts['project']}: " if facts.get("project") else ""
    if telling.subject == DEPLOYMENT:
        goes_on = telling.event is NoticeEvent.FAILURE and facts.get("status") == "queued"
        words = "keeps failing" if goes_on else _DEPLOYMENT_WORDS[telling.event]
        text = f"{project}deployment {facts.get('deployment')} {words}"
    else:
        about = _ABOUT.get(telling.subject, telling.subject)
        text = f"{project}{about} {'is well again' if well else 'needs a person'}"
    return f"still so: {text}" if telling.reminder else text


def _said(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
