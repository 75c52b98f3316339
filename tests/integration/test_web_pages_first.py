"""Coming in, one's own account and the first project, in a real browser."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.parts.git_repository import Repository
from tests.parts.git_server import GitServer, Login
from tests.parts.pages import DESK, PASSWORD, PHONE, check_manners, make_person, overflow, signed_in
from tests.parts.web_client import WebDaemon, ok

pytestmark = pytest.mark.needs_browser

TURNED = "safe\u202ecod.exe <script>t44=1</script> " + "w" * 253
COMPOSE = """
services:
  web:
    image: registry.example/team/web:main
    ports: ["127.0.0.1:18080:8080"]
  db:
    image: registry.example/postgres:16
    labels: {reconciler.stateful: "true"}
  tool:
    build: .
  old:
    image: registry.example/old:${TAG}
"""


@dataclass
class Scene:
    daemon: WebDaemon
    server: GitServer


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("pages")
    login = Login("me", "a token that may read")
    with (
        GitServer(login=login, tls=True) as server,
        WebDaemon(folder, settings={"RECONCILER_GIT_CA_FILE": str(server.ca_path)}) as daemon,
    ):
        server.repository("blog.git").commit({"deploy/compose.yaml": COMPOSE}, TURNED)
        make_person(daemon)
        make_person(daemon, "vic", role="viewer")
        ok(daemon.local.post("/api/v1/people", json={"name": "zoe", "password": PASSWORD}))
        declared = {"kind": "compose", "repository": "kept", "create_repository": True}
        ok(daemon.local.post("/api/v1/projects", json={"name": "kept", **declared}))
        kept = Repository(folder / "data" / "repositories" / "kept.git")
        # Of a registry that refuses at once, so that its plan is soon there.
        kept.commit({"compose.yaml": COMPOSE.replace("registry.example", "127.0.0.1:9")}, TURNED)
        yield Scene(daemon, server)


def check_and_go_on(page: Page) -> None:
    page.get_by_role("button", name="Check and go on").click()


# ── Coming in ─────────────────────────────────────────────────────────────────────────────────


def test_signing_in_leads_to_where_somebody_wanted_to_go(chromium: Browser, scene: Scene) -> None:
    context = chromium.new_context(base_url=scene.daemon.url, timezone_id="Europe/Berlin")
    page = context.new_page()
    page.goto("/me?did=nothing")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not fit")
    check_manners(page, "first-sign-in")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{scene.daemon.url}/me?did=nothing")
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")
    context.close()


def test_how_one_likes_the_pages_is_kept(chromium: Browser, scene: Scene) -> None:
    with signed_in(chromium, scene.daemon) as ada:
        page = ada.open("/me")
        page.get_by_label("dark", exact=True).check()
        page.get_by_label("compact").check()
        page.get_by_label("Time zone").fill("../../etc/passwd")
        page.get_by_role("button", name="Keep").click()
        expect(page.get_by_role("alert")).to_contain_text("is no time zone")
        page.get_by_label("Time zone").fill("America/Lima")
        page.get_by_label("dark", exact=True).check()
        page.get_by_role("button", name="Keep").click()
        expect(page.locator("#note")).to_contain_text("Kept.")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        expect(page.locator(".foot")).to_contain_text("America/Lima")
        page.keyboard.press("?")
        expect(page.get_by_role("heading", level=1)).to_have_text("Keys")


def test_a_session_elsewhere_is_ended(chromium: Browser, scene: Scene) -> None:
    with (
        signed_in(chromium, scene.daemon, "vic") as one,
        signed_in(chromium, scene.daemon, "vic") as other,
    ):
        page = one.open("/me")
        page.get_by_role("button", name="End").first.click()
        expect(page.locator("#note")).to_contain_text("The session has ended.")
        other.page.goto("/me")
        expect(other.page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_people_are_told_in_words_what_went_wrong(chromium: Browser, scene: Scene) -> None:
    with signed_in(chromium, scene.daemon, "vic") as vic:
        answer = vic.page.goto("/new")
        assert answer
        assert answer.status == 403
        main = vic.page.locator("main")
        expect(main).to_contain_text("You may not change this, which is about the whole daemon.")
        expect(main).to_contain_text("ada")
        check_manners(vic.page, "first-403")
        answer = vic.page.goto("/<script>t44=1</script>")
        assert answer
        assert answer.status == 404
        expect(main).to_contain_text("There is nothing at /<script>")
        vic.page.get_by_role("link", name="Projects").last.click()
        expect(vic.page.locator("#live")).to_have_text("Live")
    with signed_in(chromium, scene.daemon, "zoe") as zoe:
        zoe.page.goto("/")
        expect(zoe.page.locator("main .note")).to_contain_text("You have no role here yet.")


# ── The first project ─────────────────────────────────────────────────────────────────────────


def test_each_answer_is_checked_against_the_real_thing(chromium: Browser, scene: Scene) -> None:
    """A private repository elsewhere: what is wrong is said at its field, and nothing is lost."""
    url = scene.server.url("blog.git")
    with signed_in(chromium, scene.daemon) as ada:
        page = ada.open("/new")
        page.get_by_label("Address of the repository").fill(url)
        page.get_by_label("Branch").fill("main")
        check_and_go_on(page)
        expect(page.get_by_role("alert")).to_contain_text("401")
        expect(page.get_by_label("Address of the repository")).to_have_value(url)
        assert scene.daemon.local.get("/api/v1/projects/blog").status_code == 404
        page.get_by_label("User name").fill("me")
        page.get_by_label("Access token, for https").fill("a token that may read")
        page.get_by_label("Branch").fill("nowhere")
        check_and_go_on(page)
        expect(page.locator("#problem-branch")).to_be_visible()
        page.get_by_label("Branch").fill("main")
        page.get_by_label("Access token, for https").fill("another one")
        check_and_go_on(page)
        expect(page.locator("#problem-token")).to_contain_text("401")
        assert "another one" not in page.content()
        page.get_by_label("Access token, for https").fill("a token that may read")
        check_and_go_on(page)

        expect(page.get_by_role("heading", level=1)).to_have_text("Add blog")
        # As a kill right after the project was declared leaves it: without its credential.
        assert scene.daemon.local.delete("/api/v1/projects/blog/secrets/git-token").is_success
        page.goto("/new/project/blog?step=source")
        expect(page.locator("main")).to_contain_text("401")
        page.get_by_text("It is private").click()
        page.get_by_label("Access token, for https").fill("a token that may read")
        page.get_by_label("User name").fill("me")
        check_and_go_on(page)
        answer_the_others(page)
    declared = ok(scene.daemon.local.get("/api/v1/projects/blog"))
    assert (declared["auto_deploy"], declared["expose_service"]) == (False, "web")
    assert declared["compose_path"] == "deploy/compose.yaml"


def answer_the_others(page: Page) -> None:
    """Answer what runs and where, each wrongly first."""
    main = page.locator("main")
    expect(main).to_contain_text("Its credential git-token is kept here, and never shown.")
    expect(main).to_contain_text("<script>t44=1</script>")
    expect(main).to_contain_text("is not there at")
    page.get_by_label("Compose file in the repository").fill("deploy/elsewhere.yaml")
    check_and_go_on(page)
    expect(page.locator("#problem-compose_path")).to_contain_text("is not there at")
    page.get_by_label("Compose file in the repository").fill("deploy/compose.yaml")
    check_and_go_on(page)

    expect(main).to_contain_text("web follows registry.example/team/web:main. Watched.")
    expect(main).to_contain_text("db is registry.example/postgres:16: its service is stateful")
    expect(main).to_contain_text("tool: it is built here, so it is left alone.")
    expect(main).to_contain_text("variable TAG is not set")
    expect(page.get_by_label("Its port")).to_have_value("8080")
    expect(page.get_by_label("Port of the host that it is asked at")).to_have_value("18080")
    page.get_by_label("Its port").fill("8000")
    page.get_by_label("Health path").fill("/healthz")
    check_and_go_on(page)
    expect(page.locator("#problem-expose_port")).to_contain_text("which names 8080")
    expect(page.get_by_label("Health path")).to_have_value("/healthz")
    check_manners(page, "first-where-wrong")
    page.get_by_label("Its port").fill("8080")
    check_and_go_on(page)

    expect(main).to_contain_text("Healthy when /healthz answers on port 18080.")
    expect(page.get_by_label("The same as commands")).to_contain_text("--health-path /healthz")


def test_all_of_it_works_without_a_script(chromium: Browser, scene: Scene) -> None:
    """A repository that is kept here has nothing to show before something is pushed."""
    with signed_in(chromium, scene.daemon, script=False) as ada:
        page = ada.page
        page.goto("/new")
        page.get_by_label("one that is kept here").check()
        expect(page.get_by_label("Address of the repository")).to_be_hidden()
        page.get_by_label("Name of the project").fill("kept")
        check_and_go_on(page)
        expect(page.locator("#problem-name")).to_contain_text("there is a project kept already")
        page.get_by_role("link", name="Go on with the one that is there").click()
        expect(page.locator("main")).to_contain_text("compose.yaml at")
        page.get_by_label("db").check()
        check_and_go_on(page)
        page.get_by_label("The service people reach").select_option("web")
        page.get_by_label("Its port").fill("8080")
        check_and_go_on(page)
        expect(page.get_by_role("heading", name="The plan, and the first")).to_be_visible()
        # Without an engine, which this daemon has none of, nothing is offered that would fail.
        expect(page.locator("main")).to_contain_text("Deploying now would fail")
        expect(page.get_by_role("button", name="Deploy once now")).to_have_count(0)
        token = page.locator("input[name=form_token]").first.get_attribute("value") or ""
        answer = page.context.request.post(
            "/new/project/kept/begin",
            form={"form_token": token, "how": "auto"},
            headers={"origin": scene.daemon.url},
            max_redirects=0,
        )
        assert (answer.status, answer.headers["location"]) == (303, "/projects/kept")
    assert ok(scene.daemon.local.get("/api/v1/projects/kept"))["auto_deploy"] is True


@pytest.mark.parametrize("dark", [False, True], ids=["desk-light", "phone-dark"])
def test_their_manners(chromium: Browser, scene: Scene, *, dark: bool) -> None:
    width, look = (PHONE, "phone-dark") if dark else (DESK, "desk-light")
    with signed_in(chromium, scene.daemon, width=width, dark=dark) as ada:
        for path, name in (
            ("/me", "me"),
            ("/keys", "keys"),
            ("/new", "new"),
            ("/new/project/kept?step=runs", "new-runs"),
            ("/new/project/kept?step=where", "new-where"),
            ("/new/project/kept?step=plan", "new-plan"),
        ):
            check_manners(ada.open(path), f"first-{name}-{look}")
            if dark:
                ada.page.set_viewport_size({"width": 320, "height": 700})
                assert overflow(ada.page) <= 0, path
                ada.page.set_viewport_size({"width": PHONE, "height": 900})
