"""The audit log in a real browser: who did what, filtered and in pages, and whether it is whole."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.parts.pages import Reading, check_manners, make_person, signed_in
from tests.parts.web_client import WebDaemon, ok

pytestmark = pytest.mark.needs_browser

HOSTILE = "<script>window.bad=1</script>\u05d0\u05d1" + "long" * 80


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("audit")) as running:
        make_person(running)
        body = {"auto_deploy_master_enabled": False, "reason": HOSTILE}
        ok(running.local.patch("/api/v1/settings", json=body))
        yield running


def rows(page: Page) -> list[str]:
    return page.get_by_role("table").locator("tbody tr").all_inner_texts()


def test_who_did_what_from_where_and_what_was_refused(chromium: Browser, daemon: WebDaemon) -> None:
    token = daemon.make_token("nosy", "read")
    assert daemon.remote(token).delete("/api/v1/people/ada").status_code == 403
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/audit")
        switched = page.get_by_role("row", name="auto_deploy_master_enabled")
        expect(switched).to_contain_text("local:0")
        switched.get_by_text("field").click()
        difference = page.get_by_role("region", name="What entry")
        expect(difference.locator(".del")).to_contain_text(["value: true"])
        expect(difference.locator(".add")).to_contain_text(["value: false"])
        check_manners(page, "admin-audit-open-light-desk")

        page.get_by_role("link", name="token:nosy").click()
        expect(page.get_by_label("Who")).to_have_value("token:nosy")
        (refused,) = rows(page)
        assert "was refused DELETE /api/v1/people/ada" in refused
        assert "127.0.0.1" in refused
        assert "Refused" in refused

        page.get_by_label("Who").fill("nobody-we-know")
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.get_by_text("Nothing like that was done")).to_be_visible()
        page.goto("/audit?from=socket&action=setting")
        assert all("setting auto_deploy" in row for row in rows(page))
        assert page.evaluate("() => window.bad") is None


def test_a_long_log_is_shown_in_pages_and_taken_along_whole(
    chromium: Browser, daemon: WebDaemon
) -> None:
    for seconds in range(100, 160):
        body = {"auto_deploy_poll_interval_seconds": seconds}
        ok(daemon.local.patch("/api/v1/settings", json=body))
    with signed_in(chromium, daemon, script=False) as ada:
        page = ada.page
        page.goto("/audit?object=setting+auto_deploy_poll_interval_seconds")
        newer = rows(page)
        page.get_by_role("link", name="Older").click()
        expect(page.get_by_role("table").locator("tbody tr")).to_have_count(10)
        older = rows(page)
        assert (len(newer), len(older)) == (50, 10)
        assert not set(newer) & set(older)
        page.get_by_role("link", name="Newest").click()
        expect(page.get_by_role("table").locator("tbody tr")).to_have_count(50)
        assert rows(page) == newer
        with page.expect_download() as loading:
            page.get_by_role("link", name="Export").click()
        lines = loading.value.path().read_text().splitlines()
        numbers = [json.loads(line)["number"] for line in lines]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 60


def test_whether_the_chain_is_whole_is_said_once_it_was_looked_through(
    chromium: Browser, tmp_path: Path
) -> None:
    with WebDaemon(tmp_path) as daemon:
        make_person(daemon)
        with signed_in(chromium, daemon) as ada:
            check_chain(ada, daemon)


def check_chain(ada: Reading, daemon: WebDaemon) -> None:
    page = ada.open("/audit")
    chain = page.locator("#chain")
    expect(chain).to_contain_text("not looked through since the daemon started")
    page.get_by_role("button", name="Look through it now").click()
    expect(chain).to_contain_text("Chain whole, 2 entries, checked")
    tamper(daemon)
    page.get_by_role("button", name="Look through it now").click()
    expect(chain).to_contain_text("Chain broken after entry 0: entry 1 is not as it was written")
    expect(ada.open("/admin").locator("#daemon")).to_contain_text("Chain broken")


def tamper(daemon: WebDaemon) -> None:
    """Do what only who gets at the file can: past the database's own refusal."""
    with closing(sqlite3.connect(daemon.folder / "data" / "state.db")) as database, database:
        named = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entry'"
        for (name,) in database.execute(named).fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE audit_entry SET actor = 'somebody' WHERE number = 1")
