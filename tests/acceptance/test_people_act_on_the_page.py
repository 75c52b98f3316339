"""What people do on the page comes true on a real project, and is read back from the API."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.parts.pages import Reading, check_manners, make_person, signed_in
from tests.parts.shop import Shop
from tests.parts.waiting import eventually

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
]

#: Well only once the test says so.
WAITS_FOR_GO = """
healthcheck: {test: ["CMD", "test", "-e", "/go"], interval: 1s, retries: 1000}"""


def test_a3_a4_f1_a_project_is_run_from_the_page(own_shop: Shop, chromium: Browser) -> None:
    """A3, A4, F1: the toggle, the switch, deploy, roll back, quarantine, pause and cancel."""
    shop = own_shop
    shop.daemon.patch(f"projects/{shop.name}", {"auto_deploy": False})
    make_person(shop.daemon)
    with signed_in(chromium, shop.daemon) as ada:
        _toggle_by_keyboard(shop, ada)
        _switch_holds_a_push(shop, ada)
        _bad_one_comes_back(shop, ada)
        _pause_lift_and_go_back(shop, ada)
        _resume_and_cancel(shop, ada)
        _restart_costs_nothing_that_was_typed(shop, ada)


def _toggle_by_keyboard(shop: Shop, ada: Reading) -> None:
    pushed = shop.push(shop.version("first"))
    page = ada.open(f"/projects/{shop.name}")
    expect(page.get_by_role("switch")).not_to_be_checked()
    page.get_by_role("switch").focus()
    page.keyboard.press("Space")
    act = page.get_by_role("dialog").get_by_role("button", name="Switch auto-deploy on")
    expect(act).to_be_visible()
    for _ in range(8):  # at most: the links in what will happen, the way out, the act
        page.keyboard.press("Tab")
        if act.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("switch")).to_be_checked()
    expect(page.locator("#came-of")).to_contain_text("Auto-deploy is on.")
    shop.deployed(1, commit=pushed.commit)
    assert shop.shown()["auto_deploy"] is True
    assert shop.running_version() == "first"


def _switch_holds_a_push(shop: Shop, ada: Reading) -> None:
    page = ada.page
    _flip(page, "Switch off…", "Switch off for everything", "is off")
    pushed = shop.push(shop.version("second"))
    expect(page.locator("#head")).to_contain_text("Held")
    assert len(shop.all()) == 1
    # A person deploys all the same, and sees first what that changes.
    page.locator("#head").get_by_role("link", name="Deploy now…").click()
    expect(page.locator(".diff")).to_contain_text("VERSION: second")
    check_manners(page, "act-deploy-plan")
    page.get_by_role("button", name=f"Deploy {pushed.commit[:8]} now").click()
    expect(page.locator("#came-of")).to_contain_text("Deployment #2 is")
    assert shop.deployed(2, commit=pushed.commit)["causes"][0]["trigger"] == "person"
    expect(page.locator("#came-of")).to_contain_text("Deployment #2 is verified.")
    _flip(page, "Switch on…", "Switch on", "is on")


def _flip(page: Page, opener: str, act: str, becomes: str) -> None:
    address = page.url
    page.locator("#strip").get_by_role("link", name=opener).click()
    page.get_by_label("Why?").fill("moving house")
    page.get_by_role("button", name=act, exact=True).click()
    expect(page.locator("#strip")).to_contain_text(f"Automatic deployment {becomes}")
    page.goto(address)


def _bad_one_comes_back(shop: Shop, ada: Reading) -> None:
    page = ada.page
    image = shop.images.plain()
    bad = shop.push(shop.version("bad", f'{image}\ncommand: ["sh", "-c", "exit 3"]'))
    assert shop.settled(3)["status"] == "rolled-back"
    expect(page.locator("#head")).to_contain_text("Quarantined")
    # To deploy it again is to insist, and the page says on what.
    ada.open(f"/projects/{shop.name}/deploy")
    expect(page.get_by_role("main")).to_contain_text("It is quarantined since it failed")
    expect(page.get_by_role("button", name=f"Try {bad.commit[:8]} again")).to_be_visible()


def _pause_lift_and_go_back(shop: Shop, ada: Reading) -> None:
    page = ada.open(f"/projects/{shop.name}")
    page.locator("#head").get_by_role("link", name="Pause…").click()
    page.get_by_label("Why?").fill("looking into it")
    page.get_by_role("button", name=f"Pause {shop.name}").click()
    expect(page.locator("#came-of")).to_contain_text("looking into it")
    assert shop.shown()["freeze"]["by"] == "ada"

    ada.open(f"/projects/{shop.name}/quarantine")
    page.get_by_role("button", name="Lift the quarantine").click()
    expect(page.locator("#came-of")).to_contain_text("The quarantine is lifted.")
    assert shop.shown()["quarantined"] == []

    page.locator("#head").get_by_role("link", name="Roll back…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("was verified")
    dialog.get_by_role("button", name="Roll back to").click()
    expect(page.locator("#came-of")).to_contain_text("Deployment #4")
    assert shop.deployed(4)["restores"] == 1
    assert shop.running_version() == "first"


def _resume_and_cancel(shop: Shop, ada: Reading) -> None:
    page = ada.page
    shop.push(shop.version("third", f"{shop.images.plain()}{WAITS_FOR_GO}"))
    assert len(shop.all()) == 4
    page.locator("#head").get_by_role("link", name="Resume…").click()
    page.get_by_role("button", name=f"Resume {shop.name}").click()
    expect(page.locator("#came-of")).to_contain_text("Resumed.")
    assert shop.shown()["freeze"] is None
    running = shop.daemon.in_stage(shop.name, "verify")
    ada.open(f"/deployments/{running['id']}/cancel")
    expect(page.locator("#confirm")).to_contain_text("goes on to its end")
    expect(page.locator("#confirm button")).to_have_count(0)

    shop.push(shop.version("fourth"))
    eventually(lambda: len(shop.all()) == 6, what="the next one waits")
    ada.open("/deployments/6/cancel")
    page.get_by_role("button", name="Cancel #6").click()
    page.wait_for_url("**/deployments/6?did=cancelled&of=6")
    assert shop.daemon.deployment(6)["status"] == "withdrawn"
    shop.engine.docker("exec", shop.running()["Id"], "touch", "/go")
    shop.settled(6)
    assert shop.daemon.deployment(5)["status"] == "deployed"


def _restart_costs_nothing_that_was_typed(shop: Shop, ada: Reading) -> None:
    page = ada.open(f"/projects/{shop.name}")
    page.locator("#head").get_by_role("link", name="Pause…").click()
    reason = page.get_by_label("Why?")
    reason.fill("before the restart")
    shop.daemon.stop()
    expect(page.locator("#live")).to_contain_text("Not live since")
    shop.daemon.start()
    # A page looks again within some seconds; what changed meanwhile is there, too.
    expect(page.locator("#live")).to_have_text("Live", timeout=30_000)
    expect(reason).to_have_value("before the restart")
    page.get_by_role("button", name=f"Pause {shop.name}").click()
    expect(page.locator("#came-of")).to_contain_text("before the restart")
    assert shop.shown()["freeze"]["reason"] == "before the restart"
    ada.said[:] = [one for one in ada.said if "ERR_" not in one]  # of the daemon that was not there
