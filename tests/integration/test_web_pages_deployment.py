"""One deployment and all of them in a real browser: how far it is, why it ended so, its log."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from reconciler.domain.channel import Address, Channel, ChannelName
from reconciler.domain.deployment import (
    Deployment,
    DeploymentId,
    Stage,
    Status,
    TargetStatus,
    Trigger,
)
from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.project import ProjectKind
from reconciler.domain.secret import Secret
from reconciler.ports import Claim
from reconciler.store.sql_store import SqlStore
from reconciler.web.pages.deployment.log_lines import PAGE
from tests.parts.coloured_lines import CASES
from tests.parts.made_up import digest_of, target_of
from tests.parts.pages import DESK, PHONE, check_manners, make_person, overflow, signed_in
from tests.parts.showing import ATLAS, VEGA, Shown, opened
from tests.parts.web_client import WebDaemon

pytestmark = pytest.mark.needs_browser

HOSTILE = "<script>window.t44=1</script><img src=x onerror=t44=1> \u202egnp.exe " + "w" * 253
ERROR = "KeyError: 'PAYMENT_CALLBACK_URL'"
LONG = 9000  #: lines; far more than are in the page at once


@dataclass
class Scene:
    """A daemon, and deployments in it."""

    daemon: WebDaemon
    running: int
    queued: int
    rolled_back: int
    failed: int
    coloured: int
    long: int
    overtaken: int


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with WebDaemon(tmp_path_factory.mktemp("pages")) as daemon:
        make_person(daemon)
        make_person(daemon, "vic", role="viewer")
        with opened(daemon) as store:
            yield _show(daemon, Shown(store))


def _show(daemon: WebDaemon, shown: Shown) -> Scene:
    made = Channel(ChannelName("ops"), shown.now)
    shown.store.create_channel(made, Address(Secret.of("ntfys://ntfy.example/ours")))
    shop = shown.declare("web-shop", host=ATLAS)
    good = shown.deploy(shop, 1, shown.ago(days=3))
    back = _roll_back(shown, shown.begin(shop, 2, shown.ago(minutes=12), Trigger.PUSH), good)
    two = [target_of("two-hosts", ProjectKind.COMPOSE, one) for one in (ATLAS, VEGA)]
    both = shown.declare("two-hosts", targets=tuple(two))
    at = shown.ago(days=1)
    error = Failure("not-healthy", HOSTILE, Recovery.STALL, "push a mended commit", {})
    failed = shown.fail(shown.begin(both, 1, at, Trigger.PERSON), at, error)
    blog = shown.declare("blog", host=ATLAS)
    coloured = shown.begin(blog, 1, shown.ago(days=2))
    lines = [line for line, _ in CASES]
    shown.store.append_log(coloured.deployment.id, Stage.PREPARE, lines, shown.ago(days=2))
    shown.finish(coloured, shown.ago(days=2))
    long = _long(shown, shown.begin(blog, 2, shown.ago(days=1)))
    gateway = shown.declare("api-gateway", host=ATLAS)
    for version in (1, 2):
        shown.deploy(gateway, version, shown.ago(days=5 - version))
    at = shown.now - timedelta(seconds=37)
    running = shown.begin(gateway, 3, at, Trigger.IMAGE_WATCH)
    shown.walk(running, at)
    queued = shown.ask(gateway, 4, shown.now, Trigger.WEBHOOK)
    numbers = (running.deployment.id, queued.id, back.id, failed.id, coloured.deployment.id, long)
    return Scene(daemon, *numbers, _overtaken(shown))


def _overtaken(shown: Shown) -> int:
    """Have one that was rolled back, and another that was verified since."""
    kiosk = shown.declare("kiosk", host=ATLAS)
    good = shown.deploy(kiosk, 1, shown.ago(days=3))
    back = _roll_back(shown, shown.begin(kiosk, 2, shown.ago(minutes=12)), good)
    shown.deploy(kiosk, 3, shown.ago(minutes=5))
    return back.id


def _roll_back(shown: Shown, claim: Claim, good: Deployment) -> Deployment:
    """Have it never come up, and the good one serve again; with what was read back of both."""
    store, number, at = shown.store, claim.deployment.id, shown.ago(minutes=12)
    at = shown.walk(claim, at)
    said = ["web: last lines of container 0f3b:", "  Starting shop 4.12.0", f"  {ERROR}"]
    store.append_log(number, Stage.VERIFY, [*said, f"  {HOSTILE}"], at)
    store.append_log(number, Stage.VERIFY, ["failed: web exited with status 1"], at)
    error = Failure(
        "verification-failed", "web: exited with status 1, 5 times", Recovery.STALL, "", {}
    )
    evidence = {"verify": _read_back(2, healthy=False)}
    store.end_stage(claim, Stage.VERIFY, "failed", at := at + timedelta(seconds=18))
    store.record_target(claim, ATLAS, TargetStatus.FAILED, at, error=error, evidence=evidence)
    store.begin_stage(claim, Stage.ROLL_BACK, at)
    store.append_log(number, Stage.ROLL_BACK, [f"rolling back to deployment {good.id}"], at)
    store.end_stage(claim, Stage.ROLL_BACK, "ok", at := at + timedelta(seconds=27))
    evidence = {**evidence, "roll-back": _read_back(1, healthy=True)}
    store.record_target(claim, ATLAS, TargetStatus.ROLLED_BACK, at, error=error, evidence=evidence)
    ended = {"error": error, "rolled_back_to": good.id, "quarantine": error.message}
    store.finish(claim, Status.ROLLED_BACK, at, **ended)  # type: ignore[arg-type]  # by name
    return store.get_deployment(number)


def _read_back(version: int, *, healthy: bool) -> dict[str, object]:
    own = "registry.example/web-shop"
    images = (f"{own}/web:2", f"{own}/worker:2", "docker.io/library/nginx:1.29")
    running = [
        {
            "service": image.rpartition("/")[2].partition(":")[0],
            "state": "running" if healthy else "restarting",
            "health": "healthy" if healthy else "none",
            "digests": [digest_of(image, version).text],
            "restarts": 0 if healthy else 5,
        }
        for image in images
    ]
    asked, status = "http://127.0.0.1:8080/healthz", 200 if healthy else 502
    problem = "" if healthy else "answered 502"
    probes = [
        {"check": "health", "at": at, "asked": asked, "status": status, "problem": problem}
        for at in (0.1, 3.1, 6.2)
    ]
    return {"running": running, "probes": probes, "versions": [], "seconds": 15.0}


def _long(shown: Shown, claim: Claim) -> int:
    """Have one whose log is far longer than what a page holds."""
    at, number = shown.ago(days=1), claim.deployment.id
    shown.store.begin_stage(claim, Stage.PREPARE, at)
    for start in range(0, LONG, 1000):
        texts = [f"line {at + 1} of it" for at in range(start, start + 1000)]
        shown.store.append_log(number, Stage.PREPARE, texts, at)
    shown.store.finish(claim, Status.DEPLOYED, at)
    return number


def line(page: Page, number: int) -> Locator:
    return page.locator(f"#L{number}")


def ends_with(page: Page, text: str) -> Locator:
    return page.locator(".ln", has_text=re.compile(f"{text}$"))


def elements(page: Page) -> int:
    count: int = page.evaluate("() => document.querySelectorAll('*').length")
    return count


# ── One that ended badly ──────────────────────────────────────────────────────────────────────


def test_what_was_rolled_back_says_what_serves_and_why(chromium: Browser, scene: Scene) -> None:
    with signed_in(chromium, scene.daemon) as ada:
        page = ada.open(f"/deployments/{scene.rolled_back}")
        head, progress = page.locator("#head"), page.locator("#progress")
        expect(head.locator(".st")).to_have_text(["Failed", "Rolled back"])
        expect(head).to_contain_text("pushed here")
        expect(progress.get_by_role("heading")).to_contain_text("again, verified")
        expect(progress.locator(".said")).to_have_text(ERROR)
        names = ["Prepare", "Gate", "Apply", "Verify", "Roll back", "Verify again"]
        expect(progress.locator(".stage-name")).to_have_text(names)
        expect(progress.locator(".stage.fail")).to_contain_text("not verified")
        link = progress.get_by_role("link", name="Try")
        assert re.search(
            r"/projects/web-shop/deploy\?commit=\w{40}$", str(link.get_attribute("href"))
        )
        table = page.locator("#read-back")
        expect(table.get_by_text("as before")).to_have_count(4)
        expect(page.locator("#samples")).to_contain_text("3 of 6 answers good")
        record = page.locator("#aside")
        expect(record).to_contain_text("ops: waits")
        expect(record.get_by_role("link", name="What was done")).to_have_attribute(
            "href", "/audit?object=project+web-shop"
        )
        ada.open(f"/deployments/{scene.overtaken}")
        expect(progress.get_by_role("heading")).to_contain_text("kiosk went back to")
        expect(progress).to_contain_text("Nothing has to be done here")


def test_the_log_opens_at_the_first_error(chromium: Browser, scene: Scene) -> None:
    with signed_in(chromium, scene.daemon) as ada:
        page = ada.open(f"/deployments/{scene.rolled_back}")
        page.set_viewport_size({"width": DESK, "height": 1600})
        bad = page.locator(".ln.is-bad")
        expect(bad).to_contain_text(ERROR)
        expect(bad).to_be_in_viewport()
        page.get_by_role("link", name="First error").click()
        expect(page.locator(".ln.is-here")).to_contain_text(ERROR)
        expect(page).to_have_url(re.compile(r"#L\d+$"))
        assert not page.evaluate("() => 't44' in window")


def test_hosts_are_told_one_by_one(chromium: Browser, scene: Scene) -> None:
    with signed_in(chromium, scene.daemon) as ada:
        hosts = ada.open(f"/deployments/{scene.failed}").get_by_role("list", name="Hosts")
        expect(hosts.get_by_role("listitem")).to_have_count(2)
        expect(hosts).to_contain_text("atlas")


def test_somebody_who_only_looks_has_no_buttons(chromium: Browser, scene: Scene) -> None:
    with signed_in(chromium, scene.daemon, "vic") as vic:
        page = vic.open(f"/deployments/{scene.rolled_back}")
        expect(page.get_by_role("link", name="Try")).to_have_count(0)
        expect(page.locator("#progress")).to_contain_text("These may act: ada.")


# ── The log ───────────────────────────────────────────────────────────────────────────────────

SEEN = [[list(run) for run in seen] for _, seen in CASES]


def test_colours_are_the_same_with_and_without_a_script(chromium: Browser, scene: Scene) -> None:
    for script in (True, False):
        with signed_in(chromium, scene.daemon, script=script) as ada:
            ada.page.goto(f"/deployments/{scene.coloured}")
            expect(line(ada.page, len(CASES))).to_be_attached()
            assert ada.page.evaluate(_RUNS, len(CASES)) == SEEN


#: The texts of the first lines, each with its classes.
_RUNS = """(count) => Array.from({length: count}, (_, at) => {
  const row = document.getElementById(`L${at + 1}`);
  const nodes = [...row.childNodes].filter((one) => !one.matches?.('.n, .t'));
  const flat = nodes.flatMap((one) =>
    one.nodeType === 1 && !one.className.includes('a-') ? [...one.childNodes] : [one]);
  return flat.map((one) => [one.textContent, one.className ?? '']).filter(([text]) => text);
})"""


def test_a_long_log_is_in_the_page_where_it_is_looked_at(chromium: Browser, scene: Scene) -> None:
    with signed_in(chromium, scene.daemon) as ada:
        page = ada.open(f"/deployments/{scene.long}#L4321")
        expect(line(page, 4321)).to_be_in_viewport()
        expect(page.locator("#log-count")).to_have_text("9,000 lines")
        log = page.get_by_role("log")
        log.focus()
        page.keyboard.press("G")
        expect(line(page, LONG)).to_be_in_viewport()
        expect(line(page, 4321)).to_have_count(0)
        page.keyboard.press("g")
        expect(line(page, 1)).to_be_in_viewport()
        expect(page.locator(".log-stage.is-now")).to_have_text("Prepare")
        assert elements(page) < 3800
        page.keyboard.press("w")
        expect(log).to_have_class(re.compile("is-wrap"))
        expect(line(page, 1)).to_be_in_viewport()


def test_finding_counts_in_all_lines_and_goes_on(chromium: Browser, scene: Scene) -> None:
    with signed_in(chromium, scene.daemon) as ada:
        page = ada.open(f"/deployments/{scene.long}")
        page.keyboard.press("/")
        page.keyboard.type("LINE 77")
        found = page.locator("#log-found")
        expect(found).to_have_text("1 of 111")
        expect(line(page, 77)).to_be_in_viewport()
        expect(line(page, 77).locator("mark")).to_have_text("line 77")
        page.keyboard.press("Enter")
        expect(found).to_have_text("2 of 111")
        expect(line(page, 770)).to_be_in_viewport()
        page.keyboard.press("Shift+Enter")
        page.keyboard.press("Shift+Enter")
        expect(found).to_have_text("111 of 111")
        expect(line(page, 7799)).to_be_in_viewport()
        page.get_by_role("log").focus()
        page.keyboard.press("N")
        expect(found).to_have_text("110 of 111")
        page.keyboard.press("n")
        expect(line(page, 7799)).to_be_in_viewport()
        expect(page).to_have_url(re.compile(r"\?find=LINE\+77#L7799$"))


def test_the_whole_log_is_a_file(scene: Scene) -> None:
    answer = scene.daemon.local.get(f"/deployments/{scene.long}/log.txt")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert len(answer.text.splitlines()) == LONG


@pytest.mark.parametrize("query", ["find?text=", "find?from=0&text=a", "?from=0", "?count=1001"])
def test_what_makes_no_sense_is_refused(scene: Scene, query: str) -> None:
    path = f"/deployments/{scene.long}/log{'' if query.startswith('?') else '/'}{query}"
    assert scene.daemon.local.get(path).status_code == 422


# ── One under way ─────────────────────────────────────────────────────────────────────────────


def test_lines_come_in_and_nobody_is_taken_from_what_they_read(
    chromium: Browser, scene: Scene
) -> None:
    with signed_in(chromium, scene.daemon) as ada, opened(scene.daemon) as store:
        page = ada.open(f"/deployments/{scene.running}")
        page.set_viewport_size({"width": DESK, "height": 1600})
        follow = page.locator("#log-follow")
        say = partial(_say, store, scene.running)
        say(*(f"sample {number}" for number in range(10, 60)))
        expect(ends_with(page, "sample 59")).to_be_in_viewport()
        expect(follow).to_have_attribute("aria-pressed", "true")
        log = page.get_by_role("log")
        log.hover()
        page.mouse.wheel(0, -600)
        expect(follow).to_have_attribute("aria-pressed", "false")
        top = log.evaluate("log => log.scrollTop")
        say("one more", "and another")
        expect(follow).to_have_text("Follow, 2 new")
        assert log.evaluate("log => log.scrollTop") == top
        follow.click()
        expect(ends_with(page, "and another")).to_be_in_viewport()
        expect(follow).to_have_text("Follow")


def test_a_verdict_does_not_move_the_log_that_is_read(chromium: Browser, scene: Scene) -> None:
    with signed_in(chromium, scene.daemon) as ada, opened(scene.daemon) as store:
        shown = Shown(store)
        mailer = shown.declare("mailer")
        claim = shown.begin(mailer, 1, shown.now)
        page = ada.open(f"/deployments/{claim.deployment.id}")
        log, progress = page.get_by_role("log"), page.locator("#progress")
        log.focus()
        error = Failure("not-healthy", "it never came up", Recovery.STALL, "", {})
        shown.fail(claim, shown.now, error)
        offer = page.get_by_role("button", name="Show how")
        expect(offer).to_be_visible()
        expect(page.locator("#head .st")).to_have_text("Failed")
        expect(progress.locator(".verdict")).to_have_count(0)
        offer.click()
        expect(progress.locator(".verdict h2")).to_be_focused()
        expect(offer).to_have_count(0)


def _say(store: SqlStore, number: int, *texts: str) -> None:
    store.append_log(DeploymentId(number), Stage.VERIFY, texts, datetime.now(UTC))


def test_what_waits_says_for_what(chromium: Browser, scene: Scene) -> None:
    with signed_in(chromium, scene.daemon) as ada:
        page = ada.open("/deployments")
        row = page.locator("#under-way .under-way").filter(has_text=f"#{scene.queued}")
        expect(row).to_contain_text(f"1st, starts when #{scene.running} is done")
        expect(page.locator("#under-way .stage.run")).to_contain_text("Verify")
        page.get_by_label("Outcome").select_option("rolled-back")
        page.get_by_role("button", name="Show").click()
        expect(page.locator(".tl-item")).to_have_count(2)
        expect(page.locator(".tl-item").first).to_contain_text("Rolled back")
        page.get_by_label("Who asked").fill("nobody-here")
        page.get_by_role("button", name="Show").click()
        expect(page.locator(".tl-item")).to_have_count(0)
        expect(page.get_by_label("Who asked")).to_have_value("nobody-here")
        page.goto("/deployments?project=nothing-of-it&host=atlas")
        expect(page.get_by_role("heading", name="Nothing was deployed like that")).to_be_visible()


# ── Without a script, and its manners ─────────────────────────────────────────────────────────


def test_it_reads_without_a_script(chromium: Browser, scene: Scene) -> None:
    with signed_in(chromium, scene.daemon, script=False) as ada:
        page = ada.page
        page.goto(f"/deployments/{scene.long}")
        # What stands for the script is passed over by all that looks for text or roles.
        pages = page.locator("nav.log-foot")
        expect(pages.locator("span")).to_have_text("page 1 of 5")
        pages.locator("a").click()
        expect(line(page, PAGE + 1)).to_contain_text(f"line {PAGE + 1} of it")
        page.get_by_label("Find in the log").fill("line 7799")
        page.keyboard.press("Enter")
        expect(page.locator("#log-found")).to_have_text("1 of 1")
        expect(page.locator(".ln.is-here")).to_contain_text("line 7799 of it")


LOOKS = [pytest.param(DESK, False, id="light-desk"), pytest.param(PHONE, True, id="dark-phone")]


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_their_manners(chromium: Browser, scene: Scene, width: int, *, dark: bool) -> None:
    look = f"{'dark' if dark else 'light'}-{'phone' if width == PHONE else 'desk'}"
    with signed_in(chromium, scene.daemon, width=width, dark=dark) as ada:
        for name in ("rolled_back", "running", "failed"):
            page = ada.open(f"/deployments/{getattr(scene, name)}")
            expect(page.locator(".ln").first).to_be_attached()
            check_manners(page, f"deployment-{name.replace('_', '-')}-{look}")
        page = ada.open("/deployments")
        check_manners(page, f"deployments-{look}")
        page.set_viewport_size({"width": 320, "height": 800})
        assert overflow(page) <= 0
        ada.open(f"/deployments/{scene.rolled_back}")
        assert overflow(page) <= 0
