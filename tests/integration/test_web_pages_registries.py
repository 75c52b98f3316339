"""Registries and deliveries in a real browser: what is known of each, and looking again."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.errors import Recovery, SourceDenied
from reconciler.domain.failure import Failure
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, Digest, ProjectName
from reconciler.domain.state import RegistryTrouble, SourceHealth, WatchedImage
from reconciler.domain.webhook import WebhookName
from reconciler.domain.webhook_payload import PushHint
from reconciler.domain.webhook_signature import Verdict
from reconciler.ports import Delivery, PollResult
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from tests.parts.http_server import Answer, HttpServer
from tests.parts.pages import DESK, PHONE, check_manners, make_person, overflow, signed_in
from tests.parts.web_client import WebDaemon, ok

pytestmark = pytest.mark.needs_browser

V1 = "/api/v1"
SHOP, BLOG = ProjectName("web-shop"), ProjectName("blog")
HOOK, MANY = WebhookName("web-shop"), WebhookName("many")
#: Of a stranger: a program, what turns the direction of writing, and no space to break at.
HOSTILE = "<script>document.title='ran'</script>\u202egnp." + "x" * 200
PARTNER = "images.partner.example"
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def registry() -> Iterator[HttpServer]:
    """One that answers, whoever asks."""
    with HttpServer(lambda _: Answer(200)) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, registry: HttpServer) -> Iterator[WebDaemon]:
    """Return one with two projects, three registries and deliveries of every kind."""
    own = registry.url.removeprefix("http://")
    settings = {
        "REGISTRY_ADDR": own,
        "REGISTRY_USER": "deploy",
        "REGISTRY_PASSWORD": "not-to-be-seen",
        "RECONCILER_INSECURE_REGISTRIES": own,
    }
    with WebDaemon(tmp_path_factory.mktemp("pages"), settings=settings) as running:
        make_person(running)
        make_person(running, "vic", role="viewer")
        declare(running, SHOP)
        declare(running, BLOG)
        hook = {"name": HOOK, "provider": "forgejo", "project": SHOP}
        ok(running.local.post(f"{V1}/webhooks", json=hook))
        ok(running.local.post(f"{V1}/webhooks", json={"name": MANY, "provider": "gitea"}))
        folder = running.folder / "data"
        clock = SystemClock()
        store = open_store(
            folder / "state.db",
            lambda may_create: KeySources(folder).open(may_create=may_create),
            clock,
        )
        try:
            fill(store, own, clock.now())
        finally:
            store.close()
        yield running


def declare(daemon: WebDaemon, name: ProjectName) -> None:
    body = {
        "name": name,
        "kind": "compose",
        "url": f"https://git.example/{name}.git",
        "expose_service": "web",
        "expose_port": 80,
        "auto_deploy": name == SHOP,
    }
    ok(daemon.local.post(f"{V1}/projects", json=body))


def fill(store: SqlStore, own: str, now: datetime) -> None:
    """Keep what registries and forges would have brought."""
    denied = Failure(SourceDenied.code, HOSTILE, Recovery.OPERATOR)
    digest, seen = Digest(f"sha256:{'4f' * 32}"), now - 3 * MINUTE
    images = {
        SHOP: [
            WatchedImage(f"{own}/shop/web:3", ("web",), "", digest, seen, seen),
            WatchedImage(f"{PARTNER}/fonts:1", ("fonts",), "", digest, seen, seen),
            WatchedImage("ghcr.io/team/tool:2", ("tool",), looked_at=seen, error=denied),
            WatchedImage("docker.io/library/redis:7", ("cache",), "", digest, seen, seen),
        ],
        BLOG: [WatchedImage("docker.io/library/redis:7", ("cache",), "", digest, seen, seen)],
    }
    for name, found in images.items():
        store.put_images(name, "read", found)
        store.record_lookups({name: found})
    cooled = f"{PARTNER} asked to wait: {HOSTILE}"
    store.put_registry_trouble(
        RegistryTrouble(PARTNER, ReasonCode.REGISTRY_COOLED, cooled, now, now + 9 * MINUTE)
    )
    record_moves(store, now)
    ping = Delivery(MANY, now - 50 * MINUTE, "10.0.3.8", Verdict.VERIFIED, "ping", note="a ping")
    store.record_deliveries([ping] * 60, {})
    push = PushHint("team/web-shop", frozenset({"main"}))
    strange = PushHint("team/web-shop", frozenset({HOSTILE}))
    came = Delivery(HOOK, now - 30 * MINUTE, "10.0.3.7", Verdict.VERIFIED, "push", hint=push)
    store.record_deliveries(
        [
            Delivery(HOOK, now - 40 * MINUTE, "10.0.3.7", Verdict.VERIFIED, "ping", note="a ping"),
            came_led(came, "admitted: deployment 42 is queued"),
            Delivery(
                HOOK,
                now - 20 * MINUTE,
                "10.0.3.7",
                Verdict.VERIFIED,
                "push",
                note=f"no project follows {HOSTILE}",
                hint=strange,
            ),
            Delivery(HOOK, now - 10 * MINUTE, "203.0.113.9", Verdict.WRONG, "push"),
        ],
        {},
    )


def came_led(delivery: Delivery, text: str) -> Delivery:
    return Delivery(
        delivery.webhook,
        delivery.at,
        delivery.remote,
        delivery.verdict,
        delivery.event,
        "f6266f16",
        led_to={SHOP: text},
        hint=delivery.hint,
    )


def record_moves(store: SqlStore, now: datetime) -> None:
    """Have polls find three pushes that nobody announced."""
    for at, letter in enumerate("abcd"):
        seen = now - (60 - at) * MINUTE
        health = SourceHealth(looked_at=seen, observed=CommitSha(letter * 40), observed_at=seen)
        store.record_polls([PollResult(SHOP, health, announced=False if at else None)])


def row_of(page: Page, name: str) -> str:
    """Return what the list says of one."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name)).inner_text()


# ── Registries ────────────────────────────────────────────────────────────────────────────────


def test_every_registry_says_whether_it_answers(
    chromium: Browser, daemon: WebDaemon, registry: HttpServer
) -> None:
    """Looking asks nothing of the network; asking does, of those alone that are known here."""
    own = registry.url.removeprefix("http://")
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/registries")
        assert "Not asked yet" in row_of(page, own)
        assert "deploy" in row_of(page, own)
        assert "Cooling" in row_of(page, PARTNER)
        assert "Refused" in row_of(page, "ghcr.io")
        hub = row_of(page, "docker.io")
        assert "164 of 200" in hub
        assert "Yes" in hub
        ada.open("/registries/docker.io")
        expect(page.locator("#images")).to_contain_text("1 image, about 6 requests an hour")
        expect(page.locator("#images")).to_contain_text("only when a person asks")
        expect(page.locator("#known")).to_contain_text("Each pull counts for 6 h 00 min")
        assert registry.requests == []
        ada.open(f"/registries/{own}")
        page.get_by_role("button", name="Ask it now").click()
        expect(page.get_by_role("status").first).to_contain_text(f"{own} answers")
        expect(page.locator("#known")).to_contain_text("answered")
        assert [one.path for one in registry.requests] == ["/v2/"]
        assert "not-to-be-seen" not in page.content()
        ada.open(f"/registries/{PARTNER}")
        expect(page.get_by_text("no look-up means no change")).to_be_visible()
        expect(page.get_by_role("button", name="Ask it now")).to_have_count(0)
        assert page.goto("/registries/evil.example").status == 404  # type: ignore[union-attr]
        assert page.title() != "ran"


def test_credentials_are_stored_and_never_shown(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon, script=False) as ada:
        page = ada.page
        page.goto("/registries/ghcr.io")
        page.get_by_role("link", name="Set…").click()
        page.get_by_label("User").fill("bot")
        page.get_by_label("Password or token").fill("s3cret-of-ghcr")
        page.get_by_role("button", name="Store it").click()
        expect(page.locator("#whom")).to_contain_text("bot its own")
        page.get_by_role("link", name="Replace…").click()
        expect(page.get_by_label("Password or token")).to_be_empty()
        assert "s3cret-of-ghcr" not in page.content()
        page.get_by_label("User").fill("two words")
        page.get_by_label("Password or token").fill("x")
        page.get_by_role("button", name="Replace it").click()
        expect(page.locator("#problem-username")).to_contain_text("without spaces")
        page.get_by_role("button", name="Remove it").click()
        expect(page.locator("#whom")).to_contain_text("nobody in particular")


# ── Deliveries ────────────────────────────────────────────────────────────────────────────────


def test_deliveries_tell_what_came_of_them(chromium: Browser, daemon: WebDaemon) -> None:
    """Newest first; what is missing stands above; a stranger's words stay words."""
    with signed_in(chromium, daemon, "vic") as vic:
        page = vic.open("/deliveries?source=web-shop")
        expect(page.locator("#losses")).to_contain_text(
            "3 of the last 3 pushes of web-shop came without a delivery"
        )
        expect(page.locator("#losses")).to_contain_text("was refused: bad signature")
        outcomes = page.locator("tbody .st").all_inner_texts()
        assert outcomes == ["Refused", "Ignored", "Accepted", "Ignored"]
        led_to = page.get_by_role("link", name="#42")
        expect(led_to).to_have_attribute("href", "/deployments/42")
        page.get_by_role("link", name="Refused", exact=True).click()
        expect(page.get_by_label("Through which webhook")).to_have_value("web-shop")
        expect(page.locator("tbody tr")).to_have_count(1)
        page.get_by_role("row").get_by_role("link").click()
        expect(page.get_by_text("give both a new one")).to_be_visible()
        expect(page.get_by_text("Neither headers nor body are kept")).to_be_visible()
        expect(page.get_by_role("button", name="Redeliver")).to_have_count(0)
        assert page.title() != "ran"


def test_a_delivery_is_looked_into_again(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon, script=False) as ada:
        page = ada.page
        page.goto("/deliveries?outcome=followed")
        page.get_by_role("row").get_by_role("link").first.click()
        page.get_by_role("button", name="Redeliver").click()
        expect(page.get_by_text("asked for by ada")).to_be_visible()
        expect(page.locator("#led-to")).to_contain_text("web-shop")
        page.goto("/deliveries?source=web-shop&outcome=refused&cursor=")
        page.get_by_role("row").get_by_role("link").click()
        expect(page.get_by_role("button", name="Redeliver")).to_have_count(0)


def test_deliveries_come_in_pages(chromium: Browser, daemon: WebDaemon) -> None:
    """Filters are in the address, and go along from page to page."""
    with signed_in(chromium, daemon, "vic", script=False) as vic:
        page = vic.page
        page.goto("/deliveries")
        page.get_by_label("Through which webhook").select_option("many")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("tbody tr")).to_have_count(50)
        page.get_by_role("link", name="Older").click()
        expect(page.locator("tbody tr")).to_have_count(10)
        expect(page.get_by_role("link", name="Older")).to_have_count(0)
        page.get_by_role("link", name="Newest").click()
        page.get_by_role("link", name="Accepted", exact=True).click()
        expect(page.get_by_role("heading", name="No such delivery is kept")).to_be_visible()
        page.get_by_role("link", name="Show all").click()
        expect(page.locator("tbody tr")).to_have_count(50)


@pytest.mark.parametrize(("width", "dark"), [(DESK, False), (PHONE, True)], ids=["desk", "phone"])
def test_their_manners(
    chromium: Browser, daemon: WebDaemon, registry: HttpServer, width: int, *, dark: bool
) -> None:
    look = "dark-phone" if dark else "light-desk"
    found = ok(daemon.local.get(f"{V1}/webhooks/{HOOK}/deliveries"))["items"]
    numbers = [one["number"] for one in found]
    pages = {
        "registries": "/registries",
        "registry": f"/registries/{registry.url.removeprefix('http://')}",
        "registry-cooling": f"/registries/{PARTNER}",
        "registry-credentials": f"/projects/{SHOP}/registries/ghcr.io",
        "deliveries": "/deliveries?source=web-shop",
        "deliveries-none": "/deliveries?outcome=followed&source=many",
        "delivery": f"/webhooks/{HOOK}/deliveries/{numbers[-3]}",
        "delivery-refused": f"/webhooks/{HOOK}/deliveries/{numbers[-4]}",
    }
    with signed_in(chromium, daemon, width=width, dark=dark) as ada:
        for name, path in pages.items():
            check_manners(ada.open(path), f"{name}-{look}")
            if dark:
                ada.page.set_viewport_size({"width": 320, "height": 700})
                assert overflow(ada.page) <= 0, path
                ada.page.set_viewport_size({"width": width, "height": 900})
