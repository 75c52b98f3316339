"""A project's page in a real browser: why, environments, plan, what became of it, its images."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from reconciler.domain.deployment import Status, Trigger
from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.state import RegistryTrouble, SourceHealth, WatchedImage
from reconciler.ports import PollResult
from tests.parts.git_repository import Repository
from tests.parts.made_up import commit_of
from tests.parts.pages import DESK, PHONE, check_manners, make_person, overflow, signed_in
from tests.parts.showing import Shown, opened
from tests.parts.shown import show_every_state
from tests.parts.web_client import WebDaemon, ok

pytestmark = [pytest.mark.needs_browser, pytest.mark.needs_git]

#: What strangers write where a page shows it.
HOSTILE = f"<script>document.title='t44'</script> \u202e\x1b[31m {'W' * 253} `<b>`"
FOLDED = 52  #: deployments of which each took the place of the one before; more than fit a page


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("project")) as running:
        make_person(running)
        make_person(running, "vic", role="viewer")
        show_every_state(running)
        with opened(running) as store:
            shown = Shown(store)
            _show_hostile(shown)
            _show_many_deployments(shown)
        body = {"name": "shop", "kind": "compose", "repository": "shop", "create_repository": True}
        ok(running.local.post("/api/v1/projects", json=body))
        yield running


def _show_hostile(shown: Shown) -> None:
    """Show a project of which strangers wrote all that can be written."""
    project = shown.declare("hostile")
    good = shown.deploy(project, 1, shown.ago(days=2))
    error = Failure("not-healthy", HOSTILE, Recovery.STALL, HOSTILE, {"said": HOSTILE})
    at = shown.ago(minutes=9)
    claim = shown.begin(project, 2, at, Trigger.WEBHOOK)
    shown.fail(claim, at, error, status=Status.ROLLED_BACK, back_to=good)
    shown.see(project, 2, error=error, failures=3)
    because = "variable TAG is not set"
    images = [
        WatchedImage("registry.example/${TAG}" + HOSTILE, ("web",), because),
        WatchedImage("cooled.example/app:1", ("app",), looked_at=shown.now),
        WatchedImage("registry.example/lost:1", ("lost",), looked_at=shown.now, error=error),
        WatchedImage("docker.io/library/postgres:16", ("db",), "its service is stateful"),
        WatchedImage("docker.io/library/nginx:1", ("edge",), "its label wud.watch is false"),
        WatchedImage("registry.example/tags:1", ("tags",), note=f"wud.tag.include {HOSTILE}"),
    ]
    shown.store.put_images(project.name, "t44", images)
    cooled = ReasonCode.REGISTRY_COOLED
    trouble = RegistryTrouble("cooled.example", cooled, HOSTILE, shown.now, shown.ago(days=-1))
    shown.store.put_registry_trouble(trouble)


def _show_many_deployments(shown: Shown) -> None:
    busy = shown.declare("busy")
    shown.deploy(busy, 1, shown.ago(days=1))
    for version in range(2, FOLDED + 2):
        shown.ask(busy, version, shown.now - timedelta(minutes=FOLDED - version))


def codes_of(page: Page, title: str) -> list[str]:
    part = page.locator("#why ol").nth(0 if title == "in its way" else 1)
    return part.locator(".reason > div > .reason-meta > .code").all_inner_texts()


def test_why_is_told_first_and_as_the_api_tells_it(chromium: Browser, daemon: WebDaemon) -> None:
    told = ok(daemon.local.get("/api/v1/projects/portal-production/why"))
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/portal-production")
        expect(page.locator("#head .st")).to_have_text("Held")
        why = page.locator("#why")
        expect(why.locator(".verdict")).to_contain_text("no deploy window of portal-production")
        stops = [one["code"] for one in told["reasons"] if one["kind"] == "stops"]
        assert codes_of(page, "in its way") == stops
        expect(why.locator(".verdict .sub")).to_contain_text(
            f"{len(stops)} things stand in its way"
        )
        passed = why.get_by_text("checks passed: switch on, auto-deploy on")
        passed.click()
        expect(why.get_by_text("nobody has to agree")).to_be_visible()
        window = why.locator(".reason", has_text="window-closed")
        expect(window.get_by_text("windows", exact=True)).to_be_hidden()
        window.get_by_text("Evidence").click()
        expect(window.get_by_text("windows", exact=True)).to_be_visible()
        live = why.locator(".reason", has_text="live")
        number = ok(daemon.local.get("/api/v1/projects/portal-production"))["live"]["deployment"]
        expect(live.get_by_role("link", name=f"#{number}")).to_have_attribute(
            "href", f"/deployments/{number}"
        )


def test_the_environments_go_from_left_to_right(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/portal-production")
        boxes = page.locator("#environments .env")
        expect(boxes.locator("h3")).to_have_text(["test", "production"])
        expect(boxes.locator(".st")).to_have_text(["In sync", "Held"])
        promote = boxes.nth(1).get_by_role("link", name="before the window…")
        expect(promote).to_have_attribute("href", "/projects/portal-production/promote")
        boxes.nth(0).get_by_role("link", name="test").click()
        expect(page.locator("h1")).to_have_text("portal-test")
        ada.open("/projects/blog")
        expect(page.locator("#environments")).to_have_count(0)


def test_its_panels_follow_what_happens(chromium: Browser, daemon: WebDaemon) -> None:
    freeze = "/api/v1/projects/home-dashboard/freeze"
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/home-dashboard")
        expect(page.locator("#source .st")).to_have_text("No answer")
        passed = page.locator('#why details[data-k="passed"]')
        passed.locator("summary").click()
        page.locator("h1").click()  # a part that holds the focus waits for its end
        ok(daemon.local.put(freeze, json={"reason": "hands off"}))
        expect(page.locator("#why")).to_contain_text("froze home-dashboard: hands off")
        expect(page.locator("#head").get_by_role("link", name="Resume…")).to_be_visible()
        expect(passed).to_have_attribute("open", "")
        # Only times are told anew by the script: a panel that was would lose all its markup.
        expect(page.locator("#why time[data-exact]").first).to_be_attached()
        expect(page.locator("[data-part][data-exact]")).to_have_count(0)
        ok(daemon.local.delete(freeze))
        expect(page.locator("#head").get_by_role("link", name="Pause…")).to_be_visible()


def test_a_part_waits_for_a_selection_or_a_press_alone(
    chromium: Browser, daemon: WebDaemon
) -> None:
    """And of a project that is removed it is said: what stands there is from before."""
    ok(daemon.local.post("/api/v1/projects", json={"name": "passing", "kind": "domain_only"}))
    freeze = "/api/v1/projects/home-dashboard/freeze"
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/home-dashboard")
        resume = page.locator("#head").get_by_role("link", name="Resume…")
        page.evaluate("() => getSelection().selectAllChildren(document.querySelector('h1'))")
        ok(daemon.local.put(freeze, json={"reason": "hands off"}))
        expect(page.locator("#why")).to_contain_text("froze home-dashboard: hands off")
        expect(resume).to_have_count(0)
        page.evaluate("() => getSelection().removeAllRanges()")
        expect(resume).to_be_visible()
        page.locator("h1").hover()
        page.mouse.down()
        ok(daemon.local.delete(freeze))
        expect(page.locator("#why")).not_to_contain_text("froze home-dashboard")
        expect(resume).to_be_visible()
        page.mouse.up()
        expect(resume).to_have_count(0)
        page.mouse.down(button="right")
        ok(daemon.local.put(freeze, json={"reason": "hands off"}))
        expect(resume).to_be_visible()  # the menu has the rest of that press
        ok(daemon.local.delete(freeze))
        title = ada.open("/projects/passing").title()
        assert daemon.local.delete("/api/v1/projects/passing").is_success
        expect(page.get_by_text("passing was removed.")).to_be_visible()
        assert page.title() == title


def test_f4_the_plan_is_kept_with_its_time_until_something_moves(
    chromium: Browser, daemon: WebDaemon
) -> None:
    """F4: it is worked out when somebody asks, and says when it is none any more."""
    kept = Repository(daemon.folder / "data" / "repositories" / "shop.git")
    kept.commit({"compose.yaml": "services: {web: {image: [}"})
    # Without a script all of it works, too.
    with signed_in(chromium, daemon, script=False) as ada:
        page = ada.page
        page.goto("/projects/shop")
        plan = page.locator("#plan")
        plan.get_by_role("link", name="Work out the plan").click()
        expect(page).to_have_url(f"{daemon.url}/projects/shop#plan")
        expect(plan).to_contain_text("Deploying now would be refused")
        expect(plan).to_contain_text("worked out")
        expect(plan.locator(".found .code")).to_have_text(["invalid-compose-file"])
        expect(plan.get_by_role("link", name="now…")).to_have_count(0)
        page.goto("/projects/shop")
        expect(plan).to_contain_text("Deploying now would be refused")
        tip = CommitSha(kept.commit({"compose.yaml": "services: {web: {image: nginx}}"}))
        with opened(daemon) as store:
            shown = Shown(store)
            shown.see(store.get_project(ProjectName("shop")), 1)
            seen = SourceHealth(looked_at=shown.now, observed=tip, observed_at=shown.now)
            store.record_polls([PollResult(ProjectName("shop"), seen)])
        page.reload()
        expect(plan).to_contain_text("This is not the plan any more: main moved")


def test_a_plan_that_cannot_be_made_says_why(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/blog")
        plan = page.locator("#plan")
        expect(plan).to_contain_text("would change nothing, as far as the last look saw")
        plan.get_by_role("link", name="Work out the plan").click()
        expect(plan.get_by_role("alert")).to_contain_text("It could not be worked out.")
        expect(plan.get_by_role("alert")).to_contain_text("source-unreachable")


def test_a_commit_is_copied_whole_and_times_are_told_in_full_when_touched(
    chromium: Browser, daemon: WebDaemon
) -> None:
    whole = commit_of("busy", 1).text
    with signed_in(chromium, daemon) as ada:
        ada.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = ada.open("/projects/busy")
        copy = page.locator("#head").get_by_role("button", name="Copy the whole commit id")
        copy.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#head .copy")).to_have_text("Copied")
        expect(page.locator("#announce")).to_have_text("Copied")
        # As it is where the daemon is reached over plain HTTP.
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        page.reload()
        copy.click()
        expect(page.locator("#head .copy")).to_have_text("Selected")
        assert page.evaluate("() => getSelection().toString()") == whole
        verified = page.locator("#head time").first
        expect(verified).to_contain_text(" ago")
        verified.click()
        expect(verified).not_to_contain_text("ago")
        verified.click()
        expect(verified).to_contain_text(" ago")


def test_the_history_is_told_by_day_and_narrowed_down(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/busy")
        expect(page.locator("#tabs")).to_contain_text(f"History {FOLDED + 1}")
        expect(page.locator("#lately .tl-item")).to_have_count(5)
        page.get_by_role("link", name=f"All {FOLDED + 1} deployments").click()
        items = page.locator("#history .tl-item")
        expect(items).to_have_count(50)
        expect(items.nth(1)).to_contain_text("came before it began")
        page.get_by_role("link", name="Older").click()
        expect(items).to_have_count(FOLDED + 1 - 50)
        page.get_by_role("link", name="Newest").click()
        expect(items).to_have_count(50)
        outcome = page.get_by_role("navigation", name="Outcome")
        outcome.get_by_role("link", name="Verified").click()
        expect(items).to_have_count(1)
        expect(items.locator("strong")).to_have_text("Verified")
        again = items.get_by_role("link", name="Deploy ")
        expect(again).to_have_attribute(
            "href", f"/projects/busy/deploy?commit={commit_of('busy', 1)}"
        )
        page.get_by_label("What noticed it").select_option(label="a person")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("heading", name="No such deployment")).to_be_visible()
        page.get_by_role("link", name="Show all").click()
        expect(items).to_have_count(50)
        ada.open("/projects/sandbox/history")
        expect(page.get_by_role("heading", name="Nothing was deployed yet")).to_be_visible()


def test_a10_an_image_says_whether_it_is_watched_and_why_not(
    chromium: Browser, daemon: WebDaemon
) -> None:
    """A10, A13: with what runs, what was seen behind its tag, and what stands in the way."""
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/hostile/images")
        rows = page.locator("#images tbody tr")
        states = ["Not watched", "Cooling", "Unknown", "Left alone", "Left alone", "Watched"]
        for row, state in enumerate(states):
            expect(rows.nth(row).locator(".st")).to_have_text(state)
        expect(rows.nth(0)).to_contain_text("variable TAG is not set")
        rows.nth(0).get_by_role("link", name="Set TAG…").click()
        expect(page.locator("dialog input[name=secret]")).to_have_value("TAG")
        page.keyboard.press("Escape")
        expect(rows.nth(1)).to_contain_text("cooled.example asked to be left alone until")
        expect(rows.nth(4)).to_contain_text("its label wud.watch is false")
        expect(rows.nth(5)).to_contain_text("wud.tag.include")
        ada.open("/projects/blog/images")
        deployed = rows.nth(0).locator("details")
        deployed.get_by_text("3 digests deployed").click()
        expect(deployed.locator("li")).to_have_count(3)
        ada.open("/projects/mail-archive/images")
        expect(page.get_by_role("heading", name="It is not made of images")).to_be_visible()


def test_who_only_looks_is_told_who_may_act(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon, "vic") as vic:
        page = vic.open("/projects/web-shop")
        expect(page.get_by_text("These may deploy it: ada.")).to_be_visible()
        expect(page.locator("main .btn").filter(has_not_text="plan")).to_have_count(0)
        expect(page.get_by_role("switch")).to_have_count(0)
        expect(page.locator("#quarantine")).to_contain_text("health answered 502")
        expect(page.locator("#why a[data-dialog]")).to_have_count(0)


def test_a1_auto_deploy_of_what_has_nothing_to_deploy(chromium: Browser, daemon: WebDaemon) -> None:
    """A1: hidden for a tunnel; shown as refused, with the reason, for a name."""
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/intranet-dns")
        expect(page.get_by_role("switch")).to_have_attribute("aria-disabled", "true")
        expect(page.locator("#head")).to_contain_text("nothing-to-deploy")
        ada.open("/projects/office-tunnel")
        expect(page.get_by_role("switch")).to_have_count(0)
        expect(page.locator("#plan, #lately")).to_have_count(0)


@pytest.mark.parametrize(
    "path",
    [
        "/projects/portal-production",
        "/projects/hostile",
        "/projects/hostile/history",
        "/projects/hostile/images",
    ],
)
def test_their_manners(chromium: Browser, daemon: WebDaemon, path: str) -> None:
    name = path.removeprefix("/projects/").replace("/", "-")
    for width, dark in ((DESK, False), (PHONE, True)):
        with signed_in(chromium, daemon, width=width, dark=dark) as ada:
            page = ada.open(path)
            look = f"{'dark' if dark else 'light'}-{'phone' if width == PHONE else 'desk'}"
            check_manners(page, f"project-{name}-{look}")
            expect(page).not_to_have_title("t44")
            page.set_viewport_size({"width": 320, "height": 700})
            assert overflow(page) <= 0
