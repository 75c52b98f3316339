"""The daemon's pages in a real browser: somebody who signed in, and what every page has to be."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # no types
from playwright.sync_api import Browser, BrowserContext, Page, expect
from playwright.sync_api import Error as PlaywrightError

from tests.parts.browser import take_screenshot
from tests.parts.daemon import Daemon
from tests.parts.web_client import WebDaemon, ok

PASSWORD = "ten green bottles"
#: Rules of axe whose outcome depends on colours and sizes.
_OF_LOOKS = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]
PHONE, DESK = 390, 1280


class Serving(Protocol):
    """A daemon that serves pages, whichever its other parts are."""

    @property
    def url(self) -> str:
        """Where."""
        ...


@dataclass
class Reading:
    """Somebody with a browser, signed in."""

    page: Page
    said: list[str]  #: what the browser complained about

    def open(self, path: str) -> Page:
        """Open a page, and wait until it is live."""
        self.page.goto(path)
        expect(self.page.locator("#live")).to_have_text("Live")
        return self.page


def make_person(daemon: WebDaemon | Daemon, name: str = "ada", role: str = "admin") -> None:
    """Make somebody who may sign in."""
    body = {"name": name, "password": PASSWORD, "role": role}
    if isinstance(daemon, Daemon):
        daemon.post("people", body)
    else:
        ok(daemon.local.post("/api/v1/people", json=body))


@contextmanager
def signed_in(
    chromium: Browser,
    daemon: Serving,
    name: str = "ada",
    *,
    width: int = DESK,
    dark: bool = False,
    script: bool = True,
) -> Iterator[Reading]:
    """Sign somebody in who was made before; complaints of the browser fail the test."""
    context = chromium.new_context(
        base_url=daemon.url,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
        timezone_id="Europe/Berlin",
        reduced_motion="reduce",  # what turns is painted anew all the time
    )
    context.set_default_timeout(10_000)
    sign_in(context, daemon, name)
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    with telling(page):
        yield Reading(page, said)
    context.close()
    assert [one for one in said if _is_bad(one)] == []


@contextmanager
def telling(page: Page) -> Iterator[None]:
    """Say of a test that fails where its browser was, and what stood there."""
    try:
        yield
    except BaseException:
        with suppress(PlaywrightError):  # it may be gone
            sys.stderr.write(f"--- the browser, at {page.url} ---\n")
            sys.stderr.write(f"{page.locator('body').inner_text(timeout=2000)[:3000]}\n")
        raise


def _is_bad(said: str) -> bool:
    # A test's own look at the page is stopped by the page's policy, and says so.
    return "TrustedScript" not in said and "the server responded with a status of" not in said


def sign_in(context: BrowserContext, daemon: Serving, name: str = "ada") -> None:
    """Come in by the API: the page for it has tests of its own."""
    answer = context.request.post(
        f"{daemon.url}/api/v1/sign-in",
        data={"name": name, "password": PASSWORD},
        headers={"origin": daemon.url},
    )
    assert answer.ok, answer.text()


def check_manners(page: Page, picture: str = "") -> None:
    """Check what has to hold of every page; keep a picture of it for people to look at.

    Nobody is kept from using it (axe has no finding of any weight), it has one title, and nothing
    sticks out sideways.
    """
    # Axe takes long, and in the dark nothing but the looks can be another.
    is_dark = page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    wanted = {"runOnly": _OF_LOOKS} if is_dark else {}
    found = Axe().run(page, options={"resultTypes": ["violations"], **wanted})
    told = [_told(one) for one in found.response["violations"]]
    assert told == [], told
    assert page.locator("h1").count() == 1
    assert overflow(page) <= 0, "it is wider than the window"
    if picture:
        take_screenshot(page, picture)


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    width: int = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return width


def _told(violation: dict[str, object]) -> str:
    nodes = violation["nodes"]
    assert isinstance(nodes, Sequence)
    where = [str(one["html"])[:160] for one in nodes[:3]]
    return f"{violation['id']} ({violation['impact']}): {where}"
