"""What became of deployments, one below the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from reconciler.domain.deployment import Cause, Deployment, Status
from reconciler.domain.host import LOCAL
from reconciler.web.pages.sentences import counted, sentence
from reconciler.web.pages.words import ASKED_BY, OF_STATUS


@dataclass(frozen=True, slots=True)
class Entry:
    """One deployment, and what became of it."""

    deployment: Deployment
    outcome: str  #: in words
    icon: str
    colour: str
    asked: str  #: who or what asked for it
    wrong: str  #: what went wrong; empty: nothing did
    target: str  #: hosts that it went to; empty: the daemon's own machine alone

    @property
    def at(self) -> datetime:
        """When it was asked for: in that order they have their numbers."""
        return self.deployment.created_at


def entry_of(deployment: Deployment) -> Entry:
    """Return how it is told."""
    badges = OF_STATUS[deployment.status]
    first, *others = (badge.word for badge in badges)
    hosts = [one.host for one in deployment.targets] or list(deployment.hosts)
    return Entry(
        deployment,
        ", ".join((first, *(word.lower() for word in others))),
        badges[-1].icon,
        badges[-1].colour,
        asked_by(deployment.causes),
        _wrong(deployment),
        "" if hosts == [LOCAL] else ", ".join(hosts),
    )


def noticed_by(cause: Cause) -> str:
    """Return who or what asked, as a part of a sentence."""
    return ASKED_BY[cause.trigger].format(cause.actor)


def asked_by(causes: Sequence[Cause]) -> str:
    """Return who or what asked first, and how many more did."""
    first, *others = causes
    text = noticed_by(first)
    text = f"{text}: {first.detail}" if first.detail else text
    return f"{text}, and {counted(len(others), 'more request')}" if others else text


def _wrong(deployment: Deployment) -> str:
    said = [sentence(deployment.error.message)] if deployment.error else []
    if deployment.rolled_back_to and deployment.status is Status.ROLLED_BACK:
        said.append(f"Back on #{deployment.rolled_back_to}, verified.")
    if deployment.superseded_by and deployment.status is Status.SUPERSEDED:
        said.append(f"#{deployment.superseded_by} came before it began.")
    return " ".join(said)


def by_day(entries: Sequence[Entry], zone: ZoneInfo) -> Iterator[tuple[date, list[Entry]]]:
    """Yield each day of the reader's, with what was on it, in the order given."""
    for day, those in groupby(entries, lambda one: one.at.astimezone(zone).date()):
        yield day, list(those)
