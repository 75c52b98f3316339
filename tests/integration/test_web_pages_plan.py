"""A whole plan on a project's page in a real browser: images, commits, and what differs.

What a plan is made of has tests of its own; this one is given to the page as if just worked out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Route, expect

from reconciler.domain.access import AccessToken, Scope
from reconciler.domain.history import CommitInfo, History
from reconciler.domain.plan import (
    ChangedFile,
    ChangedFiles,
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
from reconciler.domain.revision import Revision
from reconciler.store.sql_store import SqlStore
from reconciler.web.asgi import create_web
from reconciler.web.auth import make_token
from reconciler.web.pages.project.plans import KeptPlan
from tests.parts.in_process import HOST, Asked, ask
from tests.parts.made_up import commit_of, digest_of
from tests.parts.pages import DESK, PHONE, check_manners
from tests.parts.showing import Shown
from tests.parts.web_daemon import open_application

pytestmark = pytest.mark.needs_browser

NAME = "blog"
WEB, CACHE = f"registry.example/{NAME}/web:2", "docker.io/library/redis:7"
HOSTILE = f"<script>document.title='t44'</script>\u202e{'W' * 253}"
DIFFERENCE = (
    *("--- live", "+++ now", "@@ -3,4 +3,4 @@", " services:", "   worker:"),
    *('-    WORKER_THREADS: "2"', '+    WORKER_THREADS: "4"', f"+    {HOSTILE}: x"),
)


@dataclass(frozen=True)
class Site:
    """The application in this process, which a browser asks without a socket."""

    app: FastAPI
    token: str

    def serve(self, route: Route) -> None:
        """Answer a request of the browser's."""
        address = route.request.url.partition(HOST)[2]
        if "/events" in address:  # never ends
            route.abort()
            return
        headers = {"host": HOST, "authorization": f"Bearer {self.token}"}
        (answer,) = ask(self.app, Asked("GET", address, headers))
        route.fulfill(status=answer.status, headers=dict(answer.headers), body=answer.body)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    application = open_application(tmp_path)
    assert isinstance(application.store, SqlStore)
    shown = Shown(application.store)
    project = shown.declare(NAME)
    live = shown.deploy(project, 1, shown.ago(days=1))
    shown.see(project, 2)
    app = create_web(application)
    app.state.kept_plans.keep(project.name, KeptPlan(shown.now, _plan(shown, live.id)))
    token = AccessToken("ann", frozenset({Scope.READ, Scope.TRIGGER}), None, shown.now)
    yield Site(app, make_token(application.store, token))
    application.close()


def _plan(shown: Shown, live: int) -> Plan:
    before = ExactImage(WEB, digest_of(WEB, 1), size_bytes=184_000_000)
    after = ExactImage(WEB, digest_of(WEB, 2), False, 186_000_000, shown.ago(minutes=29))
    said = ("Remember the last address", HOSTILE)
    commits = tuple(
        CommitInfo(commit_of(NAME, 2 + at), text, "jonas", shown.ago(minutes=31))
        for at, text in enumerate(said)
    )
    return Plan(
        shown.store.list_projects()[0].name,
        PlanBasis(live, Revision(commit_of(NAME, 2), {WEB: digest_of(WEB, 2)})),  # type: ignore[arg-type]  # a number
        commit_of(NAME, 1),
        Direction.FORWARD,
        (),
        "Deploying now would move a → b: 2 commits, 1 image.",
        changes=True,
        history=History(commits, base_found=True, more=False),
        images=(
            ImageStep("web", WEB, ImageFate.PINNED, (), before, after),
            ImageStep("cache", CACHE, ImageFate.LEFT, (), None, None, "stateful"),
        ),
        files=ChangedFiles((ChangedFile("compose.yaml", "changed"),)),
        difference=Difference(DIFFERENCE),
        findings=(Finding(Weight.TELLS, "migration", "the migration `migrate up` runs first"),),
    )


@pytest.mark.parametrize("dark", [False, True], ids=["desk-light", "phone-dark"])
def test_f4_a_plan_shows_what_would_change_and_ends_with_its_button(
    chromium: Browser, site: Site, *, dark: bool
) -> None:
    """F4: images old → new with size and age, commits between, the compose file's difference."""
    page = chromium.new_page(
        viewport={"width": PHONE if dark else DESK, "height": 900},
        color_scheme="dark" if dark else "light",
    )
    page.route("**/*", lambda route: site.serve(route))  # noqa: PLW0108  it notes things at it
    page.goto(f"http://{HOST}/projects/{NAME}")
    plan = page.locator("#plan")
    web, cache = plan.locator("tbody tr").all()
    expect(web).to_contain_text(digest_of(WEB, 1).text[7:19])
    expect(web).to_contain_text(digest_of(WEB, 2).text[7:19])
    expect(web).to_contain_text("186 MB +2.0 MB")
    expect(cache).to_contain_text("stays: stateful")
    expect(plan.locator("summary")).to_have_text("1 file differs")
    expect(plan.locator(".runs").first).to_contain_text("Remember the last address")
    expect(plan.locator(".diff .add").first).to_have_text('    WORKER_THREADS: "4"')
    expect(plan.locator(".found")).to_contain_text("The migration migrate up runs first.")
    button = plan.get_by_role("link", name=f"Deploy {commit_of(NAME, 2).short} now…")
    expect(button).to_have_attribute("href", f"/projects/{NAME}/deploy")
    other = plan.get_by_role("link", name=f"Deploy {commit_of(NAME, 3).short}…")
    expect(other).to_have_attribute("href", f"/projects/{NAME}/deploy?commit={commit_of(NAME, 3)}")
    expect(plan.get_by_role("link", name="Another commit…")).to_be_visible()
    check_manners(page, f"project-plan-{'dark-phone' if dark else 'light-desk'}")
    expect(page).not_to_have_title("t44")
    page.close()
