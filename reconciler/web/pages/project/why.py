"""Why a project stands where it does, as its page shows it: from recorded facts alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.reason_codes import ReasonCode, ReasonKind
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.pipeline.reasons import ExplainedReason
from reconciler.web.pages.project.reason_looks import Act, act_of, look_of
from reconciler.web.pages.sentences import counted, sentence
from reconciler.web.pages.words import GROUP_OF, OF_STANDING, Badge, Group

#: What says that all is as it was at the last look: it is folded.
_PLAIN = frozenset(
    {
        ReasonCode.SOURCE_OBSERVED,
        ReasonCode.IMAGE_OBSERVED,
        ReasonCode.IMAGE_STATEFUL,
        ReasonCode.IMAGE_LABELLED,
        ReasonCode.IMAGE_EXACT,
    }
)
#: Shown as times of the looks.
_LOOKS = frozenset({ReasonCode.NEXT_LOOK, ReasonCode.NEXT_IMAGE_LOOK})
#: Evidence that is the number of a deployment.
_NUMBERS = ("deployment", "behind", "back_to")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_WHO_ACTS: Mapping[StandingCode, str] = {
    StandingCode.DEPLOYING: "Nobody has to do anything.",
    StandingCode.QUEUED: "It starts by itself; nobody has to do anything.",
    StandingCode.NEEDS_APPROVAL: "A person has to agree to it.",
    StandingCode.FAILED: "A person has to decide: mend it, try again, or go back.",
    StandingCode.UNKNOWN: "A person has to look at the host.",
    StandingCode.DRIFTED: "A person has to decide: put it back, or deploy what it should be.",
    StandingCode.QUARANTINED: "A newer commit deploys by itself; else a person lifts it.",
    StandingCode.BRANCH_GONE: "A person has to push the branch, or have another one followed.",
    StandingCode.OFF: "What moves is shown here, and deployed when a person says so.",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was seen."""

    name: str  #: in words
    value: str
    at: datetime | None = None  #: what the value is, where it is a time


@dataclass(frozen=True, slots=True)
class Told:
    """One fact that explains."""

    code: str
    text: str  #: what stands in `backticks` is code
    at: datetime | None
    icon: str
    colour: str
    evidence: Sequence[Evidence]
    deployments: Sequence[str]  #: that it speaks of
    act: Act | None  #: what helps, where the page has it
    key: str  #: another one for each fact, and the same for the same


@dataclass(frozen=True, slots=True)
class Why:
    """The answer to 'why?'."""

    badge: Badge
    verdict: str
    who_acts: str
    blockers: Sequence[Told]
    led_here: Sequence[Told]  #: newest first
    seen: Sequence[Told]
    passed: Sequence[str]  #: names of the checks that found nothing
    next_look: datetime | None


def why_of(summary: ProjectSummary, reasons: Sequence[ExplainedReason]) -> Why:
    """Return the answer for a project of which ``reasons`` are recorded."""
    project = summary.project
    stops = [one for one in reasons if one.kind is ReasonKind.STOPS]
    # Where there is nothing to deploy, the verdict says all there is.
    blockers = stops if project.kind.deployable else []
    others = [one for one in reasons if one.kind is not ReasonKind.STOPS and one.code not in _LOOKS]
    passed = passed_checks(summary, reasons)
    looks = [one.at for one in reasons if one.code in _LOOKS and one.at]
    return Why(
        OF_STANDING[summary.standing],
        sentence(summary.text, _names(project)),
        f"{_who_acts(summary, blockers)} {_how_much(len(blockers), len(passed))}".strip(),
        [_told(project, one) for one in blockers],
        [
            _told(project, one)
            for one in sorted(others, key=_order, reverse=True)
            if one.code not in _PLAIN
        ],
        [_told(project, one) for one in others if one.code in _PLAIN],
        passed,
        min(looks, default=None),
    )


def _order(one: ExplainedReason) -> tuple[bool, datetime]:
    return one.kind is ReasonKind.UNDER_WAY, one.at or _LONG_AGO


def _who_acts(summary: ProjectSummary, blockers: Sequence[ExplainedReason]) -> str:
    if said := _WHO_ACTS.get(summary.standing):
        return said
    if GROUP_OF[summary.standing] is Group.NEEDS_YOU:
        return "A person has to look at it."
    if any(one.needs_person for one in blockers):
        return "It goes on when a person has seen to what stands below."
    return "Nobody has to do anything."


def _how_much(blockers: int, passed: int) -> str:
    if not passed:
        return ""
    checks = f"{counted(passed, 'check')} passed"
    if not blockers:
        return f"{checks}."
    things = "One thing stands" if blockers == 1 else f"{blockers} things stand"
    return f"{things} in its way; {checks}."


def _names(project: Project) -> list[str]:
    """Return names that a sentence may begin with."""
    return [project.name, str(project.followed_branch or ""), str(project.image or "")]


def _told(project: Project, one: ExplainedReason) -> Told:
    look = look_of(one)
    return Told(
        one.code,
        sentence(one.text, (*_names(project), *one.evidence.values())),
        one.at,
        look.icon,
        look.colour,
        [_shown(name, value) for name, value in one.evidence.items()],
        [one.evidence[name] for name in _NUMBERS if one.evidence.get(name, "").isdecimal()],
        act_of(project.name, one),
        "-".join((one.code, *(one.evidence.get(name, "") for name in ("image", "host", "times")))),
    )


def _shown(name: str, value: str) -> Evidence:
    words = name if "/" in name or ":" in name else name.replace("_", " ")
    try:
        at = datetime.fromisoformat(value) if "T" in value else None
    except ValueError:
        at = None
    return Evidence(words, value, at if at and at.tzinfo else None)


# ── What was looked at, and found nothing ─────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Check:
    passed: str  #: what is so where it found nothing
    codes: frozenset[ReasonCode]  #: with which it would have said what it found
    applies: Callable[[ProjectSummary], bool] = lambda _: True


_CHECKS = (
    _Check("switch on", frozenset({ReasonCode.MASTER_SWITCH_OFF, ReasonCode.EMERGENCY_FILE})),
    _Check(
        "auto-deploy on",
        frozenset({ReasonCode.AUTO_DEPLOY_OFF}),
        lambda one: one.project.auto_deploy,
    ),
    _Check("not paused", frozenset({ReasonCode.FROZEN})),
    _Check("has somewhere to run", frozenset({ReasonCode.TARGET_MISSING})),
    _Check(
        "service and port set",
        frozenset({ReasonCode.EXPOSE_MISSING}),
        lambda one: one.project.kind is ProjectKind.COMPOSE,
    ),
    _Check(
        "window open",
        frozenset({ReasonCode.WINDOW_CLOSED}),
        lambda one: bool(one.project.rules.windows),
    ),
    _Check("not quarantined", frozenset({ReasonCode.QUARANTINED})),
    _Check(
        "no host in trouble",
        frozenset(
            {
                ReasonCode.TARGET_UNREACHABLE,
                ReasonCode.HOST_REFUSED,
                ReasonCode.HOST_KEY_CHANGED,
                ReasonCode.HOST_KEY_UNCONFIRMED,
                ReasonCode.HOST_PINNED,
            }
        ),
    ),
    _Check(
        "source answers",
        frozenset(code for code in ReasonCode if code.startswith("source-"))
        - {ReasonCode.SOURCE_OBSERVED}
        | {ReasonCode.BRANCH_GONE},
        lambda one: one.health.error is None and one.health.observed_at is not None,
    ),
    _Check(
        "images old enough",
        frozenset({ReasonCode.IMAGE_TOO_YOUNG}),
        lambda one: bool(one.project.rules.minimum_image_age),
    ),
    _Check(
        "registries answer",
        frozenset(
            {ReasonCode.REGISTRY_COOLED, ReasonCode.REGISTRY_UNREACHABLE, ReasonCode.LOOKUP_FAILED}
        ),
        lambda one: bool(one.state.tracked_images),
    ),
    _Check(
        "nobody has to agree",
        frozenset({ReasonCode.APPROVAL_MISSING, ReasonCode.APPROVAL_EXPIRED}),
        lambda one: one.project.promoted_from is not None,
    ),
    _Check(
        "soaked long enough",
        frozenset({ReasonCode.SOAKING, ReasonCode.NOT_VERIFIED_UPSTREAM}),
        lambda one: one.project.promoted_from is not None,
    ),
    _Check(
        "concerns it",
        frozenset({ReasonCode.PATH_UNTOUCHED, ReasonCode.SKIP_MARKER}),
        lambda one: bool(one.project.watch_paths) or one.project.skip_markers,
    ),
)


def passed_checks(summary: ProjectSummary, reasons: Sequence[ExplainedReason]) -> Sequence[str]:
    """Return what was looked at and stands in nobody's way."""
    if not summary.project.kind.deployable:
        return ()
    found = {one.code for one in reasons}
    return [
        check.passed for check in _CHECKS if check.applies(summary) and not (found & check.codes)
    ]
