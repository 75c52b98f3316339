"""The overview in a real browser: what it shows, how it is narrowed, and how it lives."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from reconciler.domain.references import ProjectName
from reconciler.domain.rules import Freeze
from tests.parts.pages import DESK, PHONE, check_manners, make_person, overflow, signed_in
from tests.parts.showing import Shown, opened
from tests.parts.shown import show_every_state
from tests.parts.web_client import WebDaemon, ok

pytestmark = pytest.mark.needs_browser

EVIL = "<script>window.t44=1</script><img src=x onerror=window.t44=1> \u202ecod.exe " + "x" * 253
#: What the daemon tells comes within seconds, in ms; on a busy machine within a few more.
SOON = 20_000
#: Notes which rows are put in the place of others from now on.
_WATCH_ROWS = """() => {
  window.put = [];
  new MutationObserver((changes) => {
    for (const one of changes)
      for (const node of one.addedNodes) if (node.matches?.(".row")) window.put.push(node.id);
  }).observe(document.querySelector(".list"), { childList: true });
}"""
#: Has the page take itself for one that nobody looks at: a browser without a screen shows all.
_HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
_ORDER = "() => [...document.querySelectorAll('.row[data-v]')].map((row) => row.id)"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("overview")) as running:
        make_person(running)
        make_person(running, "vic", role="viewer")
        show_every_state(running)
        with opened(running) as store:
            shown = Shown(store)
            for name in ("one", "two", "three", "four"):
                shown.deploy(shown.declare(f"live-{name}"), 1, shown.ago(days=1))
            evil = shown.declare("evil" + "-x" * 25, auto_deploy=True)
            shown.deploy(evil, 1, shown.ago(days=1))
            shown.see(evil, 2)
            store.set_freeze(evil.name, Freeze("ada", shown.ago(days=1), EVIL))
        yield running


def switch_auto(daemon: WebDaemon, name: str, *, on: bool) -> None:
    """Switch auto-deploy of a project, which moves its row into another group."""
    body = {"auto_deploy": on}
    ok(daemon.local.patch(f"/api/v1/projects/{name}", json=body))


def is_stream(request: Request) -> bool:
    return "/api/v1/events?" in request.url


def row(page: Page, name: str) -> str:
    return " ".join((page.locator(f"#p-{name}").text_content() or "").split())


# ── What is shown ─────────────────────────────────────────────────────────────────────────────


def test_every_state_is_told_in_its_group(chromium: Browser, daemon: WebDaemon) -> None:
    """Without a script: reading needs none."""
    with signed_in(chromium, daemon, script=False) as ada:
        page = ada.page
        page.goto("/")
        heads = page.locator(".group-head h2")
        titles = ["Needs you", "Under way", "Waiting", "In sync", "Off"]
        for place, title in enumerate(titles):
            expect(heads.nth(place)).to_contain_text(title)
        needs_you = page.locator('.row[data-group="needs-you"]')
        names = [one.get_attribute("id") for one in needs_you.all()]
        # By the age of the trouble, newest first; of the last nobody knows since when.
        assert names == ["p-web-shop", "p-billing-api", "p-grafana", "p-old-wiki"]
        for name, *texts in (
            ("billing-api", "Failed", "exited with 1 right after its start", "Read #"),
            ("web-shop", "Quarantined", "was rolled back: health answered 502", "See #"),
            ("grafana", "Drifted", "grafana runs", "Compare"),
            ("old-wiki", "Branch main does not exist any more.", "Follow another"),
            ("api-gateway", "Deploying", "Verify", "→", "of about 0:42", "#"),
            ("search-api", "Queued", "Waits for attempt 2", "does not answer"),
            ("portal-production", "Held", "no deploy window", "Why"),
            ("ledger-production", "waits for 1 more approval", "Approve…"),
            ("matrix-bridge", "jonas froze matrix-bridge", "keep hands off", "Resume…"),
            ("blog", "In sync", "atlas · compose", "blog/web:2@", "+2", "On"),
            ("forgejo", "Follows the tag 1", "atlas · image"),
            ("home-dashboard", "no answer ×3"),
            ("legacy-crm", "Off", "switched off by mara; main is at", "See the plan"),
            ("sandbox", "Never deployed", "Nothing was deployed yet."),
            ("office-tunnel", "A tunnel. There is nothing to deploy.", "–"),
        ):
            for text in texts:
                assert text in row(page, name), name
        assert "`" not in page.locator(".list").inner_text()


def test_who_may_not_is_offered_nothing(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon, "vic", script=False) as vic:
        page = vic.page
        page.goto("/")
        assert "Why" in row(page, "matrix-bridge")
        for name in ("Resume…", "Approve…", "See the plan", "Add project"):
            expect(page.get_by_role("link", name=name)).to_have_count(0)


# ── What is asked for ─────────────────────────────────────────────────────────────────────────


def test_filters_and_search_are_links_and_a_form(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon, script=False) as ada:
        page = ada.page
        page.goto("/")
        page.get_by_role("link", name="Under way").click()
        expect(page.locator(".row[data-v]")).to_have_count(3)
        expect(page.get_by_role("link", name="Under way 3")).to_have_attribute(
            "aria-current", "true"
        )
        page.get_by_label("Host").select_option("vega")
        page.get_by_role("button", name="Apply").click()
        expect(page.locator(".row[data-v]")).to_have_count(1)
        assert page.evaluate(_ORDER) == ["p-status-page"]
        page.get_by_label("Search projects").fill("no such thing")
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_role("heading", name="No project is like that")).to_be_visible()
        page.get_by_role("link", name="Show all").click()
        page.get_by_label("Sort").select_option("name")
        page.get_by_role("button", name="Apply").click()
        expect(page.locator(".row[data-v]").nth(20)).to_be_attached()
        expect(page.locator(".group-head")).to_have_count(0)
        order = page.evaluate(_ORDER)
        assert order == sorted(order)


def test_rows_are_found_at_each_key(chromium: Browser, daemon: WebDaemon) -> None:
    """And the address follows, so that the same rows are there when it is opened again."""
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/?state=in-sync")
        page.keyboard.press("/")
        page.keyboard.type("LIVE-T")
        for name, visible in (("live-two", True), ("live-three", True), ("live-one", False)):
            expect(page.locator(f"#p-{name}")).to_be_visible(visible=visible)
        expect(page).to_have_url("/?state=in-sync&q=LIVE-T")
        page.reload()
        expect(page.locator(".row[data-v]")).to_have_count(2)
        # What the server left out is asked for again.
        page.get_by_label("Search projects").fill("live-o")
        expect(page.locator("#p-live-one")).to_be_visible()
        page.get_by_label("Search projects").fill("live-oh-no")
        expect(page.get_by_role("heading", name="No project")).to_be_visible()
        page.get_by_label("Search projects").fill("")
        expect(page.locator("#p-blog")).to_be_visible()
        page.get_by_label("Sort").select_option("name")
        expect(page.locator(".group-head")).to_have_count(0)
        expect(page).to_have_url("/?state=in-sync&sort=name")


def test_rows_are_reached_by_keys(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/?q=live-&sort=name")
        page.keyboard.press("j")
        expect(page.locator("#p-live-four .name")).to_be_focused()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("j")
        page.keyboard.press("k")
        expect(page.locator("#p-live-one .name")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page).to_have_url("/projects/live-one")


# ── How it lives ──────────────────────────────────────────────────────────────────────────────


def test_one_update_repaints_one_row_where_it_is(chromium: Browser, daemon: WebDaemon) -> None:
    """It keeps its place until the reader has the rows sorted again."""
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/")
        order = page.evaluate(_ORDER)
        page.evaluate(_WATCH_ROWS)
        counts = page.locator("#counts")
        off = int(counts.locator('[data-of="off"] .num').inner_text())
        switch_auto(daemon, "live-one", on=False)
        changed = page.locator("#p-live-one")
        expect(changed.locator(".st")).to_have_text("Off", timeout=SOON)
        assert page.evaluate("() => window.put") == ["p-live-one"]
        assert page.evaluate(_ORDER) == order
        expect(changed).to_have_class("row is-changed")
        expect(counts.locator('[data-of="off"] .num')).to_have_text(str(off + 1))
        again = page.get_by_role("link", name="1 row has moved: sort again")
        expect(again).to_be_visible()
        # Seen for a while, it is as any other.
        changed.scroll_into_view_if_needed()
        expect(changed).to_have_class("row", timeout=SOON)
        again.click()
        expect(page.locator("#again")).to_be_hidden()
        assert page.evaluate(_ORDER) != order


def test_what_comes_and_goes_is_told_and_moves_nothing(
    chromium: Browser, daemon: WebDaemon
) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/?state=in-sync")
        order = page.evaluate(_ORDER)
        with opened(daemon) as store:
            shown = Shown(store)
            shown.deploy(shown.declare("newcomer"), 1, shown.ago(minutes=1))
        again = page.locator("#again")
        expect(again).to_have_text("1 row has moved: sort again", timeout=SOON)
        assert daemon.local.delete("/api/v1/projects/live-four").is_success
        expect(page.locator("#p-live-four")).to_have_class("row is-gone", timeout=SOON)
        expect(again).to_have_text("2 rows have moved: sort again")
        assert page.evaluate(_ORDER) == order


def test_a_row_in_use_waits(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/")
        page.locator("#p-live-two .name").focus()
        switch_auto(daemon, "live-two", on=False)
        switch_auto(daemon, "live-three", on=False)
        expect(page.locator("#p-live-three .st")).to_have_text("Off", timeout=SOON)
        expect(page.locator("#p-live-two .st")).to_have_text("In sync")
        expect(page.locator("#p-live-two .name")).to_be_focused()
        page.get_by_label("Search projects").focus()
        expect(page.locator("#p-live-two .st")).to_have_text("Off", timeout=SOON)


def test_that_it_was_looked_at_again_repaints_no_row(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon) as ada:
        ada.page.clock.install()
        page = ada.open("/?q=blog")
        page.evaluate(_WATCH_ROWS)
        later = datetime(2031, 5, 6, 7, 8, tzinfo=UTC)
        with opened(daemon) as store:
            shown = Shown(store)
            shown.see(store.get_project(ProjectName("blog")), 3, next_look_at=later)
        page.clock.fast_forward(31_000)
        expect(page.locator("#p-blog .c-look")).to_contain_text("6 May 2031")
        assert page.evaluate("() => window.put") == []


def test_a_tab_that_nobody_looks_at_holds_no_stream(chromium: Browser, daemon: WebDaemon) -> None:
    """Whoever comes back sees what happened meanwhile, and what happens then."""
    with signed_in(chromium, daemon) as ada:
        ada.page.clock.install()
        page = ada.open("/?q=blog")
        on = page.locator("#p-blog .c-auto")
        expect(on).to_have_text("On")
        with page.expect_event("requestfailed", is_stream):
            page.evaluate(_HIDE, True)
            page.clock.fast_forward(21_000)
        switch_auto(daemon, "blog", on=False)
        with page.expect_request(is_stream):
            page.evaluate(_HIDE, False)
        expect(on).to_have_text("Off", timeout=SOON)
        expect(page.locator("#live")).to_have_text("Live")
        switch_auto(daemon, "blog", on=True)
        expect(on).to_have_text("On", timeout=SOON)


def test_who_goes_back_sees_what_is_so_by_now(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/?q=forgejo")
        page.locator("#p-forgejo .name").click()
        page.wait_for_url("**/projects/forgejo")
        switch_auto(daemon, "forgejo", on=False)
        page.go_back()
        expect(page.locator("#p-forgejo .c-auto")).to_have_text("Off", timeout=SOON)
        expect(page.locator("#live")).to_have_text("Live")
        switch_auto(daemon, "forgejo", on=True)
        expect(page.locator("#p-forgejo .c-auto")).to_have_text("On", timeout=SOON)


# ── Its manners ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("width", "dark"), [(DESK, False), (PHONE, True)], ids=["desk-light", "phone-dark"]
)
def test_its_manners(chromium: Browser, daemon: WebDaemon, width: int, *, dark: bool) -> None:
    with signed_in(chromium, daemon, width=width, dark=dark) as ada:
        page = ada.open("/")
        name = f"overview-{'phone-dark' if dark else 'desk-light'}"
        check_manners(page, name)
        assert page.evaluate("() => 't44' in window") is False
        if width == PHONE:
            page.set_viewport_size({"width": 320, "height": 700})
            assert overflow(page) <= 0


def test_a_daemon_without_projects_says_what_would_be_here(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with WebDaemon(tmp_path_factory.mktemp("empty")) as empty:
        make_person(empty)
        with signed_in(chromium, empty) as ada:
            page = ada.open("/")
            check_manners(page, "overview-empty")
            expect(page.get_by_role("heading", name="Nothing is deployed")).to_be_visible()
            body = {"name": "first", "kind": "domain_only"}
            ok(empty.local.post("/api/v1/projects", json=body))
            expect(page.locator("#p-first")).to_be_visible(timeout=SOON)
