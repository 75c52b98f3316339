"""Which projects the overview shows, and in which order."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.domain.gate import MasterSwitch
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import ProjectName
from reconciler.domain.rules import Freeze
from reconciler.domain.state import Drift, ProjectState, Quarantine, SourceHealth
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.web.pages.overview.listing import MOST_ROWS, Listing, Sort, count, in_order
from reconciler.web.pages.words import Group
from tests.parts.made_up import revision_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def summary(
    name: str, standing: StandingCode = StandingCode.IN_SYNC, **facts: object
) -> ProjectSummary:
    """Return one of a project that stands so."""
    project = Project(ProjectName(name), ProjectKind.COMPOSE, NOW, NOW, auto_deploy=True)
    state = ProjectState(project.name, **facts)  # type: ignore[arg-type]  # of a state
    return ProjectSummary(project, state, SourceHealth(), standing, "as it is", "live")


def quarantined(name: str, hours: int) -> ProjectSummary:
    bad = Quarantine(revision_of(summary(name).project, 1), 1, NOW - timedelta(hours=hours), "bad")
    return summary(name, StandingCode.QUARANTINED, quarantined=(bad,))


def frozen(name: str, hours: int | None) -> ProjectSummary:
    until = NOW + timedelta(hours=hours) if hours else None
    return summary(name, StandingCode.HELD, freeze=Freeze("ann", NOW, until=until))


def names(found: list[ProjectSummary]) -> list[str]:
    return [str(one.project.name) for one in found]


def test_the_address_says_what_is_asked_for() -> None:
    wanted = Listing.of({"state": "waiting", "q": " blog ", "sort": "name", "kind": "compose"})
    assert wanted == Listing(Group.WAITING, "", ProjectKind.COMPOSE, Sort.NAME, "blog")
    assert wanted.address() == "/?state=waiting&kind=compose&sort=name&q=blog"
    assert wanted.address(state=None, q="", kind=None) == "/?sort=name"
    assert Listing(rows=("a",), after="b").address() == "/"
    assert Listing().address(q="a&b=<c>") == "/?q=a%26b%3D%3Cc%3E"


def test_words_that_are_none_of_ours_ask_for_nothing() -> None:
    assert Listing.of({"state": "<b>", "sort": "", "kind": "x", "page": "9"}) == Listing()
    assert len(Listing.of({"q": "x" * 999}).q) == 200
    assert len(Listing.of({"rows": ",".join("x" * 999)}).rows) == 60


def test_what_needs_a_person_comes_first_the_newest_trouble_before_all() -> None:
    drift = Drift(NOW - timedelta(hours=2), ("other",))
    found = [
        summary("calm"),
        frozen("long", None),
        frozen("soon", 1),
        frozen("later", 2),
        quarantined("old", 9),
        quarantined("new", 1),
        summary("drift", StandingCode.DRIFTED, drift=drift),
        summary("off", StandingCode.OFF),
        summary("busy", StandingCode.DEPLOYING),
        summary("also-calm"),
    ]
    ordered = in_order(found, Sort.ATTENTION, MasterSwitch(), NOW)
    assert names(ordered) == [
        *("new", "drift", "old"),
        "busy",
        *("soon", "later", "long"),
        *("also-calm", "calm"),
        "off",
    ]
    assert names(in_order(found, Sort.NAME, MasterSwitch(), NOW)) == sorted(names(found))


@pytest.mark.parametrize(("asked", "fits"), [("BLO", True), ("local", True), ("wiki", False)])
def test_a_search_finds_a_part_of_what_is_shown(asked: str, fits: bool) -> None:
    assert Listing(q=asked).fits(summary("blog")) is fits


def test_counts_are_of_all_that_fits_and_rows_of_what_is_asked_for() -> None:
    found = [summary("a"), quarantined("b", 1)]
    assert count(found) == {Group.IN_SYNC: 1, Group.NEEDS_YOU: 1}
    wanted = Listing(Group.NEEDS_YOU)
    assert [wanted.has(one) for one in found] == [False, True]
    assert names(Listing(rows=("a", "gone")).rows_of(found)) == ["a"]


def test_more_than_a_thousand_come_in_parts() -> None:
    found = [summary(f"p{number:04}") for number in range(MOST_ROWS + 2)]
    first, more = Listing().part_of(found)
    assert (len(first), more) == (MOST_ROWS, True)
    rest, more = Listing(after=str(first[-1].project.name)).part_of(found)
    assert (names(list(rest)), more) == (["p1000", "p1001"], False)
    # It is gone meanwhile: from the beginning.
    assert Listing(after="gone").part_of(found)[0] == first
