"""Somebody watches in a browser what a daemon does: a deployment, and one that is rolled back."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.parts.daemon import Daemon
from tests.parts.docker_engine import DockerEngine
from tests.parts.pages import PASSWORD, signed_in
from tests.parts.shop import Images, Shop, hosted_shop

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
]

#: Beside its own words nothing says why it ends.
CRASHES = """command: ["sh", "-c", "echo starting; echo KeyError: PAYMENT_URL >&2; exit 1"]"""
#: Milliseconds that a stage may take on a busy machine.
PATIENCE = 60_000


@pytest.fixture
def watched(engine: DockerEngine) -> Iterator[Daemon]:
    """A daemon that verifies long enough to be watched at it."""
    with Daemon({"stability_unchecked_seconds": 4}) as running:
        running.post("people", {"name": "ada", "password": PASSWORD, "role": "admin"})
        yield running


def test_a_deployment_is_watched_to_its_end(
    watched: Daemon, images: Images, chromium: Browser, tmp_path: Path
) -> None:
    with (
        hosted_shop(watched, images, tmp_path) as shop,
        signed_in(chromium, watched) as ada,
    ):
        shop.push(shop.version("first"))
        first = watched.in_stage(shop.name, "verify")
        shop.push(shop.version("second"))
        second = shop.all()[-1]
        page = ada.open("/deployments")
        expect(page.locator("#under-way")).to_contain_text(f"starts when #{first['id']} is done")
        page.get_by_role("link", name=f"#{second['id']}").click()
        _watch_it_verified(page)
        shop.deployed(2)
        shop.push(shop.version("third", f"{images.plain()}\n{CRASHES}"))
        _watch_it_rolled_back(ada.open(f"/deployments/{_newest(shop)}"))
        assert shop.settled(3)["status"] == "rolled-back"


def _newest(shop: Shop) -> int:
    return int(shop.all()[-1]["id"])


def _watch_it_verified(page: Page) -> None:
    """See it wait, then each stage and its lines, then how it ended; the page is never reloaded."""
    badge = page.locator("#head .st")
    expect(badge).to_have_text("Queued")
    page.evaluate("() => { window.stayed = true }")
    expect(badge).to_have_text("Deploying", timeout=PATIENCE)
    expect(page.locator(".stage[aria-current]")).to_contain_text("Verify", timeout=PATIENCE)
    expect(page.locator(".ln").first).to_be_attached()
    expect(badge).to_have_text("Verified", timeout=PATIENCE)
    expect(page.locator(".ln", has_text="deployed:")).to_be_attached()
    expect(page.locator("#read-back").get_by_text("match")).to_have_count(2)
    # Told once, and last; what came within five seconds of it is told in one breath.
    expect(page.locator("#announce")).to_have_text(
        re.compile(r"^((Gate|Apply|Verify) began\. )*It has ended: Verified$")
    )
    assert page.evaluate("() => window.stayed")


def _watch_it_rolled_back(page: Page) -> None:
    expect(page.locator("#head .st")).to_have_text(["Failed", "Rolled back"], timeout=PATIENCE)
    progress = page.locator("#progress")
    expect(progress.locator(".said")).to_have_text("KeyError: PAYMENT_URL")
    expect(progress.get_by_role("heading")).to_contain_text("again, verified")
    progress.get_by_role("link", name=re.compile("First error, line")).click()
    expect(page.locator(".ln.is-here")).to_contain_text("KeyError: PAYMENT_URL")
    expect(page.locator(".ln.is-here")).to_be_in_viewport()
    expect(page.locator("#read-back").get_by_text("as before")).to_have_count(2)
