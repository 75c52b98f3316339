"""What the pages that ask first make of what is planned and typed."""

from datetime import UTC, datetime

import pytest

from reconciler.domain.errors import InvalidInput
from reconciler.domain.gate import Reason
from reconciler.domain.plan import Direction, Finding, Plan, PlanBasis, Weight
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Revision
from reconciler.web.pages.acts.deploying import Offer
from reconciler.web.pages.acts.pausing import wanted_freeze
from reconciler.web.pages.notes import number
from reconciler.web.pages.reader import Reader

BERLIN = Reader(zone="Europe/Berlin")
CLOSED = Reason(ReasonCode.WINDOW_CLOSED, "no deploy window of shop is open")


def offer(*codes: str, weight: Weight = Weight.REFUSES, waits: tuple[Reason, ...] = ()) -> Offer:
    findings = tuple(Finding(weight, code, code) for code in codes)
    basis = PlanBasis(None, Revision(None))
    name = ProjectName("shop")
    return Offer(
        Plan(name, basis, None, Direction.SAME, (), "", changes=False, findings=findings), waits
    )


@pytest.mark.parametrize("code", [ReasonCode.ALREADY_LIVE, ReasonCode.QUARANTINED])
def test_a_person_may_insist_on_what_is_live_or_quarantined(code: str) -> None:
    found = offer(code)
    assert found.insists
    assert found.insists.code == code
    assert found.refused == ()


def test_a_closed_window_asks_for_a_reason_and_refuses_nobody() -> None:
    found = offer(ReasonCode.WINDOW_CLOSED, waits=(CLOSED,))
    assert found.refused == ()
    assert found.insists is None
    assert found.holds_back


def test_what_nothing_helps_against_is_refused() -> None:
    found = offer(ReasonCode.TARGET_MISSING, ReasonCode.QUARANTINED)
    assert [one.code for one in found.refused] == [ReasonCode.TARGET_MISSING]


def test_what_would_fail_is_told_and_not_refused() -> None:
    found = offer("disk-low", weight=Weight.FAILS)
    assert (found.refused, [one.code for one in found.told]) == ((), ["disk-low"])


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("2026-07-01T18:00", datetime(2026, 7, 1, 16, tzinfo=UTC)),
        ("2026-12-01T18:00", datetime(2026, 12, 1, 17, tzinfo=UTC)),
        ("2026-12-01T18:00+05:00", datetime(2026, 12, 1, 13, tzinfo=UTC)),
    ],
)
def test_a_pause_ends_by_the_clock_of_whoever_asks(typed: str, means: datetime) -> None:
    asked = wanted_freeze({"reason": "x", "span": "until", "until": typed}, BERLIN)
    assert (asked.until, asked.for_seconds) == (means, None)


@pytest.mark.parametrize("typed", ["", "tomorrow", "2026-13-01T00:00", "0001-01-01T00:00"])
def test_no_time_at_all_is_told_at_its_field(typed: str) -> None:
    with pytest.raises(InvalidInput, match="is not a date and time") as told:
        wanted_freeze({"reason": "x", "span": "until", "until": typed}, BERLIN)
    assert told.value.field == "until"


def test_a_span_is_one_of_those_to_choose_from() -> None:
    assert wanted_freeze({"reason": "x", "span": "3600"}, BERLIN).for_seconds == 3600
    assert wanted_freeze({"reason": "x", "span": ""}, BERLIN).for_seconds is None
    with pytest.raises(InvalidInput, match="is not one of those"):
        wanted_freeze({"reason": "x", "span": "1e99"}, BERLIN)


@pytest.mark.parametrize("text", ["", "-1", "1.0", "one", "9" * 11, str(2**31), "\u0661"])
def test_what_is_no_number_of_anything_names_nothing(text: str) -> None:
    assert number(text) == 0
