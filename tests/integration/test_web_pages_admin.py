"""The daemon's own pages in a real browser: settings, people, tokens, channels, backup."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from reconciler.store.backup import note_backup
from tests.parts.pages import DESK, PASSWORD, PHONE, check_manners, make_person, overflow, signed_in
from tests.parts.web_client import WebDaemon, ok

pytestmark = pytest.mark.needs_browser

HOSTILE = "<script>window.bad=1</script>" + "long" * 50
POLL, WATCH = "auto_deploy_poll_interval_seconds", "auto_deploy_image_watch_interval_seconds"
#: Every page, as an admin sees it.
PAGES = {
    "glance": "/admin",
    "settings": "/admin/settings",
    "people": "/admin/people",
    "person": "/admin/people/vic",
    "block": "/admin/people/vic/block",
    "tokens": "/admin/tokens",
    "revoke": "/admin/tokens/ci/revoke",
    "notifications": "/admin/notifications",
    "backup": "/admin/backup",
    "audit": "/audit",
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("admin")) as running:
        fill(running)
        yield running


def fill(daemon: WebDaemon) -> None:
    make_person(daemon)
    make_person(daemon, "vic", role="viewer")
    url = "https://git.example/team/shop.git"
    project = {"name": "shop", "kind": "compose", "url": url, "auto_deploy": True}
    ok(daemon.local.post("/api/v1/projects", json=project))
    narrow = {"name": "otto", "password": PASSWORD, "roles": {"shop": "operator"}}
    ok(daemon.local.post("/api/v1/people", json=narrow))
    ok(daemon.local.put("/api/v1/projects/shop/freeze", json={"reason": f"\u05d0\u05d1 {HOSTILE}"}))
    daemon.make_token("ci", "trigger", projects=["shop"], expires_in_seconds=600_000)
    daemon.make_token("a-token-whose-name-is-as-long-as-names-of-tokens-are-allowed-to-", "read")
    hook = {"name": "ops", "url": "http://127.0.0.1:1/hook"}
    ok(daemon.local.post("/api/v1/channels", json=hook))
    agent = {"user-agent": HOSTILE, "origin": daemon.url}
    body = {"name": "vic", "password": PASSWORD}
    assert daemon.remote(**agent).post("/api/v1/sign-in", json=body).is_success


def setting(daemon: WebDaemon, key: str) -> object:
    items = ok(daemon.local.get("/api/v1/settings"))["items"]
    return next(one["value"] for one in items if one["key"] == key)


def change_settings(daemon: WebDaemon, **values: object) -> None:
    ok(daemon.local.patch("/api/v1/settings", json={**values, "reason": "a test"}))


def submit(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def test_below_the_minimum_is_refused_at_the_field(chromium: Browser, daemon: WebDaemon) -> None:
    change_settings(daemon, **{POLL: 60, WATCH: 600})
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/admin/settings")
        expect(page.get_by_text("1 source: about 60 requests an hour.")).to_be_visible()
        page.get_by_label("Look at git every").fill("5")
        page.get_by_label("Look at registries every").fill("900")
        submit(page, "Save")
        said = "5 is below the minimum of 10 seconds. Nothing was saved; 60 is still in force."
        expect(page.get_by_role("alert")).to_have_text(said)
        field = page.get_by_label("Look at git every")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_value("5")
        expect(page.get_by_label("Look at registries every")).to_have_value("900")
        assert (setting(daemon, POLL), setting(daemon, WATCH)) == (60, 600)

        field.fill("45")
        page.get_by_label("Why").fill(HOSTILE[:100])
        submit(page, "Save")
        note = page.locator("#note")
        expect(note).to_contain_text("look at git every 45 seconds; look at registries every 900")
        expect(page.get_by_text("ada, just now").first).to_be_visible()
        assert (setting(daemon, POLL), setting(daemon, WATCH)) == (45, 900)


def test_settings_that_changed_meanwhile_are_not_overwritten(
    chromium: Browser, daemon: WebDaemon
) -> None:
    change_settings(daemon, **{POLL: 60})
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/admin/settings")
        change_settings(daemon, **{POLL: 30})
        page.get_by_label("Look at git every").fill("90")
        submit(page, "Save")
        expect(page.get_by_role("alert")).to_contain_text("Since you opened this")
        expect(page.get_by_text("30 until now")).to_be_visible()
        assert setting(daemon, POLL) == 30
        submit(page, "Save")
        expect(page.locator("#note")).to_contain_text("look at git every 90 seconds")
        assert setting(daemon, POLL) == 90


def test_a_new_token_is_shown_once(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/admin/tokens")
        page.get_by_label("Name", exact=True).fill("board")
        submit(page, "Make the token")
        expect(page.get_by_role("alert")).to_contain_text("must name one at least")
        page.get_by_role("checkbox", name="read see what runs").check()
        page.get_by_label("Only on these projects").fill("shop")
        submit(page, "Make the token")
        expect(page.get_by_text("It is not shown again")).to_be_visible()
        text = page.get_by_label("Token", exact=True).input_value()
        assert daemon.remote(text).get("/api/v1/projects/shop").is_success
        assert text not in page.url
        page.goto("/admin/tokens")
        expect(page.get_by_role("row", name="board")).to_contain_text("read")
        assert text not in page.content()

        page.get_by_role("link", name="Revoke… board").click()
        dialog = page.get_by_role("dialog", name="Revoke the token board?")
        dialog.get_by_role("button", name="Revoke board").click()
        expect(page.locator("#note")).to_contain_text("token board opens nothing any more.")
        assert daemon.remote(text).get("/api/v1/projects/shop").status_code == 401


def test_somebody_is_added_changed_kept_out_and_removed(
    chromium: Browser, daemon: WebDaemon
) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/admin/people")
        page.get_by_label("Name", exact=True).fill("lena")
        password = page.get_by_role("textbox", name="Password")
        password.fill("short")
        submit(page, "Add the person")
        expect(page.get_by_role("alert")).to_contain_text("12")
        expect(password).to_have_value("")
        password.fill(PASSWORD)
        page.get_by_label("On one project").fill("shop")
        submit(page, "Add the person")
        expect(page.locator("#note")).to_contain_text("person lena was added")
        page.get_by_role("link", name="lena").click()

        page.get_by_label("On the whole daemon").select_option("operator")
        submit(page, "Save the role")
        expect(page.locator("#note")).to_contain_text("Saved. By ada")
        expect(page.locator("#facts")).to_contain_text("operator and on 1 project")
        page.get_by_label("On one project").fill("nowhere")
        submit(page, "Save there")
        expect(page.get_by_text("is no project of this daemon")).to_be_visible()
        page.get_by_label("On one project").fill("shop")
        page.get_by_label("Role there").select_option("")
        submit(page, "Save there")
        expect(page.locator("#facts")).not_to_contain_text("on 1 project")

        with signed_in(chromium, daemon, "lena") as lena:
            lena.open("/")
            page.reload()
            expect(page.locator("#sessions")).to_contain_text("Chrome")
            submit(page, "End all")
            expect(page.locator("#note")).to_contain_text("All their sessions ended.")
            lena.page.goto("/")
            expect(lena.page).to_have_url(re.compile("/sign-in$"))

        page.get_by_role("link", name="Block…").click()
        page.get_by_role("dialog").get_by_role("button", name="Block lena").click()
        expect(page.locator("#facts")).to_contain_text("Blocked")
        page.get_by_role("link", name="Remove…").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove lena").click()
        expect(page.locator("#note")).to_contain_text("person lena is gone")
        expect(page.get_by_role("link", name="lena")).to_have_count(0)


def test_a_role_that_changed_meanwhile_and_the_last_admin(
    chromium: Browser, daemon: WebDaemon
) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/admin/people/otto")
        ok(daemon.local.patch("/api/v1/people/otto", json={"roles": {"shop": "viewer"}}))
        page.get_by_label("On the whole daemon").select_option("admin")
        submit(page, "Save the role")
        expect(page.get_by_role("alert")).to_contain_text("Since you opened this")
        assert ok(daemon.local.get("/api/v1/people/otto"))["role"] is None
        page.goto("/admin/people/ada/remove")
        submit(page, "Remove ada")
        expect(page.get_by_role("alert")).to_contain_text("last-admin")


def test_a_channel_is_added_tried_and_removed(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/admin/notifications")
        page.get_by_label("Name", exact=True).fill("hook")
        page.get_by_label("Address").fill("http://127.0.0.1:1/very-secret-path")
        submit(page, "Add the channel")
        expect(page.get_by_label("Its messages are signed with")).not_to_have_value("")
        assert "very-secret-path" not in page.content()
        page.goto("/admin/notifications")
        page.get_by_role("button", name="Test hook").click()
        expect(page.locator("#note")).to_contain_text("hook did not take the message.")
        expect(page.get_by_role("row", name="hook signed webhook")).to_contain_text("Failing")
        assert "very-secret-path" not in page.content()
        expect(ada.open("/admin").locator("#wants")).to_contain_text("1 channel")
        page.goto("/admin/notifications")
        page.get_by_role("link", name="Remove… hook").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove hook").click()
        expect(page.locator("#note")).to_contain_text("channel hook is gone")


def test_when_the_last_backup_was_written(chromium: Browser, daemon: WebDaemon) -> None:
    (daemon.folder / "data" / "last-backup").unlink(missing_ok=True)
    with signed_in(chromium, daemon) as ada:
        expect(ada.open("/admin/backup").get_by_text("No backup was written yet.")).to_be_visible()
        note_backup(daemon.folder / "data" / "state.db", Path("/srv/<b>backup</b>.db"))
        page = ada.open("/admin/backup")
        expect(page.get_by_text("The last backup was written just now")).to_be_visible()
        expect(page.get_by_text("/srv/<b>backup</b>.db", exact=True)).to_be_visible()
        expect(ada.open("/admin").locator("#daemon")).to_contain_text("just now, how")


def test_who_may_not_does_not_find_it(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon, "vic") as vic:
        page = vic.open("/admin/settings")
        navigation = page.get_by_role("navigation", name="Main", exact=True)
        expect(navigation.get_by_role("link", name="Hosts")).to_be_visible()
        expect(navigation.get_by_role("link", name="Audit")).to_have_count(0)
        tabs = page.get_by_role("navigation", name="Admin")
        expect(tabs.get_by_role("link")).to_have_text(["Glance", "Settings", "Notifications"])
        expect(page.get_by_role("button", name="Save")).to_have_count(0)
        expect(page.locator("#health")).to_contain_text("healthy, up for")
        page.goto("/admin")
        expect(page.get_by_role("heading", name="This daemon")).to_be_visible()
        expect(page.get_by_role("heading", name="People")).to_have_count(0)
        expect(page.get_by_text("Audit chain")).to_have_count(0)
        assert page.goto("/audit").status == 403  # type: ignore[union-attr]
    with signed_in(chromium, daemon, "otto") as otto:
        navigation = otto.open("/").get_by_role("navigation", name="Main", exact=True)
        found = ["Projects", "Deployments", "Deliveries"]
        expect(navigation.get_by_role("link")).to_have_text(found)
        assert otto.page.goto("/admin").status == 403  # type: ignore[union-attr]


def test_it_works_without_a_script(chromium: Browser, daemon: WebDaemon) -> None:
    daemon.make_token("old", "read")
    with signed_in(chromium, daemon, script=False) as ada:
        page = ada.page
        page.goto("/admin")
        page.get_by_label("Look at registries every").fill("1200")
        submit(page, "Save")
        expect(page.locator("#note")).to_contain_text("look at registries every 1200 seconds")
        page.goto("/admin/tokens")
        page.get_by_role("link", name="Revoke… old").click()
        submit(page, "Revoke old")
        expect(page.locator("#note")).to_contain_text("token old opens nothing")


def test_nothing_sticks_out_on_the_narrowest_screen(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon, width=320) as ada:
        wide = {path: overflow(ada.open(path)) for path in PAGES.values()}
        assert {path: by for path, by in wide.items() if by > 0} == {}
        assert ada.page.evaluate("() => window.bad") is None


@pytest.mark.parametrize(("width", "dark"), [(DESK, False), (PHONE, True)], ids=["desk", "phone"])
def test_their_manners(chromium: Browser, daemon: WebDaemon, width: int, *, dark: bool) -> None:
    look = "dark-phone" if dark else "light-desk"
    with signed_in(chromium, daemon, width=width, dark=dark) as ada:
        for name, path in PAGES.items():
            check_manners(ada.open(path), f"admin-{name}-{look}")
