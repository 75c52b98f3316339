"""What deploying now would change, as a page shows it.

A plan asks the source and the registries, so a page that is merely read makes none: the newest one
that somebody asked for is kept, with its time, and says when something moved since.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.app import Application
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.failure import Failure
from reconciler.domain.plan import Direction, ImageFate, ImageStep, Plan, Weight
from reconciler.domain.references import Digest, ProjectName
from reconciler.domain.state import WatchedImage
from reconciler.pipeline.explain import ProjectSummary
from reconciler.web.pages import moments
from reconciler.web.pages.sentences import counted

_MOST_KEPT = 100


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """What came of asking for a plan."""

    made_at: datetime
    plan: Plan | None = None
    error: Failure | None = None  #: why there is none


@dataclass(frozen=True, slots=True)
class KeptPlans:
    """The newest plan of each project. To be used from any thread."""

    _kept: OrderedDict[ProjectName, KeptPlan] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def work_out(self, application: Application, name: ProjectName) -> None:
        """Make a plan; that it could not be made is kept, too."""
        now = application.clock.now
        try:
            made = KeptPlan(now(), application.plans.plan(name))
        except ReconcilerError as error:
            made = KeptPlan(now(), error=Failure.of(error, name))
        self.keep(name, made)

    def keep(self, name: ProjectName, made: KeptPlan) -> None:
        """Keep it in the place of the one before; of the others the newest ones stay."""
        with self._lock:
            self._kept.pop(name, None)
            self._kept[name] = made
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)

    def find(self, name: ProjectName) -> KeptPlan | None:
        """Return the newest one."""
        with self._lock:
            return self._kept.get(name)


def moved_since(
    kept: KeptPlan, summary: ProjectSummary, images: Sequence[WatchedImage]
) -> Sequence[str]:
    """Return what is known to be otherwise by now than when the plan was made."""
    plan, project, state = kept.plan, summary.project, summary.state
    if plan is None:
        return ()
    wanted, seen = plan.basis.revision, summary.health
    moved = []
    if (state.live.id if state.live else None) != plan.basis.live:
        moved.append("something else runs")
    if project.generation != wanted.generation:
        moved.append("it is declared otherwise")
    looked = seen.observed_at is not None and seen.observed_at > kept.made_at
    if looked and project.follows_its_source and seen.observed not in {None, wanted.commit}:
        moved.append(f"{project.followed_branch} moved")
    moved += [
        f"{one.image} moved"
        for one in images
        if one.looked_at
        and one.looked_at > kept.made_at
        and one.digest != wanted.images.get(one.image, one.digest)
    ]
    return moved


# ── Its images ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ImageRow:
    """What becomes of one service's image."""

    service: str
    name: str  #: the image that it would run
    before: Digest | None
    after: Digest | None
    changes: bool
    stays: str  #: why it stays, or what is to be said of it
    created_at: datetime | None
    first_seen_at: datetime | None  #: where its registry does not say when it was made
    size: str
    grows: str  #: by how much, e.g. ``+2 MB``


def image_rows(plan: Plan, images: Sequence[WatchedImage]) -> Iterator[ImageRow]:
    """Yield the images of a plan, with what is known of each."""
    seen = {(one.image, one.digest): one.first_seen_at for one in images if one.digest}
    for step in plan.images:
        shown = step.after if step.changes else step.before or step.after
        yield ImageRow(
            step.service,
            step.name,
            step.before.digest if step.before else None,
            step.after.digest if step.after else None,
            step.changes,
            _note(step),
            shown.created_at if shown else None,
            seen.get((shown.name, shown.digest)) if shown else None,
            moments.size(shown.size_bytes) if shown and shown.size_bytes is not None else "",
            _growth(step),
        )


def _note(step: ImageStep) -> str:
    if step.fate is ImageFate.LEFT:
        return f"stays: {step.note}" if step.note else "stays: stateful"
    return step.note


def _growth(step: ImageStep) -> str:
    before, after = step.before, step.after
    if not (before and after and step.changes):
        return ""
    if before.size_bytes is None or after.size_bytes is None:
        return ""
    more = after.size_bytes - before.size_bytes
    if abs(more) < 1_000_000:
        return "±0"
    return f"{'+' if more > 0 else '−'}{moments.size(abs(more))}"


# ── Its difference ────────────────────────────────────────────────────────────────────────────

_OF_MARK = {"+": "add", "-": "del", "@": "at"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a difference; its mark is for the stylesheet to show."""

    text: str
    kind: str  #: ``add``, ``del``, ``at``, or empty


def lines_of(difference: Sequence[str]) -> Iterator[Line]:
    """Yield the lines of a unified difference without its head."""
    for text in difference[2:]:
        kind = _OF_MARK.get(text[:1], "")
        yield Line(text if kind == "at" else text[1:], kind)


def in_words(lines: Sequence[Line]) -> str:
    """Return how much differs."""
    added = sum(one.kind == "add" for one in lines)
    removed = sum(one.kind == "del" for one in lines)
    return f"{counted(added, 'line')} added, {counted(removed, 'line')} removed"


# ── All of it ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Point:
    """What would stop it, or would happen besides, with what helps."""

    weight: Weight
    code: str
    told: str


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan as it is shown."""

    plan: Plan
    made_at: datetime
    moved: Sequence[str]  #: what is otherwise by now
    images: Sequence[ImageRow]
    lines: Sequence[Line]
    difference: str  #: how much that is, in words

    @property
    def goes_back(self) -> bool:
        """Whether the commits between are taken back."""
        return self.plan.direction is Direction.BACK

    @property
    def files(self) -> str:
        """How many files differ, in words; empty: none, or nobody knows."""
        files = self.plan.files
        number = len(files.files) + files.more if files else 0
        return counted(number, "file differs", "files differ") if number else ""

    @property
    def findings(self) -> Sequence[Point]:
        """What its sentence does not say yet."""
        found = []
        for one in self.plan.findings:
            text = "" if one.text in self.plan.verdict else one.text
            if told := "; ".join(part for part in (text, one.remedy) if part):
                found.append(Point(one.weight, one.code, told))
        return found


def view_of(
    kept: KeptPlan, summary: ProjectSummary, images: Sequence[WatchedImage]
) -> PlanView | None:
    """Return the plan as it is shown; None: it could not be made."""
    if kept.plan is None:
        return None
    lines = list(lines_of(kept.plan.difference.lines))
    return PlanView(
        kept.plan,
        kept.made_at,
        moved_since(kept, summary, images),
        list(image_rows(kept.plan, images)),
        lines,
        in_words(lines),
    )
