"""What promoting would bring: exactly what the environment before verified, once it may."""

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.domain.deployment import Deployment
from reconciler.domain.gate import Reason
from reconciler.domain.plan import ExactImage, Finding, ImageFate, ImageStep, Weight
from reconciler.domain.project import Project
from reconciler.domain.promoting import (
    Soak,
    approvals_missing,
    name_of_environment,
    not_verified,
    soaking,
)
from reconciler.domain.promotion import handed_on
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha
from reconciler.domain.revision import ImageDigests, Revision, changes_between
from reconciler.pipeline.promoting.advancing import proposal_of
from reconciler.pipeline.promoting.origin import Origin, read_origin, soak_of
from reconciler.ports import Clock, Store


@dataclass(frozen=True, slots=True)
class PlannedPromotion:
    """What would be promoted to a project, and what keeps it from that."""

    origin: Origin
    chosen: Deployment | None  #: None: nothing was verified there
    reasons: tuple[Reason, ...]  #: why it would be refused now
    waits: tuple[Reason, ...] = ()  #: what it would wait for

    def revision(self, project: Project) -> Revision | None:
        """Return what ``project`` would run."""
        prepared = self.chosen.prepared if self.chosen else None
        return handed_on(prepared, project.generation) if prepared else None

    def findings(self) -> Iterator[Finding]:
        """Yield what is to be said of it."""
        yield from (Finding(Weight.REFUSES, one.code, one.text) for one in self.reasons)
        yield from (Finding(Weight.TELLS, one.code, one.text) for one in self.waits)
        if self.chosen and not self.reasons:
            name = self.origin.project.name
            text = f"it takes what deployment {self.chosen.id} of {name} verified"
            yield Finding(Weight.TELLS, "promotion", f"{text} on {self.origin.name}")


def plan_promotion(
    store: Store, clock: Clock, project: Project, commit: CommitSha | None
) -> PlannedPromotion | None:
    """Return what promoting ``commit``, or what is live before, would be; None: it follows none."""
    if project.promoted_from is None:
        return None
    origin = read_origin(store, project.promoted_from)
    chosen = origin.find_verified(commit) if commit else origin.state.live
    if chosen is None or chosen.prepared is None:
        what = commit.short if commit else "nothing"
        text = (
            f"{what} is{' not' if commit else ''} verified on {name_of_environment(origin.project)}"
        )
        reason = Reason(ReasonCode.NOT_VERIFIED_UPSTREAM, f"{text} yet")
        return PlannedPromotion(origin, None, (reason,))
    now = clock.now()
    soak = soak_of(store, origin, chosen, project, now)
    missing = approvals_missing(proposal_of(project, chosen, now), project)
    waits = (missing,) if missing else ()
    return PlannedPromotion(origin, chosen, tuple(_reasons(origin, chosen, soak)), waits)


def steps_between(before: ImageDigests, after: ImageDigests) -> tuple[ImageStep, ...]:
    """Return what becomes of each image, where nothing foresees what a target makes of them."""
    return tuple(
        ImageStep(
            one.image,
            one.image,
            ImageFate.PINNED if one.after else ImageFate.GONE,
            (),
            ExactImage(one.image, one.before) if one.before else None,
            ExactImage(one.image, one.after) if one.after else None,
            "handed on" if one.after else "",
        )
        for one in changes_between(before, after)
    )


def _reasons(origin: Origin, chosen: Deployment, soak: Soak) -> Iterator[Reason]:
    if trouble := origin.trouble_with(chosen):
        yield not_verified(origin.name, chosen, trouble)
    elif not soak.over:
        yield soaking(origin.name, chosen, soak)
