"""Bodies of what has to hold before a project changes: rules, and a freeze."""

from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pydantic import AwareDatetime

from reconciler.domain.errors import InvalidInput
from reconciler.domain.remark import parse_remark
from reconciler.domain.rules import Freeze, Rules, declaration_of
from reconciler.web.schemas.body import AT, Answer, Asked, said

_LONGEST_FREEZE = timedelta(days=366)


class WindowBody(Asked):
    """A stretch of some days of the week in which a project may change."""

    days: list[str] | None = said(
        "Days on which it opens, mon to sun; null: every day.", ["mon", "fri"], default=None
    )
    opens: str = said("When, by the clock on the wall there.", "09:00")
    closes: str = said("When; not later than `opens`: on the day after.", "17:00")
    zone: str | None = said(
        "As the IANA database names it; null: UTC.", "Europe/Berlin", default=None
    )


class RulesBody(Asked):
    """What has to hold before a project changes."""

    windows: list[WindowBody | str] | None = said(
        "It may change in any of them; empty or null: always. Each as an object, or as a line.",
        ["mon-fri 09:00-17:00 Europe/Berlin"],
        default=None,
    )
    minimum_image_age_seconds: float | None = said(
        "How long ago an image that moved behind its tag was first seen; null: 0.",
        259_200,
        default=None,
    )
    approvals: int | None = said(
        "How many people have to approve each promotion to it; null: 0.", 2, default=None
    )
    approvals_expire_after_seconds: float | None = said(
        "How long a promotion waits for them; null: three days.", 86_400, default=None
    )

    @classmethod
    def of(cls, rules: Rules) -> Self | None:
        """Return the body of ``rules``; None where nothing is asked for."""
        declared = declaration_of(rules)
        return cls.model_validate(declared) if declared else None

    def declared(self) -> dict[str, Any]:
        """Return the fields that were given."""
        return self.model_dump(exclude_unset=True)


class NewFreeze(Asked):
    """Why a project is to stay as it is, and until when."""

    reason: str = said("For whoever wonders.", "month end")
    until: AwareDatetime | None = said(
        "When it ends by itself; null: somebody lifts it.", AT, default=None
    )
    for_seconds: float | None = said("The same as a span from now.", 172_800, default=None)

    def freeze(self, now: datetime, by: str) -> Freeze:
        """Return what was asked for.

        Raises:
            InvalidInput: one field is wrong.
        """
        reason = parse_remark(self.reason, "reason")
        if not reason:
            raise InvalidInput("reason", self.reason, "must say why it is to stay as it is")
        return Freeze(by, now, reason, self._end(now))

    def _end(self, now: datetime) -> datetime | None:
        seconds, until = self.for_seconds, self.until
        if seconds is not None and until is not None:
            raise InvalidInput("until", None, "and `for_seconds` exclude each other")
        longest = _LONGEST_FREEZE.total_seconds()
        if seconds is not None:
            if not 1 <= seconds <= longest:
                problem = f"is not 1 to {longest:.0f}; null: until somebody lifts it"
                raise InvalidInput("for_seconds", seconds, problem)
            return now + timedelta(seconds=seconds)
        if until is not None and not now < until <= now + _LONGEST_FREEZE:
            problem = (
                f"is not within the next {_LONGEST_FREEZE.days} days; null: until it is lifted"
            )
            raise InvalidInput("until", until.isoformat(), problem)
        return until.astimezone(UTC) if until is not None else None


class FreezeBody(Answer):
    """A person said that a project stays as it is."""

    by: str = said("Who.", "ann")
    at: datetime = said("When.", AT)
    reason: str = said("Why.", "month end")
    until: datetime | None = said("When it ends by itself; null: somebody lifts it.", AT)

    @classmethod
    def of(cls, freeze: Freeze | None, now: datetime) -> Self | None:
        """Return the body of ``freeze``; None where nothing is frozen at ``now``."""
        if freeze is None or not freeze.holds(now):
            return None
        return cls(by=freeze.by, at=freeze.at, reason=freeze.reason, until=freeze.until)


class ThawedBody(Answer):
    """The project may change again."""

    thawed: bool = said("Whether it was frozen.", True)
