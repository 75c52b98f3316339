"""Hosts and clusters in a real browser: added, compared, checked, changed and removed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.host import HostName
from reconciler.store.opening import open_store
from tests.parts.certificates import CertificateAuthority
from tests.parts.cluster_stage import role_of_manifest
from tests.parts.kubernetes_api import SERVER_VERSION, KubernetesApi
from tests.parts.pages import DESK, PHONE, check_manners, make_person, overflow, signed_in
from tests.parts.sshd import Sshd
from tests.parts.web_client import WebDaemon, ok

pytestmark = [pytest.mark.needs_browser, pytest.mark.needs_sshd]

V1 = "/api/v1"
#: As long as a name may be.
LONG = "a" + "-very" * 12 + "ab"


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with Sshd() as running:
        yield running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, sshd: Sshd) -> Iterator[WebDaemon]:
    """Return one with a host in each state, and a project on one of them."""
    with WebDaemon(tmp_path_factory.mktemp("pages")) as running:
        make_person(running)
        make_person(running, "vic", role="viewer")
        api = running.local
        declare(running, "atlas", sshd.port, sshd)
        trust(running, "atlas", sshd.host_fingerprint)
        declare(running, "fresh", 1)
        declare(running, LONG, 1, sshd)
        pin(running, LONG, sshd.host_key)
        ok(api.post(f"{V1}/hosts/{LONG}/check"))
        ok(api.post(f"{V1}/clusters", json={"name": "k3s-home"}))
        project = {"name": "web-shop", "kind": "unit", "url": "https://git.example/shop.git"}
        ok(api.post(f"{V1}/projects", json=project))
        target = {"host": "atlas", "binary": "bin/shop"}
        ok(api.post(f"{V1}/projects/web-shop/targets", json=target))
        ok(api.post(f"{V1}/hosts/atlas/check"))
        yield running


def declare(daemon: WebDaemon, name: str, port: int, sshd: Sshd | None = None) -> None:
    body = {"name": name, "address": "127.0.0.1", "port": port}
    ok(daemon.local.post(f"{V1}/hosts", json=body | {"user": sshd.user if sshd else "deploy"}))
    if sshd:
        key = {"value": sshd.key_path.read_text()}
        ok(daemon.local.put(f"{V1}/hosts/{name}/key", json=key))


def trust(daemon: WebDaemon, name: str, fingerprint: str) -> None:
    ok(daemon.local.post(f"{V1}/hosts/{name}/trust", json={"fingerprint": fingerprint}))


def pin(daemon: WebDaemon, name: str, key: str) -> None:
    """Have it known by a key that it never showed: nobody answers there."""
    folder = daemon.folder / "data"
    keys = lambda may_create: KeySources(folder).open(may_create=may_create)  # noqa: E731
    store = open_store(folder / "state.db", keys, SystemClock())
    try:
        store.update_host(replace(store.get_host(HostName(name)), host_keys=(key,)))
    finally:
        store.close()


def row_of(page: Page, name: str) -> str:
    """Return what the list says of one."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name)).inner_text()


def test_every_host_stands_there_with_its_health(chromium: Browser, daemon: WebDaemon) -> None:
    """A state is a word; who may not change hosts is offered nothing that does."""
    with signed_in(chromium, daemon, "vic") as vic:
        page = vic.open("/hosts")
        assert "Online" in row_of(page, "local")
        assert "Online" in row_of(page, "atlas")
        assert "1 target" in row_of(page, "atlas")
        assert "SHA256:" in row_of(page, "atlas")
        assert "GB" in row_of(page, "atlas")
        assert "Offline" in row_of(page, LONG)
        assert "Not set up" in row_of(page, "fresh")
        assert "no kubeconfig yet" in row_of(page, "k3s-home")
        expect(page.get_by_role("link", name="Add host…")).to_have_count(0)
        vic.open("/hosts/atlas")
        expect(page.get_by_role("link", name="web-shop")).to_be_visible()
        expect(page.get_by_text("rsync is there")).to_be_visible()
        expect(page.get_by_role("button")).to_have_count(0)
        assert page.goto("/hosts/atlas/remove").status == 403  # type: ignore[union-attr]


def test_what_no_event_tells_of_is_looked_at_again(chromium: Browser, daemon: WebDaemon) -> None:
    with signed_in(chromium, daemon) as ada:
        ada.page.clock.install()
        page = ada.open("/hosts")
        ok(daemon.local.post(f"{V1}/clusters", json={"name": "newcomer"}))
        page.clock.fast_forward(31_000)
        expect(page.get_by_role("link", name="newcomer")).to_be_visible()
        assert daemon.local.delete(f"{V1}/clusters/newcomer").is_success


@pytest.mark.parametrize(("width", "dark"), [(DESK, False), (PHONE, True)], ids=["desk", "phone"])
def test_their_manners(chromium: Browser, daemon: WebDaemon, width: int, *, dark: bool) -> None:
    pages = {
        "hosts": "/hosts",
        "host": "/hosts/atlas",
        "host-offline": f"/hosts/{LONG}",
        "host-local": "/hosts/local",
        "host-key": "/hosts/fresh/key",
        "host-new": "/new/host",
        "host-remove": "/hosts/atlas/remove",
        "cluster": "/clusters/k3s-home",
        "cluster-new": "/new/cluster",
    }
    look = "dark-phone" if dark else "light-desk"
    with signed_in(chromium, daemon, width=width, dark=dark) as ada:
        for name, path in pages.items():
            check_manners(ada.open(path), f"{name}-{look}")
            if dark:
                ada.page.set_viewport_size({"width": 320, "height": 700})
                assert overflow(ada.page) <= 0, path
                ada.page.set_viewport_size({"width": width, "height": 900})


def test_a_host_is_added_and_its_key_compared(chromium: Browser, daemon: WebDaemon) -> None:
    """What is wrong stands at its field; nothing is typed twice; then the fingerprint, whole."""
    with Sshd() as new, signed_in(chromium, daemon) as ada:
        page = ada.open("/hosts")
        page.get_by_role("link", name="Add host…").click()
        page.get_by_label("Name").fill("vega")
        page.get_by_label("Address").fill("-oProxyCommand=x")
        page.get_by_label("User").fill(new.user)
        page.get_by_label("Port").fill(str(new.port))
        page.get_by_role("button", name="Add it").click()
        expect(page.locator("#problem-address")).to_contain_text("is not a host name")
        expect(page.get_by_label("Port")).to_have_value(str(new.port))
        page.get_by_label("Address").fill("127.0.0.1")
        page.get_by_label("Private key").fill(new.key_path.read_text())
        page.get_by_role("button", name="Add it").click()
        expect(page).to_have_url(f"{daemon.url}/hosts/vega/key")
        print_ = page.locator(".print.is-l")
        expect(print_).to_have_text(new.host_fingerprint)
        expect(print_.locator("span")).to_have_count(12)  # SHA256: and eleven groups of four
        expect(page.get_by_label("Command")).to_contain_text("ssh-keygen -lf")
        check_manners(page, "host-compare-light-desk")
        page.get_by_role("button", name="Accept this key of vega").click()
        expect(page.get_by_role("status").first).to_contain_text("known by its key from now on")
        expect(page.get_by_text("rsync is there")).to_be_visible()
        expect(page.locator("#badge")).to_contain_text("Online")
        assert new.key_path.read_text().splitlines()[1] not in page.content()
        page.get_by_role("link", name="Remove…").click()
        dialog = page.get_by_role("dialog", name="Remove vega?")
        expect(dialog).to_contain_text("No project has a target on it")
        dialog.get_by_role("button", name="Remove vega").click()
        expect(page).to_have_url(f"{daemon.url}/hosts")
        expect(page.get_by_role("link", name="vega")).to_have_count(0)


def test_a_changed_key_is_accepted_by_who_types_the_name(
    chromium: Browser, daemon: WebDaemon
) -> None:
    """Both are there whole, what differs is marked; until then nothing is sent to it."""
    with Sshd() as moved, signed_in(chromium, daemon, script=False) as ada:
        declare(daemon, "rigel", moved.port, moved)
        trust(daemon, "rigel", before := moved.host_fingerprint)
        moved.change_host_key()
        ok(daemon.local.post(f"{V1}/hosts/rigel/check"))
        page = ada.page
        page.goto("/hosts")
        assert "Key changed" in row_of(page, "rigel")
        page.get_by_role("link", name="compare with what it shows").click()
        expect(page.locator(".print.is-l")).to_have_count(2)
        known, shown = page.locator(".print.is-l").all()
        expect(known).to_have_text(before)
        expect(shown).to_have_text(moved.host_fingerprint)
        assert shown.locator("mark").count() > 5
        with signed_in(chromium, daemon, width=PHONE, dark=True) as reading:
            check_manners(reading.open("/hosts/rigel/key"), "host-key-changed-dark-phone")
        page.get_by_label("Type rigel").fill("vega")
        accept = page.get_by_role("button", name="Accept the new key of rigel")
        accept.click()
        expect(page.locator("#problem-name")).to_contain_text("type rigel")
        assert ok(daemon.local.get(f"{V1}/hosts/rigel"))["host_keys"] == [before]
        page.get_by_label("Type rigel").fill("rigel")
        accept.click()
        expect(page.locator("#note")).to_contain_text("It lets us in as")
        expect(page.locator("#badge")).to_contain_text("Online")
        known_by = ok(daemon.local.get(f"{V1}/hosts/rigel"))["host_keys"]
        assert known_by == [moved.host_fingerprint]
        assert daemon.local.delete(f"{V1}/hosts/rigel").status_code == 204


def test_what_changed_meanwhile_is_not_overwritten(chromium: Browser, daemon: WebDaemon) -> None:
    """A change from an old page does nothing; at another address the key is compared anew."""
    with signed_in(chromium, daemon) as ada:
        page = ada.open("/hosts/fresh")
        ok(daemon.local.patch(f"{V1}/hosts/fresh", json={"user": "other"}))
        page.get_by_label("Address").fill("192.0.2.1")
        save = page.get_by_role("button", name="Save how it is reached")
        save.click()
        expect(page.get_by_role("alert")).to_contain_text("changed-meanwhile")
        expect(page.get_by_label("Address")).to_have_value("192.0.2.1")
        ada.open("/hosts/fresh")
        page.get_by_label("Port").fill("99999")
        save.click()
        expect(page.locator("#problem-port")).to_be_visible()
        page.get_by_label("Port").fill("2")
        save.click()
        expect(page).to_have_url(f"{daemon.url}/hosts/fresh/key")
        ada.open("/hosts/atlas")
        page.get_by_role("link", name="Remove…").click()
        dialog = page.get_by_role("dialog", name="Remove atlas?")
        expect(dialog).to_contain_text("something is to run there: web-shop")
        expect(dialog.get_by_role("button")).to_have_count(0)


def test_a_cluster_is_added_with_what_opens_it(
    chromium: Browser, daemon: WebDaemon, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A kubeconfig that runs programs is refused at its field, and stands nowhere afterwards."""
    authority = CertificateAuthority(tmp_path_factory.mktemp("cluster"))
    with KubernetesApi(authority) as cluster, signed_in(chromium, daemon) as ada:
        token = cluster.add_user("us", role_of_manifest(), "default")
        page = ada.open("/new/cluster")
        page.get_by_label("Name").fill("prod")
        page.get_by_label("Kubeconfig").fill("apiVersion: v1\nkind: Config\n")
        page.get_by_role("button", name="Add it").click()
        expect(page.locator("#problem-kubeconfig")).to_be_visible()
        expect(page.get_by_label("Kubeconfig")).to_be_empty()
        page.get_by_label("Kubeconfig").fill(cluster.kubeconfig(token))
        page.get_by_role("button", name="Add it").click()
        expect(page.locator("#badge")).to_contain_text("Online")
        expect(page.locator("#known")).to_contain_text(SERVER_VERSION)
        assert token not in page.content()
        check_manners(page, "cluster-online-light-desk")
        cluster.users[token].expired = True
        page.get_by_role("button", name="Check now").click()
        expect(page.locator("#badge")).to_contain_text("Refused")
