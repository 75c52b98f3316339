"""What already runs becomes projects, on the page; its engine is a double, its folders are real."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from reconciler.domain.access import AccessToken, Scope
from reconciler.web.asgi import create_web
from reconciler.web.auth import make_token
from tests.parts.found_stacks import container, write_containers
from tests.parts.in_process import Asked, ask, form
from tests.parts.pages import DESK, PHONE, check_manners, make_person, overflow, signed_in
from tests.parts.web_client import WebDaemon, ok
from tests.parts.web_daemon import open_application

EVIL = "<script>window.t44=1</script> \u202ecod.exe " + "w" * 253
COMPOSE = "services: {web: {image: 'registry.example/web:1'}, db: {image: 'registry.example/db:1'}}"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    """Return one on whose machine each kind of stack runs; a host of it does not answer."""
    folder = tmp_path_factory.mktemp("adopt")
    with WebDaemon(folder / "daemon") as running:
        stacks = [
            container("shop", "web", stack(folder, "shop"), 8080),
            container("shop", "db", folder / "shop", is_running=False),
            *(container(name, "web", stack(folder, name), 80) for name in ("one", "two")),
            *(container("both", each, stack(folder, "both"), 80) for each in ("web", "db")),
            container("quiet", "web", stack(folder, "quiet")),
            container("made", "web", stack(folder, "made", "services: {web: {build: .}}"), 80),
            container("gone", "web", folder / "gone", 80),
            container("far", "web", folder / "far", 80),
            container("taken", "web", stack(folder, "taken"), 80),
            *(container("many", f"s{at}", folder / "many", image=EVIL) for at in range(12)),
            container(EVIL, EVIL, f"/srv/{EVIL}", 1),
        ]
        write_containers(running.folder, *stacks)
        make_person(running)
        body = {"name": "taken", "kind": "image", "image": "registry.example/taken:1"}
        ok(running.local.post("/api/v1/projects", json=body))
        vega = {"name": "vega", "address": "127.0.0.1", "port": 1, "user": "deploy"}
        ok(running.local.post("/api/v1/hosts", json=vega))
        far = {"name": "far", "kind": "compose", "url": "https://git.example/far.git"}
        ok(running.local.post("/api/v1/projects", json=far))
        ok(running.local.post("/api/v1/projects/far/targets", json={"host": "vega"}))
        yield running


def stack(folder: Path, name: str, content: str = COMPOSE) -> Path:
    """Return the folder of a stack, with its compose file."""
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "compose.yaml").write_text(content)
    return folder / name


def adopt(daemon: WebDaemon, host: str = "local", **fields: str) -> httpx2.Response:
    """Send the form; ``__`` in a name stands for the colon."""
    given = {"form_token": "", **{one.replace("__", ":"): text for one, text in fields.items()}}
    headers = {"origin": daemon.url, "accept": "text/html"}
    return daemon.local.post(f"/new/adopt?host={host}", data=given, headers=headers)


def row_of(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))


def test_several_at_once_each_on_its_own(daemon: WebDaemon) -> None:
    """What fails says why beside it; the others are projects, whose files are recorded."""
    answer = adopt(daemon, adopt__one="on", adopt__gone="on", adopt__made="on", adopt__none="on")
    assert answer.status_code == 409
    text = unescape(answer.text)
    for said in ("is not there", "web is built from the folder", "no compose project"):
        assert said in text
    assert ok(daemon.local.get("/api/v1/projects/one"))["auto_deploy"] is False
    assert "/projects/one" in text
    assert daemon.local.get("/api/v1/projects/gone").status_code == 404
    kept = ok(daemon.local.get("/api/v1/repositories/one"))
    assert list(kept["branches"]) == ["main"]
    led = adopt(daemon, adopt__two="on")
    assert (led.status_code, led.headers["location"]) == (303, "/projects/two?did=adopted&of=two")
    assert adopt(daemon, adopt__two="on").status_code == 409


def test_what_people_reach_is_said_where_it_can_be_several(daemon: WebDaemon) -> None:
    assert "choose at least one" in adopt(daemon).text
    assert "say which service" in adopt(daemon, adopt__both="on", reached__both="").text
    for wrong in ("web", ":80", "web:", "web:8o", "web:999999"):
        assert "like web:8080" in adopt(daemon, adopt__quiet="on", reached__quiet=wrong).text
    assert "none of its services" in adopt(daemon, adopt__quiet="on", reached__quiet="x:1").text
    given = {"reached__both": "db:80", "reached__quiet": "web:3000"}
    led = adopt(daemon, adopt__both="on", adopt__quiet="on", **given)
    where = "/new/adopt?did=adopted&of=both+quiet&host=local"
    assert (led.status_code, led.headers["location"]) == (303, where)
    quiet = ok(daemon.local.get("/api/v1/projects/quiet"))
    assert (quiet["expose_service"], quiet["expose_port"]) == ("web", 3000)
    assert "2 more projects." in daemon.local.get(where).text
    never_made = where.replace("quiet", "gone")
    assert "more projects" not in daemon.local.get(never_made).text


def test_a_host_that_does_not_answer_leaves_the_page(daemon: WebDaemon) -> None:
    page = daemon.local.get("/new/adopt?host=vega")
    assert (page.status_code, "What runs there can’t be told." in page.text) == (200, True)
    tried = adopt(daemon, "vega", adopt__shop="on", adopt__one="on")
    assert (tried.status_code >= 400, tried.text.count("confirm its key first")) == (True, 1)
    for unknown, status in (("nowhere", 404), ("<b>", 422)):
        assert daemon.local.get(f"/new/adopt?host={unknown}").status_code == status


def test_who_may_not_declare_finds_no_way(daemon: WebDaemon) -> None:
    """That the page itself is closed to them, the table of all routes says."""
    reads = daemon.remote(daemon.make_token("reads", "read"))
    for path in ("/hosts/local", "/new"):
        assert 'href="/new/adopt' in daemon.local.get(path).text
        assert "/new/adopt" not in reads.get(path).text


def test_one_form_holds_all_that_it_offers(tmp_path: Path) -> None:
    """The last of many can be chosen once some of the others are projects."""
    write_containers(
        tmp_path, *(container(f"s{at}", "web", tmp_path / "s") for at in range(100, 140))
    )
    application = open_application(tmp_path)
    try:
        token = AccessToken("all", frozenset(Scope), None, application.clock.now())
        shown = {"authorization": f"Bearer {make_token(application.store, token)}"}
        app = create_web(application)
        (page,) = ask(app, Asked("GET", "/new/adopt", shown))
        offered = re.findall('name="((?:adopt|reached):s[0-9]+)"', page.body)
        assert (len(offered), page.body.count("After some of the others")) == (60, 10)
        sent = form("/new/adopt", form_token="t", **dict.fromkeys(offered, "web:80"))
        (answer,) = ask(app, replace(sent, headers={**sent.headers, **shown}))
        assert (answer.status, answer.body.count("is not there")) == (409, 30)
    finally:
        application.close()


@pytest.mark.needs_browser
def test_a_person_finds_the_way_without_a_script(chromium: Browser, daemon: WebDaemon) -> None:
    """From the page of the host to the project, whose pages know where it comes from."""
    with signed_in(chromium, daemon, script=False) as ada:
        page = ada.page
        page.goto("/hosts/local")
        page.get_by_role("link", name="Adopt what runs here…").click()
        expect(row_of(page, "taken")).to_contain_text("A project: taken")
        expect(row_of(page, EVIL.replace("\u202e", "\N{REPLACEMENT CHARACTER}"))).to_contain_text(
            "It can’t be: its name"
        )
        expect(row_of(page, "far")).to_contain_text("another project has its name, on vega: far")
        expect(row_of(page, "many")).to_contain_text("and 4 more")
        expect(page.get_by_label("taken")).to_have_count(0)
        expect(row_of(page, "shop")).to_contain_text("web, port 8080")
        page.get_by_label("gone").check()
        page.get_by_role("button", name="Adopt the chosen").click()
        expect(row_of(page, "gone").get_by_role("alert")).to_contain_text("is not there")
        expect(page.get_by_label("gone")).to_be_checked()
        page.get_by_label("gone").uncheck()
        page.get_by_label("shop").check()
        page.get_by_role("button", name="Adopt the chosen").click()
        expect(page.locator("#note")).to_contain_text("shop is a project now.")
        folder = daemon.folder.parent / "shop"
        expect(page.locator("#source")).to_contain_text(f"from {folder} on local")
        expect(page.locator("main")).to_contain_text(f"as it was brought up in {folder}")
        page.goto("/projects/shop/settings")
        expect(page.locator("#source")).to_contain_text("a push to it is refused")
        expect(page.locator("#targets")).to_contain_text(str(folder))
        page.goto("/new/project/shop")
        expect(page).to_have_url(f"{daemon.url}/projects/shop")


@pytest.mark.needs_browser
@pytest.mark.parametrize(("width", "dark"), [(DESK, False), (PHONE, True)], ids=["desk", "phone"])
def test_its_manners(chromium: Browser, daemon: WebDaemon, width: int, *, dark: bool) -> None:
    look = "phone-dark" if dark else "desk-light"
    with signed_in(chromium, daemon, width=width, dark=dark) as ada:
        page = ada.open("/new/adopt")
        page.get_by_label("made").check()
        page.get_by_role("button", name="Adopt the chosen").click()
        expect(row_of(page, "made").get_by_role("alert")).to_be_visible()
        check_manners(page, f"adopt-{look}")
        assert page.evaluate("() => 't44' in window") is False
        if dark:
            page.set_viewport_size({"width": 320, "height": 700})
            assert overflow(page) <= 0
            page.set_viewport_size({"width": width, "height": 900})
        check_manners(ada.open("/new/adopt?host=vega"), f"adopt-away-{look}")
