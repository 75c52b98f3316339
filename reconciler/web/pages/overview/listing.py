"""Which projects of the overview are asked for, in which order: all of it stands in the address."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self
from urllib.parse import urlencode

from reconciler.domain.gate import MasterSwitch, reasons_to_hold, time_to_ask_again
from reconciler.domain.project import ProjectKind
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.web.pages.words import GROUP_OF, Group

MOST_ROWS = 1000
_MOST_NAMED = 60
_LONGEST = 200
_LONG_AGO, _FAR_AHEAD = (datetime(year, 1, 1, tzinfo=UTC) for year in (1, 9999))


class Sort(StrEnum):
    """In which order."""

    ATTENTION = "attention"  #: in groups, what needs a person first
    NAME = "name"
    CHANGED = "changed"  #: what changed last first
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Listing:
    """What is asked for; a word that is none of ours asks for nothing."""

    state: Group | None = None
    host: str = ""
    kind: ProjectKind | None = None
    sort: Sort = Sort.ATTENTION
    q: str = ""
    after: str = ""  #: the project that the part before ended with
    rows: tuple[str, ...] = ()  #: only these, whatever else is asked for

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Return what an address asks for."""
        given = {name: value.strip()[:_LONGEST] for name, value in query.items()}
        rows = query.get("rows", "").split(",")[:_MOST_NAMED]
        return cls(
            state=_known(Group, given.get("state", "")),
            host=given.get("host", ""),
            kind=_known(ProjectKind, given.get("kind", "")),
            sort=_known(Sort, given.get("sort", "")) or Sort.ATTENTION,
            q=given.get("q", ""),
            after=given.get("after", ""),
            rows=tuple(filter(None, rows)),
        )

    @property
    def narrows(self) -> bool:
        """Whether it leaves any project out."""
        return bool(self.state or self.host or self.kind or self.q)

    def address(self, **changes: Any) -> str:
        """Return the address of this, or of what differs from it."""
        wanted = replace(self, rows=(), **{"after": "", **changes})
        parts = {
            "state": wanted.state,
            "host": wanted.host,
            "kind": wanted.kind,
            "sort": "" if wanted.sort is Sort.ATTENTION else wanted.sort,
            "q": wanted.q,
            "after": wanted.after,
        }
        query = urlencode({name: value for name, value in parts.items() if value})
        return f"/?{query}" if query else "/"

    def fits(self, one: ProjectSummary) -> bool:
        """Tell whether a project is asked for, whatever its state."""
        project = one.project
        if self.kind and project.kind is not self.kind:
            return False
        if self.host and self.host not in hosts_of(one):
            return False
        return not self.q or self.q.casefold() in _text_of(one).casefold()

    def has(self, one: ProjectSummary) -> bool:
        """Tell whether a project is asked for."""
        return self.state in {None, GROUP_OF[one.standing]} and self.fits(one)

    def rows_of(self, found: Iterable[ProjectSummary]) -> list[ProjectSummary]:
        """Return those whose rows alone are asked for."""
        return [one for one in found if one.project.name in self.rows]

    def part_of(self, ordered: Sequence[ProjectSummary]) -> tuple[Sequence[ProjectSummary], bool]:
        """Return as many as one page shows, and whether there are more."""
        names = [str(one.project.name) for one in ordered]
        start = names.index(self.after) + 1 if self.after in names else 0
        return ordered[start : start + MOST_ROWS], len(ordered) > start + MOST_ROWS


def count(found: Iterable[ProjectSummary]) -> Counter[Group]:
    """Return how many there are of each group."""
    return Counter(GROUP_OF[one.standing] for one in found)


def in_order(
    found: Iterable[ProjectSummary], sort: Sort, switch: MasterSwitch, now: datetime
) -> list[ProjectSummary]:
    """Return them in an order; those that are alike by name."""

    def place(one: ProjectSummary) -> object:
        group = GROUP_OF[one.standing]
        return list(Group).index(group), _within(group, one, switch, now)

    by: dict[Sort, Callable[[ProjectSummary], Any]] = {
        Sort.ATTENTION: place,
        Sort.NAME: lambda one: one.project.name,
        Sort.CHANGED: lambda one: -_seconds(_changed_at(one)),
        Sort.HOST: lambda one: (hosts_of(one) or ("~",))[0],
    }
    return sorted(sorted(found, key=lambda one: one.project.name), key=by[sort])


def _within(group: Group, one: ProjectSummary, switch: MasterSwitch, now: datetime) -> float:
    """Return what orders a group: trouble by its age, newest first; what waits by its end."""
    match group:
        case Group.NEEDS_YOU:
            return -_seconds(since_of(one))
        case Group.UNDER_WAY:
            under_way = one.state.running or one.state.queued
            return _seconds(under_way.started_at or under_way.created_at) if under_way else 0.0
        case Group.WAITING:
            holds = reasons_to_hold(one.project, switch, one.state.freeze, now)
            return _seconds(time_to_ask_again(holds) or _FAR_AHEAD)
        case _:
            return 0.0


def since_of(one: ProjectSummary) -> datetime | None:
    """Return since when it stands as it does; None: nobody knows."""
    state = one.state
    ended = state.latest.finished_at if state.latest else None
    verified = state.live.finished_at if state.live else None
    queued = state.queued.created_at if state.queued else None
    quarantined = state.quarantined[-1].since if state.quarantined else None
    frozen = state.freeze.at if state.freeze and " froze " in one.text else one.since
    known = {
        StandingCode.IN_SYNC: verified,
        StandingCode.FAILED: ended,
        StandingCode.DRIFTED: state.drift.since if state.drift else None,
        StandingCode.QUARANTINED: quarantined,
        StandingCode.QUEUED: queued,
        StandingCode.HELD: frozen,
        StandingCode.OFF: state.toggled_at,
        # That is said so anew by each look.
        StandingCode.BRANCH_GONE: None,
        StandingCode.NEVER_DEPLOYED: None,
    }
    return known.get(one.standing, one.since)


def _changed_at(one: ProjectSummary) -> datetime | None:
    latest = one.state.latest
    return (latest.finished_at or latest.started_at or latest.created_at) if latest else None


def hosts_of(one: ProjectSummary) -> tuple[str, ...]:
    """Return where it runs, each host once."""
    return tuple(dict.fromkeys(str(target.host) for target in one.project.where))


def _seconds(at: datetime | None) -> float:
    return ((at or _LONG_AGO) - _LONG_AGO).total_seconds()


def _text_of(one: ProjectSummary) -> str:
    """Return what a search looks through."""
    told = [one.project.name, one.project.kind, *hosts_of(one), one.text]
    for deployment in (one.state.live, one.state.running, one.state.queued):
        if deployment is None:
            continue
        revision = deployment.target_revision
        told += [f"{image}@{digest}" for image, digest in revision.images.items()]
        told.append(revision.commit.text if revision.commit else "")
        told.append(deployment.headline.subject if deployment.headline else "")
    return "\n".join(told)


def _known(kind: Any, word: str) -> Any:
    return kind(word) if word in set(kind) else None
