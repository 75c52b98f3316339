"""A project's settings in a real browser: sections, secrets, webhooks, targets, removal."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page, expect

from tests.parts.pages import DESK, PHONE, check_manners, make_person, overflow, signed_in
from tests.parts.web_client import WebDaemon, ok

pytestmark = pytest.mark.needs_browser

HOSTILE = "<script>document.title='run'</script>"
SECRET = "s3cret-that-nobody-sees"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    settings = {"RECONCILER_PUBLIC_URL": "https://deploy.example.net"}
    with WebDaemon(tmp_path_factory.mktemp("pages"), settings=settings) as running:
        make_person(running)
        make_person(running, "vic", role="viewer")
        make_shop(running, "shop")
        body = {"name": "pia", "password": "ten green bottles", "roles": {"shop": "admin"}}
        ok(running.local.post("/api/v1/people", json=body))
        yield running


def make_shop(daemon: WebDaemon, name: str) -> None:
    """Declare a project with something in every section; names of strangers are programs."""
    api = daemon.local
    body = {
        "name": name,
        "kind": "compose",
        "url": f"https://forge.example.net/team/{name}.git",
        "watch_paths": ["apps/shop", f"docs/{'x' * 200}"],
        "rules": {"windows": ["mon-fri 09:00-17:00 Europe/Berlin"]},
        "environment": {"name": "production"},
    }
    ok(api.post("/api/v1/projects", json=body))
    ok(api.put(f"/api/v1/projects/{name}/secrets/git-token", json=secret(username=HOSTILE)))
    ok(api.put(f"/api/v1/projects/{name}/secrets/variable:DATABASE_URL", json=secret()))
    health = {"kind": "http", "port": 8080, "path": "/healthz", "text": HOSTILE}
    target = f"/api/v1/projects/{name}/targets/local"
    ok(api.patch(target, json={"health": health}))
    ok(api.post("/api/v1/webhooks", json={"name": name, "provider": "forgejo", "project": name}))


def secret(**more: str) -> dict[str, str]:
    return {"value": SECRET, **more}


def project(daemon: WebDaemon, name: str) -> dict[str, Any]:
    return ok(daemon.local.get(f"/api/v1/projects/{name}"))


def panel(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def secret_names(daemon: WebDaemon, name: str) -> set[str]:
    answer = ok(daemon.local.get(f"/api/v1/projects/{name}/secrets"))
    return {one["name"] for one in answer["items"]}


def test_a_section_is_saved_by_itself(chromium: Browser, daemon: WebDaemon) -> None:
    make_shop(daemon, "saved")
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/saved/settings")
        source = panel(page, "Source")
        source.get_by_label("Branch").fill("release/2")
        source.get_by_label("Heed skip markers").check()
        panel(page, "Rules").get_by_label("Approvals").fill("9")  # never saved
        source.get_by_role("button", name="Save source").click()
        expect(source.get_by_role("status")).to_contain_text("this is what is declared now")
        expect(source.get_by_label("Branch")).to_have_value("release/2")
        found = project(daemon, "saved")
        assert (found["source"]["branch"], found["skip_markers"]) == ("release/2", True)
        assert found["rules"]["approvals"] is None
        assert found["rules"]["windows"][0]["zone"] == "Europe/Berlin"
        # What was given for the host that it leaves does not go to another one.
        expect(source).to_contain_text("A URL at another host drops git-token")
        source.get_by_label("Repository elsewhere").fill("https://other.example.net/team/shop.git")
        source.get_by_role("button", name="Save source").click()
        expect(source.get_by_role("status")).to_contain_text("The secret git-token was dropped")
        assert secret_names(daemon, "saved") == {"variable:DATABASE_URL"}
        # A note is read from what there is: nobody can have the page say what is not so.
        page.goto("/projects/saved/settings?did=saved&of=source&dropped=forge%3Ctoken")
        expect(source.get_by_role("status")).not_to_contain_text("dropped")


def test_nobody_loses_what_they_typed_in_another_form(chromium: Browser, daemon: WebDaemon) -> None:
    """They are asked first; who stays can send it still. What was searched for is nothing lost."""
    make_shop(daemon, "typed")
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    with signed_in(chromium, daemon) as ada:
        page = ada.open("/")
        page.on("dialog", stay)
        page.get_by_label("Search projects").fill("typed")
        page.locator("#p-typed .name").click()
        page.get_by_role("link", name="Settings").click()
        source, rules = panel(page, "Source"), panel(page, "Rules")
        source.get_by_label("Branch").fill("other")
        rules.get_by_label("Approvals").fill("1")
        save = source.get_by_role("button", name="Save source")
        with page.expect_event("dialog"):
            save.click()
        expect(save).not_to_have_attribute("aria-busy", "true")
        with page.expect_event("dialog"):
            page.get_by_role("link", name="Deliveries").first.click()
        assert asked == ["beforeunload"] * 2
        expect(rules.get_by_label("Approvals")).to_have_value("1")
        assert project(daemon, "typed")["source"]["branch"] != "other"
        page.remove_listener("dialog", stay)
        page.once("dialog", lambda dialog: dialog.accept())
        save.click()
        expect(source.get_by_role("status")).to_contain_text("this is what is declared now")


def test_what_is_wrong_is_said_at_its_field_in_the_words_of_the_api(
    chromium: Browser, daemon: WebDaemon
) -> None:
    wrong = {"windows": ["mon-fri 9-17"], "approvals": 99}
    refused = daemon.local.patch("/api/v1/projects/shop", json={"rules": wrong}).json()
    said = {one["field"]: one["detail"].partition(": ")[2] for one in refused["problems"]}
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/shop/settings")
        rules = panel(page, "Rules")
        rules.get_by_label("Deploy windows").fill("mon-fri 9-17")
        rules.get_by_label("Approvals").fill("99")
        rules.get_by_role("button", name="Save rules").click()
        expect(rules.get_by_label("Approvals")).to_have_value("99")
        expect(rules.get_by_label("Approvals")).to_have_attribute("aria-invalid", "true")
        expect(rules.get_by_label("Deploy windows")).to_be_focused()
        expect(rules).to_contain_text("still in force: mon-fri 09:00-17:00 Europe/Berlin")
        for field, words in said.items():
            place = rules.locator(f"[id='problem-{field.removesuffix('.0')}']")
            expect(place).to_contain_text(words.replace("`", ""))
        assert project(daemon, "shop")["rules"]["approvals"] is None


def test_a_change_meanwhile_is_told_and_nothing_is_saved(
    chromium: Browser, daemon: WebDaemon
) -> None:
    make_shop(daemon, "moved")
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/moved/settings")
        ok(daemon.local.patch("/api/v1/projects/moved", json={"branch": "theirs"}))
        source = panel(page, "Source")
        source.get_by_label("Branch").fill("mine")
        source.get_by_role("button", name="Save source").click()
        expect(source.get_by_role("alert")).to_contain_text("Nothing was saved")
        expect(source).to_contain_text("Declared now: theirs")
        assert project(daemon, "moved")["source"]["branch"] == "theirs"
        expect(source.get_by_label("Branch")).to_have_value("mine")
        source.get_by_role("button", name="Save source").click()
        expect(source.get_by_role("status")).to_be_visible()
        assert project(daemon, "moved")["source"]["branch"] == "mine"


def test_what_reaches_beyond_the_project_is_text(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon, "pia") as pia:
        page = pia.open("/projects/shop/settings")
        source = panel(page, "Source")
        expect(source).to_contain_text("https://forge.example.net/team/shop.git")
        expect(source.get_by_label("Repository elsewhere")).to_have_count(0)
        expect(source).to_contain_text("an admin of the whole daemon can change it")
        source.get_by_label("Branch").fill("pias")
        # A form that was meddled with changes no more than it may.
        page.locator("#source form").evaluate(
            "form => form.append(Object.assign(document.createElement('input'),"
            " {name: 'url', value: 'https://evil.example/x.git'}))"
        )
        with page.expect_navigation() as answer:
            source.get_by_role("button", name="Save source").click()
        assert answer.value.status == 403
        denied = ok(daemon.local.get("/api/v1/audit?actor=pia&action=access.denied"))["items"]
        assert [one["subject"] for one in denied] == ["POST /projects/shop/settings/source"]
        page.goto("/projects/shop/settings")
        source.get_by_label("Branch").fill("pias")
        source.get_by_role("button", name="Save source").click()
        expect(source.get_by_role("status")).to_be_visible()
        source_now = project(daemon, "shop")["source"]
        url = "https://forge.example.net/team/shop.git"
        assert (source_now["branch"], source_now["url"]) == ("pias", url)
        expect(page.get_by_role("link", name="Remove shop…")).to_have_count(0)
        assert page.goto("/projects/shop/remove").status == 403  # type: ignore[union-attr]
    with signed_in(chromium, daemon, "vic") as vic:
        page = vic.open("/projects/shop/settings")
        expect(page.locator("main :is(input, select, textarea)")).to_have_count(0)
        expect(page.get_by_role("link", name="Replace…")).to_have_count(0)
        expect(panel(page, "Secrets")).to_contain_text("Variable DATABASE_URL")


def test_secrets_go_in_and_never_come_out(chromium: Browser, daemon: WebDaemon) -> None:
    make_shop(daemon, "kept")
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/kept/settings")
        secrets = panel(page, "Secrets")
        secrets.get_by_role("link", name="Registry credential…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Registry, as images name it").fill("Not A Host")
        dialog.get_by_label("User").fill("robot")
        dialog.get_by_label("Password or token").fill(SECRET)
        dialog.get_by_role("button", name="Store it").click()
        # It was wrong: all that was typed is still there, but for the secret.
        expect(page.locator("#problem-secret")).to_contain_text("must name a registry host")
        expect(page.get_by_label("User")).to_have_value("robot")
        expect(page.get_by_label("Password or token")).to_have_value("")
        assert SECRET not in page.content()
        page.get_by_label("Registry, as images name it").fill("registry.example:5000")
        page.get_by_label("Password or token").fill(SECRET)
        page.get_by_role("button", name="Store it").click()
        told = "Registry credential for registry.example:5000 is stored"
        expect(secrets.get_by_role("status")).to_contain_text(told)
        assert SECRET not in page.content()

        secrets.get_by_role("link", name="Replace… Variable DATABASE_URL").click()
        value = page.get_by_role("dialog").get_by_label("Value")
        expect(value).to_have_value("")
        value.fill("another")
        before = fingerprint(daemon, "variable:DATABASE_URL")
        page.get_by_role("button", name="Replace it").click()
        expect(secrets.get_by_role("status")).to_contain_text("Variable DATABASE_URL is stored")
        assert fingerprint(daemon, "variable:DATABASE_URL") != before

        secrets.get_by_role("link", name="Remove… Variable DATABASE_URL").click()
        expect(page.get_by_role("dialog")).to_contain_text("What runs keeps what it was started")
        page.get_by_role("button", name="Remove it").click()
        expect(secrets.get_by_role("status")).to_contain_text("no secret variable:DATABASE_URL")
        assert secret_names(daemon, "kept") == {"git-token", "registry:registry.example:5000"}


def fingerprint(daemon: WebDaemon, name: str) -> str:
    found = ok(daemon.local.get("/api/v1/projects/kept/secrets"))["items"]
    return str(next(one["fingerprint"] for one in found if one["name"] == name))


def test_a_webhook_is_made_tried_given_a_new_secret_and_removed(
    chromium: Browser, daemon: WebDaemon
) -> None:
    make_shop(daemon, "hooked")
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/hooked/settings")
        hooks = panel(page, "Webhook")
        hooks.get_by_role("link", name="Declare one by hand…").click()
        page.get_by_role("dialog").get_by_label("Sent by").select_option("gitea")
        page.get_by_role("button", name="Declare it").click()
        expect(page.locator("#note")).to_contain_text("the one time that the secret is shown")
        shown = page.locator("#made-secret").inner_text()
        expect(page.locator("#made-url")).to_have_text(
            "https://deploy.example.net/webhook/hooked-2"
        )
        page.get_by_role("link", name="I have it").click()
        expect(hooks.get_by_role("status")).to_contain_text("The webhook hooked-2 takes")
        assert len(shown) > 30
        assert shown not in page.content()

        hooks.get_by_role("button", name="Send a test through hooked-2").click()
        expect(page.locator("#note")).to_contain_text("Accepted")
        expect(page.get_by_role("table")).to_contain_text("main of team/hooked")
        expect(page.get_by_role("button", name="Send a test through hooked-2")).to_be_visible()

        page.goto("/projects/hooked/settings")
        hooks.get_by_role("link", name="New secret… for hooked-2").click()
        seen = page.get_by_role("dialog").locator("input[name=seen]").input_value()
        page.get_by_role("button", name="Give it a new one").click()
        expect(page.locator("#made-secret")).not_to_have_text(shown)
        # The same form once more, as by reloading: the secret stays.
        before = ok(daemon.local.get("/api/v1/webhooks/hooked-2"))["fingerprint"]
        page.goto("/projects/hooked/settings/webhooks/hooked-2/rotate")
        page.locator("input[name=seen]").evaluate("(field, old) => (field.value = old)", seen)
        page.get_by_role("button", name="Give it a new one").click()
        expect(page.get_by_role("alert")).to_contain_text("somebody changed it meanwhile")
        assert ok(daemon.local.get("/api/v1/webhooks/hooked-2"))["fingerprint"] == before

        page.goto("/projects/hooked/settings")
        hooks.get_by_role("link", name="The forge has the new secret…").click()
        page.get_by_role("button", name="It has the new one").click()
        expect(hooks).not_to_contain_text("is taken, too")
        hooks.get_by_role("link", name="Remove… the webhook hooked-2").click()
        page.get_by_role("button", name="Remove hooked-2").click()
        expect(hooks.get_by_role("status")).to_contain_text("no webhook hooked-2 any more")
        # Another project's is none of this one's, whoever asks.
        for path in ("rotate", "remove", "deregister"):
            answer = page.goto(f"/projects/hooked/settings/webhooks/shop/{path}")
            assert answer is not None
            assert answer.status == 404


def test_a_target_is_changed_by_what_it_is_asked_with(chromium: Browser, daemon: WebDaemon) -> None:
    make_shop(daemon, "placed")
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/placed/settings")
        panel(page, "Where it runs").get_by_role("link", name="Change…").click()
        check = page.get_by_role("group", name="Health check")
        expect(check.get_by_label("Path")).to_be_visible()
        check.get_by_label("Health check").select_option("tcp")
        expect(check.get_by_label("Path")).to_be_hidden()
        check.get_by_label("Time to start").fill("2 min")
        page.get_by_label("Variables").fill("LEVEL=info\nMODE=live")
        page.get_by_role("button", name="Save").click()
        where = panel(page, "Where it runs")
        expect(where.get_by_role("status")).to_contain_text("The target on local is as shown")
        expect(where.get_by_role("table")).to_contain_text("tcp on port 8080")
        found = ok(daemon.local.get("/api/v1/projects/placed/targets/local"))
        assert found["environment"] == {"LEVEL": "info", "MODE": "live"}
        assert (found["health"]["kind"], found["health"]["path"]) == ("tcp", None)
        assert found["health"]["start_period_seconds"] == 120

        where.get_by_role("link", name="Add a target…").click()
        page.get_by_label("Host").fill("nowhere")
        page.get_by_role("button", name="Add the target").click()
        expect(page.locator("#problem-host")).to_contain_text("is no host that was declared")
        page.get_by_label("Host").fill("local")
        page.get_by_role("button", name="Add the target").click()
        expect(page.get_by_role("alert")).to_contain_text("has a target on local already")

        page.goto("/projects/placed/settings")
        where.get_by_role("link", name="Remove… the target on local").click()
        page.get_by_role("button", name="Remove from local").click()
        expect(where.get_by_role("table")).to_contain_text("implied")


def test_a_project_goes_when_its_name_is_typed(chromium: Browser, daemon: WebDaemon) -> None:
    make_shop(daemon, "gone")
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/gone/settings")
        page.get_by_role("link", name="Remove gone…").click()
        dialog = page.get_by_role("dialog", name="Remove gone?")
        expect(dialog).to_contain_text("2 secrets and 1 webhook are deleted here")
        dialog.get_by_label("Type gone to remove it").fill("shop")
        dialog.get_by_role("button", name="Remove gone").click()
        expect(page.locator("#problem-name")).to_contain_text("type the name of what is removed")
        assert project(daemon, "gone")["name"] == "gone"
        page.get_by_label("Type gone to remove it").fill("gone")
        page.get_by_role("button", name="Remove gone").click()
        expect(page).to_have_url(f"{daemon.url}/?did=removed&of=gone")
    assert daemon.local.get("/api/v1/projects/gone").status_code == 404
    assert daemon.local.get("/api/v1/webhooks/gone").status_code == 404


def test_it_works_without_a_script(chromium: Browser, daemon: WebDaemon) -> None:
    make_shop(daemon, "plain")
    with signed_in(chromium, daemon, script=False) as ada:
        page = ada.page
        page.goto("/projects/plain/settings")
        roll_out = panel(page, "Roll-out")
        expect(roll_out.get_by_label("Command")).to_be_hidden()
        roll_out.get_by_role("checkbox", name="Migration").check()
        roll_out.get_by_label("Command").fill("bin/migrate up")
        roll_out.get_by_role("button", name="Save roll-out").click()
        expect(roll_out.get_by_role("status")).to_be_visible()
        assert project(daemon, "plain")["migration"]["command"] == ["bin/migrate", "up"]
        panel(page, "Secrets").get_by_role("link", name="Variable…").click()
        page.get_by_label("Name of the variable").fill("MODE")
        page.get_by_label("Value").fill("live")
        page.get_by_role("button", name="Store it").click()
        expect(panel(page, "Secrets")).to_contain_text("Variable MODE")
        assert "variable:MODE" in secret_names(daemon, "plain")
        page.goto("/projects/plain/deliveries")
        page.get_by_role("button", name="Send a test").click()
        expect(page.get_by_role("table")).to_contain_text("Accepted")


def test_a_forge_that_is_not_there(chromium: Browser, daemon: WebDaemon) -> None:
    make_shop(daemon, "alone")
    url = "https://127.0.0.1:1/team/alone.git"
    ok(daemon.local.patch("/api/v1/projects/alone", json={"url": url}))
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/projects/alone/settings")
        page.get_by_role("link", name="Register at the forge…").click()
        page.get_by_label("Access token of the forge").fill(SECRET)
        page.get_by_label("Forge", exact=True).select_option("forgejo")
        page.get_by_role("button", name="Register it").click()
        expect(page.get_by_role("alert")).to_contain_text("127.0.0.1:1")
        expect(page.get_by_label("Access token of the forge")).to_have_value("")
        assert SECRET not in page.content()


@pytest.mark.parametrize("kind", ["compose", "image", "unit", "tunnel", "domain_only"])
def test_every_kind_has_what_belongs_to_it(daemon: WebDaemon, kind: str) -> None:
    name = kind.replace("_", "-")
    what: dict[str, dict[str, Any]] = {
        "compose": {"repository": name, "create_repository": True},
        "image": {"image": "registry.example/team/app:1"},
        "unit": {"url": "ssh://git@forge.example.net/team/app.git"},
    }
    body = {"name": name, "kind": kind, **what.get(kind, {})}
    ok(daemon.local.post("/api/v1/projects", json=body))
    reader = daemon.remote(daemon.admin_token, accept="text/html")
    settings = reader.get(f"/projects/{name}/settings")
    assert settings.status_code == 200
    has = {one for one in SECTIONS if f'id="{one}"' in settings.text}
    assert has == SECTIONS - LACKS[kind]
    assert reader.get(f"/projects/{name}/deliveries").status_code == 200
    for section in ("rules", "source", "nothing"):
        status = reader.get(f"/projects/{name}/settings/{section}").status_code
        assert status == (200 if section in has else 404)


SECTIONS = {
    *("source", "runs", "targets", "roll-out", "rules", "environment", "secrets", "webhooks"),
    *("forge", "remove"),
}
NOTHING_RUNS = {"source", "runs", "targets", "roll-out", "secrets", "webhooks", "forge"}
LACKS: dict[str, set[str]] = {
    "compose": set(),
    "image": {"forge"},
    "unit": {"runs"},
    "tunnel": NOTHING_RUNS,
    "domain_only": NOTHING_RUNS,
}


@pytest.mark.parametrize(
    ("width", "dark"), [(DESK, False), (PHONE, True)], ids=["desk-light", "phone-dark"]
)
def test_their_manners(chromium: Browser, daemon: WebDaemon, width: int, *, dark: bool) -> None:
    look = "phone-dark" if dark else "desk-light"
    with signed_in(chromium, daemon, width=width, dark=dark) as ada:
        for path in PAGES:
            picture = f"{path.replace('?kind=', '-').replace('/', '-') or 'overview'}-{look}"
            check_manners(ada.open(f"/projects/shop/{path}"), f"project-{picture}")
            ada.page.set_viewport_size({"width": 320, "height": 900})
            assert overflow(ada.page) <= 0, path
            ada.page.set_viewport_size({"width": width, "height": 900})
            expect(ada.page).not_to_have_title("run")


#: Those that ask before something is done have one template.
PAGES = (
    "settings",
    "settings/targets/local",
    "settings/register-webhook",
    "remove",
    "deliveries",
)
