"""What has to hold before a project changes, beside its switches: when, how old, who agreed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.domain.numbers import parse_seconds, parse_whole, seconds_of
from reconciler.domain.problems import Problems, unknown_fields
from reconciler.domain.windows import DeployWindow, parse_windows
from reconciler.domain.windows import declaration_of as declaration_of_window

MOST_APPROVALS = 10
DEFAULT_APPROVAL_LIFETIME = timedelta(days=3)

_FIELDS = (
    *("windows", "minimum_image_age_seconds", "approvals"),
    *("approvals_expire_after_seconds",),
)
_LONGEST_AGE_SECONDS = 90 * 24 * 3600
_LEAST_LIFETIME_SECONDS = 60
_LONGEST_LIFETIME_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Rules:
    """What was declared; by default nothing is asked for."""

    windows: tuple[DeployWindow, ...] = ()  #: it may change in any of them; none: always
    #: How long ago an image that moves behind its tag was first seen; where it is promoted, in the
    #: environment before. What a person asks for, and what a new commit names, is not held by it.
    minimum_image_age: timedelta = timedelta(0)
    approvals: int = 0  #: how many people have to agree to each promotion
    approval_lifetime: timedelta = DEFAULT_APPROVAL_LIFETIME


@dataclass(frozen=True, slots=True)
class Freeze:
    """A person said that a project stays as it is."""

    by: str
    at: datetime
    reason: str = ""
    until: datetime | None = None  #: None: until somebody lifts it

    def holds(self, now: datetime) -> bool:
        """Tell whether it is so at ``now``."""
        return self.until is None or self.until > now


def parse_rules(declared: Mapping[str, object], field: str = "rules") -> Rules:
    """Return the rules that ``declared`` describes; what is None counts as left out.

    Args:
        declared: ``windows``, each with ``days`` (``mon`` to ``sun``; all unless given), ``opens``
            and ``closes`` (``HH:MM``) and ``zone``, or as one line of them;
            ``minimum_image_age_seconds``; ``approvals``; ``approvals_expire_after_seconds``.
        field: what problems are named after, e.g. ``rules.approvals``.

    Raises:
        InvalidInput: one field is wrong.
        SeveralInvalid: more are; every one is named.
    """
    problems = Problems()
    given = {name: value for name, value in declared.items() if value is not None}
    problems.found.extend(unknown_fields(given, _FIELDS, field, "rules"))
    windows = problems.collect(lambda: parse_windows(given.get("windows", []), f"{field}.windows"))
    name = f"{field}.minimum_image_age_seconds"
    seconds = given.get("minimum_image_age_seconds", 0)
    age = problems.collect(lambda: parse_seconds(seconds, name, 0, _LONGEST_AGE_SECONDS))
    approvals = problems.collect(
        lambda: _parse_approvals(given.get("approvals", 0), f"{field}.approvals")
    )
    lifetime = problems.collect(
        lambda: parse_seconds(
            given.get("approvals_expire_after_seconds", seconds_of(DEFAULT_APPROVAL_LIFETIME)),
            f"{field}.approvals_expire_after_seconds",
            _LEAST_LIFETIME_SECONDS,
            _LONGEST_LIFETIME_SECONDS,
        )
    )
    if problems.found or windows is None or age is None or approvals is None or lifetime is None:
        raise problems.error()
    return Rules(windows, age, approvals, lifetime)


def declaration_of(rules: Rules) -> dict[str, object]:
    """Return what ``parse_rules`` makes ``rules`` of, as JSON has it."""
    usual = rules.approval_lifetime == DEFAULT_APPROVAL_LIFETIME
    every: dict[str, object] = {
        "windows": [declaration_of_window(window) for window in rules.windows] or None,
        "minimum_image_age_seconds": seconds_of(rules.minimum_image_age) or None,
        "approvals": rules.approvals or None,
        "approvals_expire_after_seconds": None if usual else seconds_of(rules.approval_lifetime),
    }
    return {name: value for name, value in every.items() if value is not None}


def _parse_approvals(value: object, field: str) -> int:
    return 0 if value == 0 and value is not False else parse_whole(value, field, MOST_APPROVALS)
