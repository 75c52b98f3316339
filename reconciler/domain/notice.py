"""What people are told of, and when: once per change, and never as a flood."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

#: What a message says, by the names that templates know.
FactsTold = Mapping[str, str | int]


class NoticeEvent(StrEnum):
    """What people may choose to hear of."""

    FAILURE = "failure"  #: a deployment failed; what runs was left, or never changed
    ROLLBACK = "rollback"  #: it failed, and what ran before runs again
    RECOVERY = "recovery"  #: what they were told of is over
    NEEDS_PERSON = "needs-person"  #: nothing goes on until somebody acts
    SUCCESS = "success"  #: a deployment went well


#: What is told where nobody chose.
USUAL_EVENTS = frozenset(NoticeEvent) - {NoticeEvent.SUCCESS}
#: Messages that one channel gets of one project in an hour; what goes beyond is counted.
MOST_AN_HOUR = 10
#: The one subject that may go well without having been in trouble.
DEPLOYMENT = "deployment"
#: After these a message is given up.
MOST_ATTEMPTS = 12
LONGEST_WAITING = timedelta(days=2)
_HOUR = timedelta(hours=1)

_LONGEST_COMPARED = 500
#: What differs each time an error comes: instants, ids, digests and counts. A digit that belongs
#: to a name, as in ``web1``, stays.
_CHANGING = re.compile(
    r"\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d\S*"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\b(?=[a-f]*[0-9])[0-9a-f]{7,}\b"
    r"|(?<![a-z0-9_])\d+(?:[.:]\d+)*"
)


@dataclass(frozen=True, slots=True)
class Happening:
    """How something stands now: a deployment that ended, a source that was looked at."""

    subject: str  #: of the project: ``deployment``, ``source``, ``images``, or ``host NAME``
    event: NoticeEvent  #: ``SUCCESS``: all is well with it
    facts: FactsTold
    sameness: str = ""  #: equal for what is the same trouble again


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a channel was told of a subject, while it lasts."""

    happening: Happening
    since: datetime  #: when the subject was well last
    told_at: datetime | None  #: newest message of it; None: it was left out


@dataclass(frozen=True, slots=True)
class Telling:
    """One message to one channel."""

    subject: str
    event: NoticeEvent
    facts: FactsTold
    since: datetime | None = None  #: of a trouble, or of what is over
    reminder: bool = False
    left_out: int = 0  #: how many before it were not sent, because there were too many

    def as_json(self) -> dict[str, Any]:
        """Return it as a message's body."""
        since = self.since.isoformat() if self.since else None
        return {**{one.name: getattr(self, one.name) for one in fields(self)}, "since": since}

    @classmethod
    def of_json(cls, body: Mapping[str, Any]) -> Self:
        """Return what a message's body tells."""
        since = datetime.fromisoformat(body["since"]) if body["since"] else None
        return cls(**{**body, "event": NoticeEvent(body["event"]), "since": since})


@dataclass(frozen=True, slots=True)
class Told:
    """What a channel was told of one project."""

    troubles: Mapping[str, Trouble] = field(default_factory=dict)  #: by subject
    recent: tuple[datetime, ...] = ()  #: when, oldest first; as many as may be told in an hour
    waiting: Telling | None = None  #: the newest one that was left out
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Wants:
    """What a channel's people chose."""

    events: Collection[NoticeEvent] = USUAL_EVENTS
    remind_after: timedelta = timedelta(days=1)  #: zero: never


def tell(
    told: Told, happening: Happening, wants: Wants, now: datetime
) -> tuple[Told, list[Telling]]:
    """Return what is known to be told after ``happening``, and what to send because of it."""
    known = told.troubles.get(happening.subject)
    if happening.event is NoticeEvent.SUCCESS:
        return _tell_that_it_is_well(told, happening, wants, now)
    if happening.event not in wants.events:
        return told, []
    if known is not None and known.happening.sameness == happening.sameness:
        return told, []
    since = known.since if known else now
    after = _with(told, Trouble(happening, since, None))
    return _send(after, _telling(happening, happening.event, since), now)


def remind(told: Told, wants: Wants, now: datetime) -> tuple[Told, list[Telling]]:
    """Return the same for what is due by itself: what was left out, and what lasts for long."""
    if not _has_room(told, now):
        return told, []
    if told.waiting is not None:
        late = replace(told.waiting, left_out=told.left_out - 1)
        troubles = {
            subject: replace(one, told_at=one.told_at or now)
            for subject, one in told.troubles.items()
        }
        return _sent(replace(told, troubles=troubles), now), [late]
    for _, trouble in sorted(told.troubles.items()):
        if _reminded_at(trouble, wants, now) == now:
            telling = _telling(trouble.happening, trouble.happening.event, trouble.since)
            return _send(told, replace(telling, reminder=True), now)
    return told, []


def forget(told: Told, subject: str) -> Told:
    """Return what is known to be told once nobody looks at ``subject`` any more."""
    return _without_old_news(_without(told, subject), subject)


def due_at(told: Told, wants: Wants, now: datetime) -> datetime | None:
    """Return when ``remind`` has something to say; None: not before something happens."""
    wanted = list(_due(told, wants, now))
    return max(min(wanted), _room_at(told, now)) if wanted else None


def wait_before_next(attempts: int, age: timedelta, asked: timedelta) -> timedelta | None:
    """Return how long a message waits that could not be sent; None: it is given up.

    Args:
        attempts: that were made.
        age: of the message.
        asked: how long its service wants to be left alone.
    """
    if attempts >= MOST_ATTEMPTS or age >= LONGEST_WAITING:
        return None
    wait = min(timedelta(minutes=1) * (1 << min(attempts - 1, 16)), timedelta(hours=6))
    return max(wait, asked)


def sameness_of(event: NoticeEvent, code: str, message: str) -> str:
    """Return text that is equal for the same error, however often and whenever it comes."""
    stable = _CHANGING.sub("#", message.casefold()[:_LONGEST_COMPARED])
    whole = f"{event} {code} {stable}".encode(errors="replace")  # others write what is said
    return hashlib.sha256(whole).hexdigest()[:16]


def _tell_that_it_is_well(
    told: Told, happening: Happening, wants: Wants, now: datetime
) -> tuple[Told, list[Telling]]:
    known = told.troubles.get(happening.subject)
    if known is None and happening.subject != DEPLOYMENT:
        return told, []
    after = _without(told, happening.subject)
    wanted = (NoticeEvent.RECOVERY, NoticeEvent.SUCCESS) if known else (NoticeEvent.SUCCESS,)
    event = next((one for one in wanted if one in wants.events), None)
    if event is None:
        return _without_old_news(after, happening.subject), []
    return _send(after, _telling(happening, event, known.since if known else None), now)


def _telling(happening: Happening, event: NoticeEvent, since: datetime | None) -> Telling:
    return Telling(happening.subject, event, happening.facts, since)


def _send(told: Told, telling: Telling, now: datetime) -> tuple[Told, list[Telling]]:
    """Send it, or leave it out where there were too many lately."""
    if not _has_room(told, now):
        return replace(told, waiting=telling, left_out=told.left_out + 1), []
    trouble = told.troubles.get(telling.subject)
    after = _with(told, replace(trouble, told_at=now)) if trouble else told
    return _sent(after, now), [replace(telling, left_out=told.left_out)]


def _sent(told: Told, now: datetime) -> Told:
    recent = (*_lately(told, now), now)[-MOST_AN_HOUR:]
    return replace(told, recent=recent, waiting=None, left_out=0)


def _with(told: Told, trouble: Trouble) -> Told:
    return replace(told, troubles={**told.troubles, trouble.happening.subject: trouble})


def _without(told: Told, subject: str) -> Told:
    kept = {name: one for name, one in told.troubles.items() if name != subject}
    return replace(told, troubles=kept)


def _without_old_news(told: Told, subject: str) -> Told:
    """Return this without what was left out of a trouble that nobody is told the end of."""
    if told.waiting is None or told.waiting.subject != subject:
        return told
    return replace(told, waiting=None, left_out=0)


def _due(told: Told, wants: Wants, now: datetime) -> Iterator[datetime]:
    if told.waiting is not None:
        yield now
    for trouble in told.troubles.values():
        if (at := _reminded_at(trouble, wants, now)) is not None:
            yield at


def _reminded_at(trouble: Trouble, wants: Wants, now: datetime) -> datetime | None:
    """Return when it is told again, ``now`` if that has come; None: never."""
    if trouble.told_at is None or not wants.remind_after:
        return None
    return max(trouble.told_at + wants.remind_after, now)


def _has_room(told: Told, now: datetime) -> bool:
    return _room_at(told, now) <= now


def _room_at(told: Told, now: datetime) -> datetime:
    lately = _lately(told, now)
    return now if len(lately) < MOST_AN_HOUR else lately[-MOST_AN_HOUR] + _HOUR


def _lately(told: Told, now: datetime) -> tuple[datetime, ...]:
    """Return when the last hour's were told; a clock that was set back forgets what is ahead."""
    return tuple(at for at in told.recent if now - _HOUR < at <= now)
