"""A plan in one sentence."""

from collections.abc import Sequence

from reconciler.domain.plan import ChangedFiles, Direction, Finding, ImageStep, Weight
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha
from reconciler.pipeline.planning.route import Route

NOTHING = "Deploying now would change nothing."


def verdict_of(
    route: Route,
    images: Sequence[ImageStep],
    files: ChangedFiles | None,
    findings: Sequence[Finding],
    *,
    promotes: bool = False,
) -> str:
    """Return what deploying now would do, or promoting."""
    now = f"{'Promoting' if promotes else 'Deploying'} now would"
    first = findings[0] if findings else None
    if first and first.code == ReasonCode.ALREADY_LIVE:
        return NOTHING if not promotes else f"{now} change nothing."
    if first and first.weight is Weight.REFUSES:
        return f"{now} be refused: {_ended(first.text)}"
    if first and first.weight is Weight.FAILS:
        return f"{now} fail: {_ended(first.text)}"
    told = [_commits(route), _count(sum(one.changes for one in images), "image")]
    told.append(_count(len(files.files) + files.more, "file") if files else "")
    parts = ", ".join(part for part in told if part)
    return f"{now} {_move(route)}{f': {parts}' if parts else ''}."


def _ended(text: str) -> str:
    return text if text.endswith("?") else f"{text}."


def _move(route: Route) -> str:
    match route.direction:
        case Direction.FIRST:
            what = f" {route.commit.short}" if route.commit else ""
            return f"deploy{what} for the first time"
        case Direction.SAME:
            return f"keep commit {_short(route.commit)}" if route.commit else "keep the project"
        case Direction.BACK:
            return f"go back from {_short(route.live)} to {_short(route.commit)}"
    aside = ", which does not build on it" if route.direction is Direction.REWRITTEN else ""
    return f"move {_short(route.live)} → {_short(route.commit)}{aside}"


def _short(commit: CommitSha | None) -> str:
    return commit.short if commit else "nothing"


def _commits(route: Route) -> str:
    history = route.history
    if history is None or not history.commits:
        return ""
    more = "more than " if history.more else ""
    back = " taken back" if route.direction is Direction.BACK else ""
    return more + _count(len(history.commits), "commit") + back


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if number else ""
