"""The master switch in a real browser: with a script and without, and for everybody who looks."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.parts.pages import DESK, PHONE, check_manners, make_person, signed_in
from tests.parts.web_client import WebDaemon, ok

pytestmark = pytest.mark.needs_browser


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("pages")) as running:
        make_person(running)
        make_person(running, "vic", role="viewer")
        yield running


def turn(daemon: WebDaemon, *, on: bool) -> None:
    body = {"auto_deploy_master_enabled": on, "reason": "a test"}
    ok(daemon.local.patch("/api/v1/settings", json=body))


def test_switching_off_asks_first_and_everybody_sees_it(
    chromium: Browser, daemon: WebDaemon
) -> None:
    turn(daemon, on=True)
    with signed_in(chromium, daemon, "vic") as vic, signed_in(chromium, daemon) as ada:
        vic.open("/")
        page = ada.open("/")
        page.get_by_role("link", name="Switch off…").click()
        dialog = page.get_by_role("dialog", name="Switch automatic deployment off?")
        expect(dialog).to_be_visible()
        dialog.get_by_label("Why?").fill("storage <b>work</b>")
        dialog.get_by_role("button", name="Switch off for everything").click()
        expect(page.locator("#strip")).to_contain_text("Automatic deployment is off")
        expect(page.locator("#strip")).to_contain_text("by ada: “storage <b>work</b>”")
        # The one who only looks sees it without doing anything, and has no button.
        expect(vic.page.locator("#strip")).to_contain_text("Automatic deployment is off")
        expect(vic.page.get_by_role("link", name="Switch on…")).to_have_count(0)
        assert vic.page.goto("/switch").status == 403  # type: ignore[union-attr]


def test_it_works_without_a_script(chromium: Browser, daemon: WebDaemon) -> None:
    turn(daemon, on=True)
    with signed_in(chromium, daemon, script=False) as ada:
        page = ada.page
        page.goto("/")
        expect(page.locator("#live")).to_contain_text("As of")
        page.get_by_role("link", name="Switch off…").click()
        page.get_by_label("Why?").fill("by hand")
        page.get_by_role("button", name="Switch off for everything").click()
        expect(page.locator("#strip")).to_contain_text("is off")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [DESK, PHONE], ids=["desk", "phone"])
def test_its_manners(chromium: Browser, daemon: WebDaemon, width: int, *, dark: bool) -> None:
    with signed_in(chromium, daemon, width=width, dark=dark) as ada:
        look = f"{'dark' if dark else 'light'}-{'phone' if width == PHONE else 'desk'}"
        check_manners(ada.open("/switch"), f"switch-{look}")
