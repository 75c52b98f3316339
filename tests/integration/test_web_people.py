"""Coming in: the first admin, passwords, sessions, and what other sites can make a browser do."""

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from reconciler.app import Application
from reconciler.domain.access import Person, Role
from reconciler.domain.sign_in import FOR_ONE
from reconciler.pipeline.people.sessions import Browser, form_token
from reconciler.web.asgi import create_web
from reconciler.web.own_pages import own_path
from tests.parts.in_process import FORM, HOST, ORIGIN, Answered, Asked, ask, form
from tests.parts.web_daemon import open_application

V1 = "/api/v1"
PASSWORD = "ten green bottles"
JSON = {"content-type": "application/json"}


@dataclass
class Rig:
    """The application with one admin, ada, and the web around it."""

    application: Application
    app: FastAPI

    def ask(self, asked: Asked) -> Answered:
        return ask(self.app, asked)[0]

    def sign_in(self, name: str, **more: str) -> dict[str, str]:
        """Return the headers of a page that somebody signed in on."""
        answer = self.ask(form("/sign-in", name=name, password=PASSWORD, **more))
        assert answer.status == 303, answer.body
        cookies = answer.cookies
        token = form_token(cookies["reconciler"])
        return own_page("; ".join(f"{key}={text}" for key, text in cookies.items()), token)

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: object = None
    ) -> Answered:
        content = b"" if body is None else json.dumps(body).encode()
        return self.ask(Asked(method, f"{V1}{path}", headers, content))


def own_page(cookie: str, token: str) -> dict[str, str]:
    return {"cookie": cookie, "origin": ORIGIN, "x-form-token": token, **JSON}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder where nobody is anything yet, to be copied: making one takes a while."""
    folder = tmp_path_factory.mktemp("untouched")
    open_application(folder).close()
    return folder / "data"


@pytest.fixture(scope="module")
def rig(untouched: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("people")
    shutil.copytree(untouched, folder / "data")
    application = open_application(folder)
    made = Rig(application, create_web(application))
    accounts = application.people.accounts
    for name, role in {"ada": Role.ADMIN, "grace": Role.ADMIN, "bob": Role.VIEWER}.items():
        accounts.add(name, role, {}, PASSWORD)
    yield made
    application.close()


@pytest.fixture
def first(untouched: Path, tmp_path: Path) -> Iterator[Rig]:
    """One where nobody is anything yet."""
    shutil.copytree(untouched, tmp_path / "data")
    application = open_application(tmp_path)
    yield Rig(application, create_web(application))
    application.close()


# ── The first start ───────────────────────────────────────────────────────────────────────────


def test_twenty_use_the_token_at_once(first: Rig) -> None:
    """One admin, signed in; the others are refused, the file is gone, and no start offers another.

    A kill leaves neither none nor two: a token that was never written is followed by another, and
    an admin without a session signs in.
    """
    people = first.application.people
    assert people.first_start.offer(), "killed before it was written"
    token = people.offer_set_up()
    assert token
    assert people.set_up_file.read_text().strip() == token
    assert people.set_up_file.stat().st_mode & 0o777 == 0o600
    forms = [
        form("/set-up", token=token, name=f"ada{number}", password=PASSWORD) for number in range(20)
    ]
    answers = ask(first.app, *forms)
    entered = [one for one in answers if one.status == 303]
    assert len(entered) == 1
    assert {one.status for one in answers} <= {303, 403, 503}
    (only,) = first.application.store.list_people()
    assert only.is_admin
    assert not people.set_up_file.exists()
    assert people.offer_set_up() is None
    headers = {"cookie": f"reconciler={entered[0].cookies['reconciler']}"}
    assert first.ask(Asked("GET", "/me", headers)).status == 200
    assert first.sign_in(only.name)
    late = first.ask(form("/set-up", token=token, name="eve", password=PASSWORD))
    assert late.status == 403
    log = first.application.store.list_audit
    assert token not in str(log)


def test_what_is_wrong_is_said_beside_its_field(first: Rig) -> None:
    """And the token stays good; wrong ones are counted, and never keep the right one out."""
    token = first.application.people.offer_set_up()
    assert token
    for fields, where, words in (
        ({"token": "rcs_" + "x" * 43}, "token", "is unknown, was used, or is older"),
        ({"name": "A b"}, "name", "must be 1 to 64"),
        ({"password": "short"}, "password", "must have 12 characters"),
        ({"password": "password123456"}, "password", "tried first"),
    ):
        given = {"token": token, "name": "ada", "password": PASSWORD, **fields}
        answer = first.ask(form("/set-up", **given))
        assert answer.status in {403, 422}
        said = re.search(rf'id="problem-{where}".*?<span>([^<]*)', answer.body)
        assert said, answer.body
        assert words in said[1]
        assert PASSWORD not in answer.body
    wrong = form("/set-up", token="no", name="ada", password=PASSWORD)
    assert 429 in {one.status for one in ask(first.app, *[wrong] * 60)}
    right = {"token": token, "name": "ada", "password": PASSWORD}
    made = first.ask(Asked("POST", f"{V1}/set-up", JSON, json.dumps(right).encode()))
    assert made.status == 204


# ── People and sessions ───────────────────────────────────────────────────────────────────────


def test_roles_hold_at_once_and_blocking_ends_sessions(rig: Rig) -> None:
    """A viewer changes nothing; an admin gives, takes and blocks; nobody sees a password."""
    ada, bob = rig.sign_in("ada"), rig.sign_in("bob")
    assert rig.send("GET", "/people", bob).status == 403
    told = rig.send("PATCH", "/people/bob", ada, {"role": "operator", "roles": {}})
    assert (told.status, json.loads(told.body)["role"]) == (200, "operator")
    assert json.loads(rig.send("GET", "/me", bob).body)["scopes"] == ["push", "read", "trigger"]
    listed = rig.send("GET", "/people", ada).body
    assert "argon2" not in listed
    assert PASSWORD not in listed
    assert rig.send("PATCH", "/people/bob", ada, {"blocked": True}).status == 200
    assert rig.send("GET", "/me", bob).status == 401
    refused = rig.ask(form("/sign-in", name="bob", password=PASSWORD, client="198.51.100.1"))
    assert refused.status == 403
    assert rig.send("PATCH", "/people/bob", ada, {"blocked": False, "role": "viewer"}).status == 200
    assert rig.send("PATCH", "/people/bob", ada, {"role": "king"}).status == 422
    assert rig.send("DELETE", "/people/nobody", ada).status == 404


def test_another_password_ends_the_other_sessions(rig: Rig) -> None:
    """One's own asks for the present one; what is over is over in the daemon, too."""
    here, there = rig.sign_in("bob"), rig.sign_in("bob")
    sessions = json.loads(rig.send("GET", "/me/sessions", here).body)["items"]
    assert {one["person"] for one in sessions} == {"bob"}
    assert [one["current"] for one in sessions].count(True) == 1
    assert sessions[0]["remote"] == "192.0.2.7"
    wrong = {"present": "nine green bottles", "new": "eleven green bottles"}
    assert rig.send("PUT", "/me/password", here, wrong).status == 403
    right = {"present": PASSWORD, "new": "eleven green bottles"}
    assert rig.send("PUT", "/me/password", here, right).status == 204
    assert rig.send("GET", "/me", there).status == 401
    assert rig.send("GET", "/me", here).status == 200
    assert rig.send("POST", "/sign-out", here).status == 204
    assert rig.send("GET", "/me", here).status == 401
    rig.application.people.accounts.put_password("bob", PASSWORD)


def test_a_session_is_anew_at_each_sign_in(rig: Rig) -> None:
    """Nobody can have prepared it; over TLS its cookie is for this host alone."""
    before = rig.sign_in("ada")
    fields = form("/sign-in", name="ada", password=PASSWORD)
    again = rig.ask(replace(fields, headers={**fields.headers, "cookie": before["cookie"]}))
    assert again.status == 303
    assert rig.send("GET", "/me", before).status == 401
    origin = {**fields.headers, "host": "localhost", "origin": "https://localhost"}
    answer = rig.ask(replace(fields, scheme="https", headers=origin))
    (session,) = [
        one for one in answer.headers.getlist("set-cookie") if one.startswith("__Host-reconciler=")
    ]
    assert {"HttpOnly", "Path=/", "SameSite=strict", "Secure"} <= set(session.split("; "))
    plain = {"cookie": f"reconciler={answer.cookies['__Host-reconciler']}", "host": "localhost"}
    taken = Asked("GET", f"{V1}/me", plain, scheme="https")
    assert rig.ask(taken).status == 401, "a name that any subdomain can set"


def test_a_token_counts_before_a_cookie(rig: Rig) -> None:
    """Whoever shows one is who it says, or nobody."""
    ada = rig.sign_in("ada")
    assert rig.send("GET", "/me", {**ada, "authorization": "Bearer nonsense"}).status == 401


# ── Tries ─────────────────────────────────────────────────────────────────────────────────────


def test_a_hundred_tries_at_once_keep_nobody_else_out(rig: Rig) -> None:
    """As many are looked at as are free; others, and ada where she is known, get in meanwhile."""
    known = rig.sign_in("grace", client="203.0.113.9")
    wrong = form("/sign-in", client="203.0.113.5", name="grace", password="not this one")
    bob = form("/sign-in", client="203.0.113.6", name="bob", password=PASSWORD)
    right = form("/sign-in", client="203.0.113.5", name="grace", password=PASSWORD)
    marked = replace(right, headers={**right.headers, "cookie": known["cookie"]})
    answers = ask(rig.app, *[wrong] * 50, bob, marked, *[wrong] * 50)
    *tries, others, herself = [*answers[:50], *answers[52:], answers[50], answers[51]]
    looked_at = sum(one.status == 403 for one in tries)
    slowed = [one for one in tries if one.status == 429]
    assert looked_at <= FOR_ONE.free + 1
    assert looked_at + len(slowed) == 100
    assert all(int(one.headers["retry-after"]) >= 1 for one in slowed)
    assert "wait" in slowed[0].body
    assert (others.status, herself.status) == (303, 303)
    assert rig.ask(right).status == 429, "the right one from there has to wait, too"
    assert rig.ask(replace(right, client="198.51.100.77")).status == 303, "from elsewhere not"


# ── Other sites ───────────────────────────────────────────────────────────────────────────────

FOREIGN = "https://evil.example"


def attacks(cookie: str, token: str) -> dict[str, dict[str, str]]:
    """Return what a page elsewhere can have a browser send, and what it can't but might."""
    ours = {"cookie": cookie, "origin": ORIGIN, "sec-fetch-site": "same-origin"}
    theirs = {"cookie": cookie, "origin": FOREIGN, "sec-fetch-site": "cross-site"}
    return {
        "form": {**theirs, "content-type": FORM},
        "fetch": {**theirs, **JSON},
        "fetch with a token": {**theirs, **JSON, "x-form-token": token},
        "text": {**theirs, "content-type": "text/plain"},
        "no type": theirs,
        "no origin": {"cookie": cookie, **JSON, "x-form-token": token},
        "null origin": {**theirs, "origin": "null", "content-type": FORM},
        "subdomain": {**theirs, "origin": f"http://a.{HOST}", "sec-fetch-site": "same-site"},
        "look-alike": {**ours, **JSON, "origin": f"{ORIGIN}.evil.example", "x-form-token": token},
        "port": {**theirs, **JSON, "origin": "http://127.0.0.1:1", "sec-fetch-site": "same-site"},
        "ours without a token": {**ours, **JSON},
        "ours with another's": {**ours, **JSON, "x-form-token": form_token("another")},
        "ours as text": {**ours, "content-type": "text/plain", "x-form-token": token},
        "ours as a form": {**ours, "content-type": FORM},
    }


def mutating(app: FastAPI) -> list[tuple[str, str]]:
    """Return (method, path) of every route that changes something, filled in."""
    found = []
    for context in iter_route_contexts(app.router.routes):
        methods = getattr(context.original_route, "methods", None) or ()
        path = re.sub(r"{[^}]*}", "shop", context.path or "")
        found += [(one, path) for one in methods if one not in {"GET", "HEAD", "OPTIONS"}]
    return [one for one in found if not one[1].startswith("/webhook/")]


def contents(rig: Rig) -> list[str]:
    """Return the whole database, but for what tells whether it can be written to."""
    database = sqlite3.connect(rig.application.config.database_file)
    try:
        return [line for line in database.iterdump() if "last_check" not in line]
    finally:
        database.close()


def test_another_site_changes_nothing(rig: Rig) -> None:
    """On every route, in each way: changes 0. What our own page sends does change something."""
    headers = rig.sign_in("ada")
    routes = mutating(rig.app)
    assert len(routes) > 50
    assert {("POST", "/sign-out"), ("POST", f"{V1}/projects")} <= set(routes)
    before = contents(rig)
    entries = [one for one in routes if one[1].endswith(("/sign-in", "/set-up"))]
    for name, given in attacks(headers["cookie"], headers["x-form-token"]).items():
        body = b"name=shop" if given.get("content-type") == FORM else b'{"name": "shop"}'
        # Where one comes in, no cookie counts: whoever is no browser may ask, and so may our page.
        spared = entries if name.startswith("ours") or name == "no origin" else []
        tried = [one for one in routes if one not in spared]
        answers = ask(rig.app, *(Asked(method, path, given, body) for method, path in tried))
        for (method, path), answer in zip(tried, answers, strict=True):
            assert answer.status == 403, (name, method, path, answer.body)
            assert "foreign-request" in answer.body, (name, method, path)
    ask(rig.app, *(Asked("GET", path, headers) for _, path in routes))
    assert contents(rig) == before
    made = rig.send("POST", "/projects", headers, {"name": "shop", "kind": "tunnel"})
    assert made.status == 201, made.body
    assert contents(rig) != before
    assert rig.send("DELETE", "/projects/shop", headers).status == 204


def test_pages_take_nothing_from_elsewhere(rig: Rig) -> None:
    """What a browser calls itself is text; no script, style or frame of others is let in."""
    agent = "<script>alert(1)</script>"
    rig.application.store.add_person(Person("mallory", None, rig.application.clock.now()))
    sessions = rig.application.people.sessions
    cookie = sessions.begin("mallory", Browser("<b>", agent), "oidc")
    page = rig.ask(Asked("GET", "/me", {"cookie": f"reconciler={cookie}"}))
    assert page.status == 200
    assert "<script>" not in page.body
    assert "&lt;script&gt;" in page.body
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("asked", "then"),
    [
        ("/me?did=kept", "/sign-in?next=%2Fme%3Fdid%3Dkept"),
        ("/projects/a b", "/sign-in?next=%2Fprojects%2Fa%2520b"),
        ("/", "/sign-in"),
        ("//elsewhere.example/x", "/sign-in"),
        ("/" + "x" * 600, "/sign-in"),
    ],
)
def test_whoever_signs_in_gets_to_where_they_wanted(rig: Rig, asked: str, then: str) -> None:
    """But never to another site."""
    answer = rig.ask(Asked("GET", asked, {"accept": "text/html"}))
    assert (answer.status, answer.headers["location"]) == (303, then)


@pytest.mark.parametrize(
    "text",
    ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "/a\nb", ""],
)
def test_no_address_of_another_site_is_an_own_path(text: str) -> None:
    assert own_path(text) == "/"
