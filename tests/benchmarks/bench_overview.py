"""The overview with 1,000 projects: what the server takes to make it, and the browser to show it.

On the server it stands beside one with twenty, of which one is in every state; in the browser
beside the same rows where those that nobody sees are laid out, too. CPU is that of this process;
what takes how long in the browser is told by its own clock.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from reconciler.app import Application
from reconciler.web.asgi import create_web
from reconciler.web.happenings import Looker, Scene
from tests.benchmarks.cost import cost_of
from tests.benchmarks.table import Row, median, print_table
from tests.parts.asgi import Caller
from tests.parts.pages import make_person, signed_in
from tests.parts.shown import show_every_state, show_many
from tests.parts.web_client import WebDaemon, ok
from tests.parts.web_daemon import open_application

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

PROJECTS = 1_000
ROUNDS = 5
#: From asking for the page on until its scripts have run, in ms.
_USABLE = "() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
_LAY_OUT_ALL = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(".row { content-visibility: visible !important }");
  document.adoptedStyleSheets = [sheet];
  document.body.getBoundingClientRect();
}"""
#: Writes what is searched for, and returns how long it takes until all is laid out, in ms.
_TYPE = """(text) => {
  const search = document.querySelector("input[type=search]");
  const began = performance.now();
  search.value = text;
  search.dispatchEvent(new Event("input", { bubbles: true }));
  document.body.getBoundingClientRect();
  return performance.now() - began;
}"""
_WATCH_ROWS = """() => {
  window.put = 0;
  new MutationObserver((changes) => {
    for (const one of changes)
      for (const node of one.addedNodes) window.put += node.matches?.(".row");
  }).observe(document.querySelector(".list"), { childList: true });
}"""


@dataclass(frozen=True)
class Served:
    """CPU that one daemon takes for its overview, in ms."""

    first: float
    again: float
    one_row: float
    first_look: float
    next_look: float
    kib: float


def test_what_the_server_takes(tmp_path: Path) -> None:
    """Print what is made of the page, and of what changed."""
    many, few = _serve(tmp_path / "many", PROJECTS), _serve(tmp_path / "few", 1)
    print_table(
        f"overview of {PROJECTS:,} projects, served",
        [
            Row("page where nothing changed, CPU ms", many.again, few.again, "aim 100 ms"),
            Row("page for the first time, CPU ms", many.first, few.first, "looks, makes all rows"),
            Row("one row, CPU ms", many.one_row, few.one_row),
            Row("first look at the store, CPU ms", many.first_look, few.first_look),
            Row("look after a change, CPU ms", many.next_look, few.next_look),
            Row("size, KiB", many.kib, few.kib),
        ],
        theirs="of 22",
    )


def _serve(folder: Path, projects: int) -> Served:
    with WebDaemon(folder) as daemon:
        _fill(daemon, projects)
        token = daemon.admin_token
    application = open_application(folder)
    try:
        return asyncio.run(_ask(application, token))
    finally:
        application.close()


async def _ask(application: Application, token: str) -> Served:
    caller = Caller(create_web(application), token)

    async def cpu_of(path: str) -> tuple[float, int]:
        began = time.process_time()
        answer = await caller.ask("GET", path)
        assert answer.status == 200, answer.text
        return (time.process_time() - began) * 1e3, len(answer.body)

    first, size = await cpu_of("/")
    again = [(await cpu_of("/"))[0] for _ in range(ROUNDS)]
    one_row = [(await cpu_of("/?rows=blog"))[0] for _ in range(ROUNDS)]
    looker, scenes = Looker(application), [Scene()]
    looks = [cost_of(lambda: scenes.append(looker.look(scenes[-1]))) for _ in range(ROUNDS)]
    took = [one.cpu_seconds * 1e3 for one in looks]
    return Served(first, median(again), median(one_row), took[0], median(took[1:]), size / 2**10)


@pytest.mark.needs_browser
def test_what_the_browser_takes(tmp_path: Path, chromium: Browser) -> None:
    """Print how soon it can be used, and what a letter and an update of one project cost."""
    with WebDaemon(tmp_path) as daemon:
        _fill(daemon, PROJECTS)
        make_person(daemon)
        with signed_in(chromium, daemon) as ada:
            page = ada.open("/")
            usable = [_reload(page) for _ in range(ROUNDS)]
            letters = _type(page)
            page.evaluate(_LAY_OUT_ALL)
            all_letters = _type(page)
            page.reload()
            update, put = _update(page, daemon)
    assert put == 1, "one update of one project repaints one row"
    print_table(
        f"overview of {PROJECTS:,} projects, in Chromium",
        [
            Row("usable after, ms", median(usable), None, "aim 1,000 ms"),
            Row("finding by a letter, ms", median(letters), median(all_letters)),
            Row("one update is seen after, ms", update, None, "the store is looked at each second"),
            Row("rows that it repaints", put, None, "aim 1"),
        ],
        theirs="all laid out",
    )


def _reload(page: Page) -> float:
    page.reload()
    expect(page.locator("#live")).to_have_text("Live")
    found: float = page.evaluate(_USABLE)
    return found


def _type(page: Page) -> Sequence[float]:
    texts = ("a", "ap", "app", "app-00", "app-0", "")
    return [page.evaluate(_TYPE, text) for text in texts * ROUNDS]


def _update(page: Page, daemon: WebDaemon) -> tuple[float, int]:
    expect(page.locator("#live")).to_have_text("Live")
    page.evaluate(_WATCH_ROWS)
    began = time.perf_counter()
    ok(daemon.local.patch("/api/v1/projects/app-0007", json={"auto_deploy": False}))
    expect(page.locator("#p-app-0007 .st")).to_have_text("Off", timeout=30_000)
    took = (time.perf_counter() - began) * 1e3
    put: int = page.evaluate("() => window.put")
    return took, put


def _fill(daemon: WebDaemon, projects: int) -> None:
    show_many(daemon, projects)
    show_every_state(daemon)
