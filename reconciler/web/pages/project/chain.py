"""The environments of an app side by side, as the page of each of them shows them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from reconciler.domain.deployment import Deployment
from reconciler.domain.promoting import Soak, approvals_missing
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import ProjectName
from reconciler.pipeline.explain import ProjectSummary
from reconciler.pipeline.promoting.environments import Chain, Place
from reconciler.web.pages.words import OF_STANDING, Badge

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SoakMeter:
    """How far something is in the time that it has to stand."""

    stood: int
    needed: int
    unit: str  #: ``min`` or ``s``


@dataclass(frozen=True, slots=True)
class NextStep:
    """What a person can do to bring the next revision to an environment."""

    verb: str  #: ``promote`` or ``approve``; also the page's name
    words: str


@dataclass(frozen=True, slots=True)
class Box:
    """One environment."""

    place: Place
    badge: Badge
    is_this: bool  #: whether it is the one whose page it is
    comes_from_left: bool  #: whether what it gets is in the box before it
    checks: Sequence[str]  #: that what runs passed
    soak: SoakMeter | None  #: of what runs here, and goes on to the next
    next_step: NextStep | None

    @property
    def live(self) -> Deployment | None:
        """What runs."""
        return self.place.live


def boxes_of(chain: Chain, summaries: Mapping[str, ProjectSummary], this: str) -> Sequence[Box]:
    """Return the environments that are among the ``summaries``, the first one first."""
    places = [one for one in chain.places if one.project.name in summaries]
    befores = [None, *(one.project.name for one in places)]
    return [
        Box(
            place,
            OF_STANDING[summaries[place.project.name].standing],
            place.project.name == this,
            before is not None and place.project.promoted_from == before,
            list(passed_checks(place.live)) if place.live else [],
            _soak_of(place.project.name, places),
            _next_step(place),
        )
        for before, place in zip(befores, places, strict=False)
    ]


def _soak_of(name: ProjectName, places: Sequence[Place]) -> SoakMeter | None:
    """Return the soak that what runs in ``name`` has before it, where it goes on."""
    soaks = [one.soak for one in places if one.project.promoted_from == name and one.candidate]
    longest = max(
        (one for one in soaks if one and one.needed), key=lambda one: one.needed, default=None
    )
    return meter_of(longest) if longest else None


def meter_of(soak: Soak) -> SoakMeter:
    """Return it in a unit that people read."""
    unit, name = (_MINUTE, "min") if soak.needed >= 2 * _MINUTE else (_MINUTE / 60, "s")
    return SoakMeter(min(soak.stood, soak.needed) // unit, soak.needed // unit, name)


def _next_step(place: Place) -> NextStep | None:
    prospect = place.prospect
    if prospect is None or prospect.is_under_way:
        return None
    for one in prospect.waiting:
        if approvals_missing(one, place.project):
            what = one.revision.commit.short if one.revision.commit else str(one.revision)
            return NextStep("approve", f"Approve {what}…")
    candidate = place.candidate
    if candidate is None:
        return None
    commit = candidate.target_revision.commit
    what = commit.short if commit else f"#{candidate.id}"
    codes = {one.code for one in place.reasons}
    early = next((words for code, words in _EARLY.items() if code in codes), "")
    return NextStep("promote", f"Promote {what}{early}…")


_EARLY = {
    ReasonCode.FROZEN: " in spite of the pause",
    ReasonCode.WINDOW_CLOSED: " before the window",
    ReasonCode.SOAKING: " before its time",
}


def passed_checks(deployment: Deployment) -> Iterator[str]:
    """Yield the checks that it was verified by, as they were read back on its hosts."""
    last: dict[str, Mapping[str, object]] = {}
    for target in deployment.targets:
        for kind in ("probes", "versions"):
            answers = (target.evidence or {}).get(kind)
            for one in answers if isinstance(answers, list) else ():
                last[str(one.get("check"))] = one
    for name, one in last.items():
        if not one.get("problem"):
            told = str(one.get("told") or "")
            yield f"{name} {told[:8]}" if name == "version" and told else name
