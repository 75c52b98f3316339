"""A deployment's log of 100,000 lines in a browser: shown, gone through, and found in."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from reconciler.domain.deployment import Stage, Status
from tests.benchmarks.table import Row, median, print_table, quantile
from tests.parts.pages import make_person, signed_in
from tests.parts.showing import Shown, opened
from tests.parts.web_client import WebDaemon

pytestmark = [pytest.mark.bench, pytest.mark.needs_browser, pytest.mark.timeout(600)]

LINES = 100_000  #: so short that the store keeps every one
MOST_ELEMENTS = 3800
ROUNDS = 10


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("log")) as running:
        make_person(running)
        yield running


@pytest.fixture(scope="module")
def number(daemon: WebDaemon) -> int:
    """A deployment with so many lines."""
    with opened(daemon) as store:
        shown = Shown(store)
        claim = shown.begin(shown.declare("shop"), 1, shown.now)
        store.begin_stage(claim, Stage.PREPARE, shown.now)
        for start in range(0, LINES, 10_000):
            texts = [f"row {at}" for at in range(start, start + 10_000)]
            store.append_log(claim.deployment.id, Stage.PREPARE, texts, shown.now)
        store.finish(claim, Status.DEPLOYED, shown.now)
        assert store.log_extent(claim.deployment.id).count == LINES
    return claim.deployment.id


def test_a_long_log_in_a_browser(chromium: Browser, daemon: WebDaemon, number: int) -> None:
    with signed_in(chromium, daemon) as ada:
        page = ada.page
        page.add_init_script(_NOTE_FIRST_LINE)
        shown = [_shown(page, number) for _ in range(ROUNDS)]
        end, middle, elements = [], [], []
        for at in range(ROUNDS):
            end.append(_gone_to(page, LINES - at))
            elements.append(_elements(page))
            middle.append(_gone_to(page, LINES // 2 + at * 1000))
            elements.append(_elements(page))
        frames = page.evaluate(_SCROLL)
    assert max(elements) < MOST_ELEMENTS
    print_table(
        f"a log of {LINES:,} lines in Chromium",
        [
            Row("shown, ms", median(shown), note="from the request on; drawn in 73 ms is the aim"),
            Row("to the end, ms", median(end), note="15 ms without a server is the aim"),
            Row("to the middle, ms", median(middle), note="81 ms without a server is the aim"),
            Row("elements, most", max(elements), note=f"fewer than {MOST_ELEMENTS}"),
            Row("frame at 900 px, median ms", median(frames)),
            Row("frame at 900 px, p95 ms", quantile(frames, 0.95), note="34 ms is the aim"),
        ],
    )


def test_a_long_log_on_the_server(daemon: WebDaemon, number: int) -> None:
    path = f"/deployments/{number}"
    asked = {
        "200 lines at the start, ms": f"{path}/log?from=1",
        "200 lines in the middle, ms": f"{path}/log?from={LINES // 2}",
        "200 lines at the end, ms": f"{path}/log?from={LINES - 200}",
        "found in all lines, ms": f"{path}/log/find?text=row%209999",
        "the page, ms": path,
    }
    print_table(
        f"a log of {LINES:,} lines on the server",
        [
            Row(what, median([_took(daemon, one) for _ in range(ROUNDS)]))
            for what, one in asked.items()
        ],
    )


def _took(daemon: WebDaemon, path: str) -> float:
    began = time.perf_counter()
    assert daemon.local.get(path).is_success
    return 1000 * (time.perf_counter() - began)


def _shown(page: Page, number: int) -> float:
    page.goto(f"/deployments/{number}")
    expect(page.locator("#L1")).to_be_attached()
    return _number(page.evaluate("() => window.firstLineAt"))


def _gone_to(page: Page, line: int) -> float:
    return _number(page.evaluate(_GO, line))


def _elements(page: Page) -> int:
    return int(_number(page.evaluate("() => document.querySelectorAll('*').length")))


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


_NOTE_FIRST_LINE = """new MutationObserver((_, watcher) => {
  if (!document.querySelector('.ln')) return;
  watcher.disconnect();
  requestAnimationFrame(() => { window.firstLineAt = performance.now(); });
}).observe(document, { childList: true, subtree: true });"""
_GO = """async (line) => {
  const log = document.querySelector('#log');
  const frame = () => new Promise(requestAnimationFrame);
  const began = performance.now();
  location.hash = `#L${line}`;
  for (;;) {
    const row = document.getElementById(`L${line}`);
    const at = row && row.getBoundingClientRect().top - log.getBoundingClientRect().top;
    if (row && at >= 0 && at < log.clientHeight) return performance.now() - began;
    await frame();
  }
}"""
#: How long each of many frames takes in which it moves by two of its heights.
_SCROLL = """async () => {
  const log = document.querySelector('#log');
  const frame = () => new Promise(requestAnimationFrame);
  log.scrollTop = 0;
  const took = [];
  let before = await frame();
  for (let at = 0; at < 240; at++) {
    log.scrollTop += 900;
    const now = await frame();
    took.push(now - before);
    before = now;
  }
  return took;
}"""
