"""The pages in a real browser: set up, sign in, sign out; and a page of somebody else's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.parts.http_server import Answer, HttpServer
from tests.parts.pages import check_manners
from tests.parts.web_client import WebDaemon, ok

pytestmark = pytest.mark.needs_browser

PASSWORD = "ten green bottles"

#: On another port of this very address, where a browser shows even `SameSite=Strict` cookies.
_THEIRS = """<!doctype html><title>theirs</title>
<form id="f" method="post" action="{url}/sign-out" target="there"></form>
<iframe name="there"></iframe>
<script>
const send = (method, path, type, body) => fetch("{url}" + path, {{
  method, mode: type === "application/json" ? "cors" : "no-cors", credentials: "include",
  headers: {{"content-type": type}}, body,
}}).then(answer => answer.type + answer.status, error => "failed");
(async () => {{
  const made = JSON.stringify({{name: "theirs", kind: "tunnel"}});
  const told = [];
  for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded"])
    told.push(await send("POST", "/api/v1/projects", type, made));
  told.push(await send("POST", "/api/v1/sign-out", "text/plain", ""));
  const left = new Promise(done => document.querySelector("iframe").onload = done);
  document.querySelector("#f").submit();
  await Promise.race([left, new Promise(done => setTimeout(done, 2000))]);
  document.title = "done " + told.join(" ");
}})();
</script>"""


@contextmanager
def page_of_ours(chromium: Browser, daemon: WebDaemon) -> Iterator[Page]:
    page = chromium.new_page(base_url=daemon.url, color_scheme="dark", timezone_id="Asia/Tokyo")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    page.close()
    # What the policy of our own pages stops would be said there.
    # A look at the page by a test is stopped, too, and so is what the other page frames.
    ours = ("Framing", "TrustedScript")
    told = [one for one in said if not any(word in one for word in ours)]
    assert [one for one in told if "Content Security Policy" in one] == []


def test_set_up_sign_in_and_sign_out(chromium: Browser, tmp_path: Path) -> None:
    """What is wrong is said beside its field; a page of others changes nothing."""
    with WebDaemon(tmp_path / "d") as daemon, page_of_ours(chromium, daemon) as page:
        token = (daemon.folder / "data" / "set-up-token").read_text().strip()
        page.goto("/")
        page.get_by_role("link", name="sets it up").click()
        asked: list[str] = []
        page.on("request", lambda sent: asked.append(f"{sent.url} {sent.headers}"))
        page.goto(f"/set-up#{token}")  # for a browser it is the same page as before
        expect(page.get_by_label("Token")).to_have_value(token)
        expect(page).to_have_url(f"{daemon.url}/set-up")
        expect(page.get_by_label("Your time zone")).to_have_value("Asia/Tokyo")
        check_manners(page, "first-set-up")
        page.get_by_label("Your name").fill("ada")
        page.get_by_label("Your time zone").fill("Nowhere/Land")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Set up and sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("is no time zone")
        page.get_by_label("Your time zone").fill("Asia/Tokyo")
        page.get_by_label("Password").fill("password1234")
        page.get_by_role("button", name="Set up and sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("tried first")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Set up and sign in").click()
        page.wait_for_url("**/new")
        assert any("/set-up" in one for one in asked)
        assert not [one for one in asked if token in one]
        expect(page.locator(".foot")).to_contain_text("times in Asia/Tokyo")
        cookies = {one["name"]: one for one in page.context.cookies()}
        assert cookies["reconciler"]["httpOnly"]
        assert cookies["reconciler"]["sameSite"] == "Strict"

        _visit_somebody_else(page, daemon)

        page.goto("/")
        page.get_by_label("ada, your account").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        page.goto("/me")
        page.wait_for_url("**/sign-in?next=%2Fme")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("not this one")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("do not fit")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/me")
        assert page.get_by_role("heading", level=1).inner_text() == "ada"
        page.goto(f"/set-up#{token}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Set up already")
        expect(page.locator("main")).to_contain_text("this link is spent")


def _visit_somebody_else(page: Page, daemon: WebDaemon) -> None:
    """Let a page of another origin try; afterwards all is as it was, and ada is signed in."""
    theirs = _THEIRS.format(url=daemon.url).encode()
    before = ok(daemon.local.get("/api/v1/audit"))["items"][0]["number"]
    with HttpServer(lambda _: Answer(headers={"content-type": "text/html"}, body=theirs)) as other:
        page.goto(other.url)
        page.wait_for_function("document.title.startsWith('done')")
        assert page.title() == "done failed failed failed failed", "it reads no answer either"
    assert ok(daemon.local.get("/api/v1/projects"))["items"] == []
    assert ok(daemon.local.get("/api/v1/audit"))["items"][0]["number"] == before
    assert len(ok(daemon.local.get("/api/v1/sessions"))["items"]) == 1
