"""Signing in by what a proxy or an OpenID Connect provider says, with a browser's cookies."""

from collections.abc import Iterator
from itertools import count
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.parts.openid_provider import CLIENT, SECRET, OpenIdProvider
from tests.parts.web_client import WebDaemon, ok

PROXY = "127.0.0.2"
HTML = {"accept": "text/html"}
PUBLIC = "https://deploy.example.com"
CALLBACK = f"{PUBLIC}/sign-in/oidc/callback"


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    with OpenIdProvider(CALLBACK).running() as running:
        yield running


@pytest.fixture(scope="module")
def daemon(
    provider: OpenIdProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebDaemon]:
    """A daemon behind a proxy at 127.0.0.2, which serves it at https://deploy.example.com."""
    settings = {
        "RECONCILER_TRUSTED_PROXIES": PROXY,
        "RECONCILER_SIGN_IN_HEADER": "Remote-User",
        "RECONCILER_PUBLIC_URL": PUBLIC,
        "RECONCILER_OIDC_ISSUER": provider.url,
        "RECONCILER_OIDC_CLIENT_ID": CLIENT,
        "RECONCILER_OIDC_CLIENT_SECRET": SECRET,
    }
    with WebDaemon(tmp_path_factory.mktemp("elsewhere"), settings=settings) as running:
        for person in ({"name": "ada"}, {"name": "grace", "password": "correct horse battery"}):
            ok(running.local.post("/api/v1/people", json={"role": "viewer", **person}))
        yield running


@pytest.fixture
def provides(provider: OpenIdProvider) -> OpenIdProvider:
    """The provider, as it was at first."""
    provider.person = {"sub": "1", "preferred_username": "ada"}
    provider.reuses_codes = False
    return provider


#: Each has an address of its own, as who asks too often is told to wait.
_PLACES = count(1)


class Browser:
    """One behind the proxy, which names ``person``."""

    def __init__(self, daemon: WebDaemon, person: str = "", address: str = PROXY) -> None:
        self.cookies: dict[str, str] = {}
        self.headers = {
            **HTML,
            "x-forwarded-for": f"203.0.113.{next(_PLACES)}",
            "x-forwarded-proto": "https",
            "x-forwarded-host": "deploy.example.com",
        }
        self.person = person
        self.url = daemon.url
        self.address = address

    def get(self, path: str, person: str | None = None) -> httpx2.Response:
        headers = dict(self.headers)
        if named := self.person if person is None else person:
            headers["remote-user"] = named
        if self.cookies:
            headers["cookie"] = "; ".join(f"{key}={text}" for key, text in self.cookies.items())
        transport = httpx2.HTTPTransport(local_address=self.address)
        with httpx2.Client(base_url=self.url, transport=transport, timeout=20) as http:
            answer = http.get(path, headers=headers)
        for line in answer.headers.get_list("set-cookie"):
            name, _, text = line.partition(";")[0].partition("=")
            self.cookies[name] = text.strip('"')
        self.cookies = {name: text for name, text in self.cookies.items() if text}
        return answer

    @property
    def is_in(self) -> bool:
        return self.get("/me").status_code == 200


def location(answer: httpx2.Response) -> str:
    assert answer.status_code in {302, 303}, answer.text
    return str(answer.headers["location"])


def last_sessions(daemon: WebDaemon) -> list[dict[str, str]]:
    found: list[dict[str, str]] = ok(daemon.local.get("/api/v1/sessions"))["items"]
    return found


# ── a proxy's header ──────────────────────────────────────────────────────────────────────────


def test_whom_the_proxy_names_is_signed_in(daemon: WebDaemon) -> None:
    """The session is of the way ``proxy``, and shows the address that the proxy saw."""
    browser = Browser(daemon, "ada")
    assert location(browser.get("/me")) == "/sign-in?next=%2Fme"
    assert 'href="/sign-in/proxy"' in browser.get("/sign-in").text
    assert location(browser.get("/sign-in/proxy")) == "/"
    assert set(browser.cookies) >= {"__Host-reconciler"}
    assert browser.is_in
    newest = last_sessions(daemon)[0]
    assert (newest["person"], newest["way"]) == ("ada", "proxy")
    assert newest["remote"] == browser.headers["x-forwarded-for"]


def test_a_session_is_of_no_use_for_another_person(daemon: WebDaemon) -> None:
    """Nor without the proxy's word: who signed out there is out here."""
    browser = Browser(daemon, "ada")
    browser.get("/sign-in/proxy")
    for named in ("grace", ""):
        browser.person = named
        assert not browser.is_in
    browser.person = "ada"
    assert browser.is_in


@pytest.mark.parametrize("person", ["nobody", "grace", "Ada", "../ada", "", "a" * 65])
def test_whom_the_proxy_may_not_name(daemon: WebDaemon, person: str) -> None:
    """Nobody new unless it is so configured, nobody who has a password here, no nonsense."""
    browser = Browser(daemon, person)
    answer = browser.get("/sign-in/proxy")
    assert answer.status_code == 403
    assert "Not signed in" in answer.text
    assert not browser.cookies


def test_nobody_else_names_anybody(daemon: WebDaemon) -> None:
    """The same header from another address is not there, and writes no line into the log."""
    browser = Browser(daemon, "ada", address="127.0.0.1")
    browser.headers = dict(HTML)
    before = (daemon.folder / "daemon.log").read_text().count("nobody was signed in")
    assert browser.get("/sign-in/proxy").status_code == 403
    assert "/sign-in/proxy" not in browser.get("/sign-in").text
    assert not browser.cookies
    assert (daemon.folder / "daemon.log").read_text().count("nobody was signed in") == before


# ── OpenID Connect ────────────────────────────────────────────────────────────────────────────


def come_back(browser: Browser) -> str:
    """Go to the provider, and return where it sends the browser back to, without the host."""
    url = location(browser.get("/sign-in/oidc"))
    there = location(httpx2.get(url, trust_env=False))
    assert there.startswith(f"{CALLBACK}?")
    return there.removeprefix(PUBLIC)


def test_whom_the_provider_names_is_signed_in(daemon: WebDaemon, provides: OpenIdProvider) -> None:
    """By a code, for this browser; the flow's cookie is gone afterwards."""
    browser = Browser(daemon)
    assert 'href="/sign-in/oidc"' in browser.get("/sign-in").text
    back = come_back(browser)
    assert set(browser.cookies) == {"__Host-reconciler-flow"}
    answer = browser.get(back)
    assert (answer.status_code, answer.headers["refresh"]) == (200, "0; url=/")
    assert "__Host-reconciler-flow" not in browser.cookies
    assert browser.is_in
    assert (last_sessions(daemon)[0]["person"], last_sessions(daemon)[0]["way"]) == ("ada", "oidc")
    told = ok(daemon.local.get("/api/v1/audit"))["items"]
    assert not any(provides.url in str(entry) for entry in told)


def refused(browser: Browser, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 403, answer.text
    assert "__Host-reconciler" not in browser.cookies
    return answer.text


def test_what_another_browser_began_is_not_taken(
    daemon: WebDaemon, provides: OpenIdProvider
) -> None:
    """Else somebody could be signed in as somebody else without noticing."""
    attacker, victim = Browser(daemon), Browser(daemon)
    back = come_back(attacker)
    assert "did not begin this" in refused(victim, back)
    come_back(victim)
    assert "did not begin this" in refused(victim, back)
    come_back(victim)
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert "did not begin this" in refused(victim, f"/sign-in/oidc/callback?code={code}")
    assert "did not begin this" in refused(victim, "/sign-in/oidc/callback")
    assert provides.codes  # none of them was shown to the provider


def test_a_way_back_is_gone_once(daemon: WebDaemon, provides: OpenIdProvider) -> None:
    """Even where the provider takes its code again, and the browser keeps what it should not."""
    provides.reuses_codes = True
    browser = Browser(daemon)
    back = come_back(browser)
    kept = dict(browser.cookies)
    assert browser.get(back).status_code == 200
    browser.cookies = kept
    assert "gone before" in refused(browser, back)


def test_what_the_provider_says_is_shown_as_text(
    daemon: WebDaemon, provides: OpenIdProvider
) -> None:
    """An error, another issuer, a name that nobody has or may have."""
    browser = Browser(daemon)

    def back_with(**added: str) -> str:
        path, _, query = come_back(browser).partition("?")
        fields = {name: values[0] for name, values in parse_qs(query).items()} | added
        return f"{path}?{httpx2.QueryParams(fields)}"

    shown = refused(browser, back_with(error="<b>access_denied"))
    assert "&lt;b&gt;access_denied" in shown
    assert "another provider" in refused(browser, back_with(iss="https://evil.example"))
    for name, said in (("grace", "with a password"), ("new", "nobody here"), ("<b>", "&lt;b&gt;")):
        provides.person["preferred_username"] = name
        assert said in refused(browser, come_back(browser))


def test_it_leads_nowhere_but_to_the_provider_and_home(
    daemon: WebDaemon, provides: OpenIdProvider
) -> None:
    """No parameter changes where a browser is sent."""
    browser = Browser(daemon)
    url = location(browser.get("/sign-in/oidc?next=https://evil.example&redirect_uri=//evil"))
    assert url.startswith(f"{provides.url}/authorize?")
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [CALLBACK]
    assert "evil" not in url


def test_somebody_who_asks_again_and_again_is_told_to_wait(daemon: WebDaemon) -> None:
    """Of one address; the others go on."""
    busy, other = Browser(daemon), Browser(daemon)
    statuses = [busy.get("/sign-in/oidc").status_code for _ in range(30)]
    assert statuses[0] == 303
    assert statuses[-1] == 429
    assert other.get("/sign-in/oidc").status_code == 303
