"""From the printed link to a first project that deploys what is pushed, all of it in a browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.parts.daemon import Daemon
from tests.parts.git_server import GitServer
from tests.parts.pages import PASSWORD, check_manners, telling
from tests.parts.shop import Images, Shop, removing

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
]

#: A deployment takes some four seconds; on a machine that is busy, many more.
_WITHIN_MS = 60_000


def test_from_the_printed_link_to_a_push_that_arrives(
    chromium: Browser, images: Images, tmp_path: Path
) -> None:
    """An account, four answers, a verified deployment; then a push shows up without a reload."""
    name = images.engine.unique("first")
    with GitServer() as server, Daemon() as daemon, removing(daemon, images.engine, name):
        repository = server.repository("team/first.git")
        shop = Shop(daemon, images.engine, images, repository, name, str(repository.path))
        first = shop.commit(shop.version("one"))
        said = daemon.cli("set-up-token").err
        link = re.search(r"http://\S+/set-up#\S+", said)
        assert link, said
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        with telling(page):
            page.goto(link[0])
            become_admin(page)
            add_project(page, server.url("team/first.git"), name)
            check_manners(page, "first-project-plan")
            page.get_by_role("button", name="Deploy once now").press("Enter")

            head = page.locator("#head")
            expect(head).to_contain_text(f"Runs {first[:8]}", timeout=_WITHIN_MS)
            expect(page.locator("#next")).to_contain_text("Switch auto-deploy on")
            assert shop.running_version() == "one"
            page.get_by_role("switch").click()
            page.get_by_role("dialog").get_by_role("button", name="Switch auto-deploy on").click()
            expect(page.locator("#next")).to_contain_text("Push a commit and watch it arrive.")

            page.evaluate("document.documentElement.dataset.mark = 'the same page'")
            second = shop.commit(shop.version("two"))
            shop.look()
            expect(head).to_contain_text(f"Runs {second[:8]}", timeout=_WITHIN_MS)
            expect(page.locator("html")).to_have_attribute("data-mark", "the same page")
            expect(page.locator("#next")).to_be_empty()
            assert shop.running_version() == "two"
        context.close()


def become_admin(page: Page) -> None:
    page.get_by_label("Your name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Set up and sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your first project")


def add_project(page: Page, url: str, name: str) -> None:
    """Answer the first three questions, and wait for the plan."""
    page.get_by_label("Address of the repository").fill(url)
    page.get_by_label("Name of the project").fill(name)
    go_on = page.get_by_role("button", name="Check and go on")
    go_on.click()
    expect(page.locator("main")).to_contain_text("compose.yaml at")
    go_on.click()
    page.get_by_label("The service people reach").select_option("web")
    page.get_by_label("Its port").fill("80")
    go_on.click()
    expect(page.get_by_role("button", name="Deploy once now")).to_be_visible(timeout=_WITHIN_MS)
