"""What people do to projects and deployments, in a browser: asked first, then read back."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route, expect

from reconciler.domain.references import ProjectName
from reconciler.domain.rules import Freeze
from tests.parts.git_repository import Repository
from tests.parts.pages import DESK, PASSWORD, PHONE, check_manners, make_person, overflow, signed_in
from tests.parts.showing import Shown, opened
from tests.parts.shown import show_every_state
from tests.parts.web_client import WebDaemon, ok

pytestmark = [pytest.mark.needs_browser, pytest.mark.needs_git]

HOSTILE = "<script>alert(1)</script> \u202egnp.exe " + "long" * 90
COMPOSE = "services:\n  web:\n    image: registry.example/app@sha256:" + "4f" * 32 + "\n"
FULL = {"expose_service": "web", "expose_port": 80}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("acts")) as running:
        make_person(running)
        make_person(running, "vic", role="viewer")
        show_every_state(running)
        with opened(running) as store:
            freeze = Freeze("\u202ejonas", Shown(store).now, HOSTILE)
            store.set_freeze(ProjectName("home-dashboard"), freeze)
        declare_hosted(running, "hosted")
        yield running


def declare_hosted(daemon: WebDaemon, name: str) -> Repository:
    """Declare a project of a repository that is kept here, and has one commit."""
    body = {"name": name, "kind": "compose", "create_repository": True, "repository": name, **FULL}
    ok(daemon.local.post("/api/v1/projects", json=body))
    repository = Repository(daemon.folder / "data" / "repositories" / f"{name}.git")
    repository.commit({"compose.yaml": COMPOSE})
    return repository


def state_of(daemon: WebDaemon, name: str) -> dict[str, object]:
    return ok(daemon.local.get(f"/api/v1/projects/{name}"))


def deployments_of(daemon: WebDaemon, name: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = ok(daemon.local.get(f"/api/v1/projects/{name}/deployments"))[
        "items"
    ]
    return found


def newest_of(daemon: WebDaemon, name: str) -> object:
    return deployments_of(daemon, name)[0]["id"]


# ── Every page ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dark", [False, True], ids=["desk-light", "phone-dark"])
def test_their_manners(chromium: Browser, daemon: WebDaemon, *, dark: bool) -> None:
    look = "phone-dark" if dark else "desk-light"
    running, queued = newest_of(daemon, "api-gateway"), newest_of(daemon, "status-page")
    with signed_in(chromium, daemon, width=PHONE if dark else DESK, dark=dark) as ada:
        for name, path in {
            "auto-on": "/projects/legacy-crm/auto",
            "auto-off": "/projects/blog/auto",
            "auto-refused": "/projects/office-tunnel/auto",
            "deploy": "/projects/hosted/deploy",
            "deploy-unknown": "/projects/blog/deploy",
            "rollback": "/projects/blog/rollback",
            "promote": "/projects/portal-production/promote",
            "approve": "/projects/ledger-production/approve",
            "reject": "/projects/ledger-production/reject",
            "approve-migration": "/projects/mailer/approve",
            "pause": "/projects/blog/pause",
            "resume": "/projects/home-dashboard/pause",
            "quarantine": "/projects/web-shop/quarantine",
            "cancel": f"/deployments/{queued}/cancel",
            "cancel-too-late": f"/deployments/{running}/cancel",
        }.items():
            check_manners(ada.open(path), f"act-{name}-{look}")
        if dark:
            ada.page.set_viewport_size({"width": 320, "height": 800})
            for path in ("/projects/hosted/deploy", "/projects/home-dashboard/pause"):
                ada.page.goto(path)
                assert overflow(ada.page) <= 0


def test_who_may_only_look_is_let_to_none_of_them(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon, "vic") as vic:
        page = vic.open("/projects/blog")
        expect(page.get_by_role("link", name="Pause…")).to_have_count(0)
        expect(page.get_by_role("switch")).to_have_count(0)
        assert page.goto("/projects/blog/pause").status == 403  # type: ignore[union-attr]


# ── Dialogs ───────────────────────────────────────────────────────────────────────────────────


def test_a_dialog_gives_the_focus_back_even_where_its_opener_was_made_anew(
    chromium: Browser, daemon: WebDaemon
) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/old-wiki")
        opener = page.get_by_role("link", name="Pause…")
        opener.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Pause old-wiki?")
        expect(dialog.get_by_role("heading", level=1)).to_be_focused()
        dialog.get_by_label("Why?").fill("typed")
        # Its part is read anew beneath the dialog, and nothing that was typed goes.
        ok(daemon.local.patch("/api/v1/projects/old-wiki", json={"auto_deploy": False}))
        expect(page.locator("#head")).to_contain_text("Auto-deploy is off")
        expect(dialog.get_by_label("Why?")).to_have_value("typed")
        for _ in range(9):  # once around: nothing behind it is reached
            page.keyboard.press("Tab")
            within = "() => document.activeElement.matches('body, dialog, dialog *')"
            assert page.evaluate(within)
        dialog.click(position={"x": 4, "y": 4})
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(opener).to_be_focused()


def test_the_toggle_says_that_it_is_under_way_and_moves_once_it_is_so(
    chromium: Browser, daemon: WebDaemon
) -> None:
    name = "sandbox"
    with signed_in(chromium, daemon) as ada:
        page = ada.open(f"/projects/{name}")
        switch = page.get_by_role("switch", name=f"Auto-deploy of {name}")
        expect(switch).not_to_be_checked()
        switch.focus()
        page.keyboard.press("Space")
        dialog = page.get_by_role("dialog", name=f"Switch auto-deploy of {name} on?")
        expect(dialog).to_be_visible()
        sent: list[Route] = []

        def keep(route: Route) -> None:
            """Answer so that the browser stays where it is, as if no answer came."""
            sent.append(route)
            route.fulfill(status=204)

        page.route(f"**/projects/{name}/auto", keep)
        act = dialog.locator("button[type=submit]")
        act.click()
        busy = page.locator("[role=switch]")
        expect(busy).to_have_attribute("aria-busy", "true")
        expect(busy).to_have_text("Switching on…")
        expect(busy).to_have_attribute("aria-checked", "false")
        expect(act).to_have_text("Switching on…")
        act.click()
        assert len(sent) == 1, "a second press sends nothing"
        page.unroute(f"**/projects/{name}/auto")
        # As the browser does where one comes back to a page that it kept.
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
        expect(dialog).to_have_count(0)
        expect(switch).to_have_text("Off")
        switch.click()
        act.click()
        expect(switch).to_be_checked()
        expect(page.locator("#came-of")).to_contain_text("Auto-deploy is on.")
    assert state_of(daemon, name)["auto_deploy"] is True


def test_what_is_not_so_is_not_said(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon) as ada:
        for query in ("did=lifted&of=web-shop", "did=won&of=blog", "did=queued&of=0", "did=paused"):
            page = ada.open(f"/projects/web-shop?{query}")
            expect(page.locator("#note")).to_have_count(0)
        page = ada.open(f"/projects/web-shop?did=queued&of={newest_of(daemon, 'web-shop')}")
        expect(page.locator("#came-of")).to_contain_text("failed and rolled back")


# ── What they do ──────────────────────────────────────────────────────────────────────────────


def test_pausing_says_at_the_field_what_is_wrong_and_keeps_what_was_typed(
    chromium: Browser, daemon: WebDaemon
) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/forgejo")
        page.get_by_role("link", name="Pause…").click()
        page.get_by_label("Why?").fill("month end")
        page.get_by_label("How long?").select_option("until the time below")
        page.get_by_label("Until a time").fill("2020-01-01T08:00")
        page.get_by_role("button", name="Pause forgejo").click()
        expect(page.locator("#problem-until")).to_contain_text("is not within the next")
        expect(page.get_by_label("Why?")).to_have_value("month end")
        assert state_of(daemon, "forgejo")["freeze"] is None
        page.get_by_label("How long?").select_option("for 4 hours")
        page.get_by_role("button", name="Pause forgejo").click()
        expect(page.locator("#came-of")).to_contain_text("Paused. “month end”, until in")
        assert state_of(daemon, "forgejo")["freeze"]["by"] == "ada"  # type: ignore[index]
        page.locator("#head").get_by_role("link", name="Resume…").click()
        page.get_by_role("button", name="Resume forgejo").click()
        expect(page.locator("#came-of")).to_contain_text("Resumed.")
    assert state_of(daemon, "forgejo")["freeze"] is None


def test_going_back_names_what_moves_and_does_nothing_where_that_changed(
    chromium: Browser, daemon: WebDaemon
) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/blog")
        page.get_by_role("link", name="Roll back…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("No migration ran since.")
        first = dialog.get_by_role("heading").inner_text()
        dialog.locator(".kept a").first.click()
        expect(dialog.get_by_role("heading")).not_to_have_text(first)
        page.locator("dialog input[name=from]").evaluate("one => one.value = '1'")
        dialog.get_by_role("button", name="Roll back to").click()
        expect(page.locator("#problem-form")).to_contain_text("Nothing was done")
        before = len(deployments_of(daemon, "blog"))
        page.get_by_role("button", name="Roll back to").click()
        expect(page.locator("#came-of")).to_contain_text("is queued.")
    after = deployments_of(daemon, "blog")
    assert len(after) == before + 1
    assert after[0]["restores"]


def test_cancelling_says_what_it_would_do_at_this_stage(
    chromium: Browser, daemon: WebDaemon
) -> None:
    queued, running = newest_of(daemon, "search-api"), newest_of(daemon, "api-gateway")
    with signed_in(chromium, daemon) as ada:
        page = ada.open(f"/deployments/{running}/cancel")
        expect(page.locator("#confirm")).to_contain_text("It has begun to change what runs")
        expect(page.locator("#confirm button")).to_have_count(0)
        page = ada.open(f"/deployments/{queued}/cancel")
        page.get_by_role("button", name=f"Cancel #{queued}").click()
        page.wait_for_url(f"**/deployments/{queued}?did=cancelled&of={queued}")
        page = ada.open(f"/projects/search-api?did=cancelled&of={queued}")
        expect(page.locator("#came-of")).to_contain_text("cancelled. Nothing was changed")
    assert deployments_of(daemon, "search-api")[0]["status"] == "withdrawn"


def test_promoting_goes_past_a_window_with_a_reason_and_an_approval_counts(
    chromium: Browser, daemon: WebDaemon
) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/portal-test/deploy?env=production&commit=%0d%0aX-A:1")
        page.wait_for_url("**/projects/portal-production/promote?revision=*")
        expect(page.locator("#problem-form")).to_contain_text("invalid-reference")
        page = ada.open("/projects/portal-test/promote")
        page.wait_for_url("**/projects/portal-production/promote")
        page.get_by_label("Why should it not wait").fill("hotfix of incident 7")
        page.get_by_role("button", name="Promote").click()
        expect(page.locator("#came-of")).to_contain_text("is queued.")
        assert deployments_of(daemon, "portal-production")[0]["override"] == "hotfix of incident 7"

        page = ada.open("/projects/ledger-production/approve")
        page.get_by_label("Why?").fill("looked at it on test")
        page.get_by_role("button", name="Approve").click()
        expect(page.locator("#came-of")).to_contain_text("It is agreed to")


def test_a_migration_that_waits_is_approved(chromium: Browser, daemon: WebDaemon) -> None:
    stopped = newest_of(daemon, "mailer")
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/mailer/approve")
        expect(page.locator("#confirm")).to_contain_text("2 tables would be dropped")
        page.get_by_label("Why is it fine?").fill("read the plan")
        page.get_by_role("button", name="Approve and deploy").click()
        expect(page.locator("#came-of")).to_contain_text("is queued.")
        page = ada.open("/projects/mailer/approve")
        expect(page.get_by_role("heading", level=1)).to_contain_text("waits for approval")
    causes = deployments_of(daemon, "mailer")[0]["causes"]
    assert f"approved the migration of deployment {stopped}: read the plan" in str(causes)


def test_a_plan_that_holds_no_longer_is_shown_anew(chromium: Browser, daemon: WebDaemon) -> None:
    repository = declare_hosted(daemon, "moving")
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/moving/deploy")
        page.get_by_label("For the record").fill("kept")
        pushed = repository.commit({"compose.yaml": COMPOSE + "    init: true\n"})
        page.get_by_role("button", name="Deploy").click()
        said = f"Since you opened this, {pushed[:8]} was pushed. Nothing was done."
        expect(page.locator("#note")).to_contain_text(said)
        assert deployments_of(daemon, "moving") == []
        expect(page.get_by_label("For the record")).to_have_value("kept")
        page.get_by_role("button", name=f"Deploy {pushed[:8]}").click()
        expect(page.locator("#came-of")).to_contain_text("is queued.")
    assert deployments_of(daemon, "moving")[0]["revision"]["commit"] == pushed  # type: ignore[index]


def test_a_frozen_project_is_deployed_with_a_reason(chromium: Browser, daemon: WebDaemon) -> None:
    declare_hosted(daemon, "frozen")
    ok(daemon.local.put("/api/v1/projects/frozen/freeze", json={"reason": "month end"}))
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/frozen/deploy")
        page.get_by_label("Why should it not wait").fill("the shop is down")
        page.get_by_role("button", name="Deploy").click()
        expect(page.locator("#came-of")).to_contain_text("is queued.")
    assert deployments_of(daemon, "frozen")[0]["override"] == "the shop is down"


# ── Without a script, a session, or the same daemon ───────────────────────────────────────────


def test_they_work_without_a_script(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon, script=False) as ada:
        page = ada.page
        page.goto("/projects/mail-archive")
        page.get_by_role("switch").click()
        page.get_by_role("button", name="Switch auto-deploy off").click()
        expect(page.locator("#came-of")).to_contain_text("Auto-deploy is off.")
        page.goto("/projects/web-shop/quarantine")
        page.get_by_role("button", name="Lift the quarantine").click()
        expect(page.locator("#came-of")).to_contain_text("The quarantine is lifted.")
    assert state_of(daemon, "mail-archive")["auto_deploy"] is False
    assert state_of(daemon, "web-shop")["quarantined"] == []


def test_who_is_signed_out_loses_nothing_that_was_typed(
    chromium: Browser, daemon: WebDaemon
) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/grafana")
        page.get_by_role("link", name="Pause…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Why?").fill("typed before")
        context = page.context
        context.clear_cookies()
        dialog.get_by_role("button", name="Pause grafana").click()
        out = page.locator("#said-out")
        expect(out).to_contain_text("You were signed out at")
        expect(out).to_be_focused()
        expect(dialog.get_by_label("Why?")).to_have_value("typed before")
        dialog.get_by_role("button", name="Pause grafana").click()
        assert state_of(daemon, "grafana")["freeze"] is None
        answer = context.request.post(
            f"{daemon.url}/api/v1/sign-in",
            data={"name": "ada", "password": PASSWORD},
            headers={"origin": daemon.url},
        )
        assert answer.ok
        page.evaluate("dispatchEvent(new Event('focus'))")  # of the window
        expect(out).to_have_count(0)
        dialog.get_by_role("button", name="Pause grafana").click()
        expect(page.locator("#came-of")).to_contain_text("typed before")


def test_a_daemon_that_does_not_answer_costs_nothing_that_was_typed(
    chromium: Browser, daemon: WebDaemon
) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/blog/pause")
        page.get_by_label("Why?").fill("kept")
        page.route("**/api/v1/me", lambda route: route.abort())
        page.get_by_role("button", name="Pause blog").click()
        expect(page.locator("#said-dead")).to_contain_text("Nothing was sent.")
        expect(page.get_by_label("Why?")).to_have_value("kept")
        page.unroute("**/api/v1/me")
        page.get_by_role("button", name="Pause blog").click()
        expect(page.locator("#came-of")).to_contain_text("kept")
        ada.said.clear()  # that the first answer did not come


def test_looking_now_says_that_it_looks(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/portal-test")
        page.get_by_role("button", name="Look now").click()
        expect(page.locator("#came-of")).to_contain_text("Looking now.")
        with opened(daemon) as store:
            shown = Shown(store)
            shown.see(store.get_project(ProjectName("portal-test")), 2, looked_at=shown.now)
        page.reload()
        expect(page.locator("#came-of")).to_contain_text("Looked.")


def test_another_version_is_told_and_loads_nothing_by_itself(
    chromium: Browser, daemon: WebDaemon
) -> None:
    def newer(route: Route) -> None:
        answer = route.fetch()
        body = answer.text().replace('data-version="', 'data-version="9.9.9 ')
        route.fulfill(response=answer, body=body)

    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/billing-api")
        page.route("**/projects/billing-api", newer)
        ok(daemon.local.patch("/api/v1/projects/billing-api", json={"auto_deploy": False}))
        expect(page.locator("#said-new")).to_contain_text("reconciler was updated to 9.9.9.")
        expect(page.locator("html")).not_to_have_attribute("data-version", "9.9.9")
        expect(page.get_by_role("link", name="Reload")).to_be_visible()
