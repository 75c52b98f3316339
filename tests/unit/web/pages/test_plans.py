"""A plan as a page shows it: kept with its time, and stale once something is known to move."""

from dataclasses import replace
from datetime import timedelta

from reconciler.domain.deployment import Cause, Deployment, DeploymentId, Status, Trigger
from reconciler.domain.plan import (
    Difference,
    Direction,
    ExactImage,
    Finding,
    ImageFate,
    ImageStep,
    Plan,
    PlanBasis,
    Weight,
)
from reconciler.domain.project import Project
from reconciler.domain.revision import Revision
from reconciler.domain.state import ProjectState, SourceHealth, WatchedImage
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.web.pages.project.plans import KeptPlan, moved_since, view_of
from tests.parts.stores import NOW, WEB, commit, digest, project

LATER = NOW + timedelta(minutes=1)
IMAGE = "registry.example/web:1"
REVISION = Revision(commit("b"), {IMAGE: digest("2")})
LIVE = Deployment(
    DeploymentId(1),
    WEB,
    Revision(commit("a"), {IMAGE: digest("1")}),
    (Cause(Trigger.PERSON, "ann"),),
    Status.DEPLOYED,
    NOW,
)


def plan(**fields: object) -> KeptPlan:
    made = Plan(
        WEB,
        PlanBasis(LIVE.id, REVISION),
        commit("a"),
        Direction.FORWARD,
        (),
        "Deploying now would move a → b.",
        changes=True,
    )
    return KeptPlan(NOW, replace(made, **fields))  # type: ignore[arg-type]  # of a plan


def summary(
    *, tip: str = "b", at: timedelta = timedelta(0), declared: Project | None = None
) -> ProjectSummary:
    seen = SourceHealth(observed=commit(tip), observed_at=LATER + at)
    state = ProjectState(WEB, live=LIVE)
    return ProjectSummary(declared or project(), state, seen, StandingCode.IN_SYNC, "", "live")


def image(letter: str) -> WatchedImage:
    return WatchedImage(IMAGE, ("web",), digest=digest(letter), looked_at=LATER, first_seen_at=NOW)


def test_a_plan_holds_as_long_as_nothing_is_known_to_have_moved() -> None:
    assert moved_since(plan(), summary(), [image("2")]) == []
    assert moved_since(plan(), summary(tip="c"), []) == ["main moved"]
    assert moved_since(plan(), summary(), [image("3")]) == [f"{IMAGE} moved"]
    other = replace(project(), generation=2)
    assert moved_since(plan(), summary(declared=other), []) == ["it is declared otherwise"]
    assert moved_since(plan(basis=PlanBasis(None, REVISION)), summary(), []) == [
        "something else runs"
    ]


def test_a_look_from_before_the_plan_says_nothing_of_it() -> None:
    before = summary(tip="a", at=timedelta(minutes=-2))
    assert moved_since(plan(), before, [replace(image("1"), looked_at=NOW)]) == []


def test_images_say_what_they_become_how_old_and_how_large() -> None:
    before = ExactImage(IMAGE, digest("1"), size_bytes=184_000_000)
    after = ExactImage(IMAGE, digest("2"), size_bytes=186_400_000)
    steps = (
        ImageStep("web", IMAGE, ImageFate.PINNED, (), before, after),
        ImageStep("db", "postgres:16", ImageFate.LEFT, (), None, None, "stateful"),
        ImageStep("job", IMAGE, ImageFate.PINNED, (), before, before),
    )
    shown = view_of(plan(images=steps), summary(), [image("2")])
    assert shown
    web, db, job = shown.images
    assert (web.before, web.after, web.changes) == (digest("1"), digest("2"), True)
    assert (web.size, web.grows, web.first_seen_at) == ("186 MB", "+2.4 MB", NOW)
    assert (db.changes, db.stays) == (False, "stays: stateful")
    assert (job.changes, job.size, job.grows) == (False, "184 MB", "")


def test_a_difference_keeps_its_marks_out_of_the_text() -> None:
    lines = ("--- live", "+++ now", "@@ -1,2 +1,2 @@", " a: 1", "--- x", "+b: 2")
    shown = view_of(plan(difference=Difference(lines)), summary(), [])
    assert shown
    assert [(one.kind, one.text) for one in shown.lines] == [
        ("at", "@@ -1,2 +1,2 @@"),
        ("", "a: 1"),
        ("del", "-- x"),
        ("add", "b: 2"),
    ]
    assert shown.difference == "1 line added, 1 line removed"


def test_what_its_sentence_says_is_not_said_twice() -> None:
    found = (
        Finding(Weight.REFUSES, "frozen", "ann froze web", "give a reason"),
        Finding(Weight.TELLS, "migration", "a migration runs"),
    )
    verdict = "Deploying now would be refused: ann froze web."
    shown = view_of(plan(verdict=verdict, findings=found), summary(), [])
    assert shown
    assert [one.told for one in shown.findings] == ["give a reason", "a migration runs"]
