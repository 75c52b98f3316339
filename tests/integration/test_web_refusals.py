"""What went wrong is a page for people, and a problem for programs; its status is the same."""

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from reconciler.app import Application
from reconciler.domain.access import AccessToken, Role, Scope
from reconciler.domain.settings import MASTER_SWITCH
from reconciler.pipeline.declaring.project_draft import ProjectDraft
from reconciler.pipeline.declaring.projects import declare_project
from reconciler.pipeline.declaring.settings import change_settings
from reconciler.pipeline.people.sessions import Browser
from reconciler.web.asgi import create_web
from reconciler.web.auth import make_token
from reconciler.web.pages.refusals import Refusals
from reconciler.web.problems import make_problem, respond
from tests.parts.in_process import Answered, Asked, ask
from tests.parts.web_daemon import open_application

PEOPLE = "text/html,application/xhtml+xml,*/*;q=0.8"
PROBLEM, PAGE = "application/problem+json", "text/html; charset=utf-8"
NASTY = "<script>alert(1)</script> \x1b[2J"


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    made = open_application(tmp_path_factory.mktemp("refusals"))
    draft, now = ProjectDraft("shop", "tunnel"), made.clock.now()
    shop = declare_project(made.store, made.repositories, draft, now).project.name
    for name, role in {"ada": Role.ADMIN, "vic": Role.VIEWER, "zoe": None, "lou": None}.items():
        roles = {shop: Role.VIEWER} if name == "lou" else {}
        made.people.accounts.add(name, role, roles, "ten green bottles")
    yield made
    made.close()


@pytest.fixture(scope="module")
def app(application: Application) -> FastAPI:
    return create_web(application)


def opened(
    app: FastAPI, application: Application, name: str, path: str, accept: str = PEOPLE
) -> Answered:
    browser = Browser("127.0.0.1", "a browser")
    cookie = application.people.sessions.begin(name, browser, "password")
    headers = {"cookie": f"reconciler={cookie}", "accept": accept}
    return ask(app, Asked("GET", path, headers))[0]


@pytest.mark.parametrize("status", [403, 404, 405, 409, 413, 422, 429, 500, 502, 503])
def test_people_get_a_page(app: FastAPI, status: int) -> None:
    """With sentence, remedy, code and a way on; what strangers wrote in it is text."""
    problem = make_problem(status, NASTY, code="a-code", remedy="do `this`")
    inner = respond(problem, "7f3a91", **{"retry-after": "30"})
    with_pages = FastAPI()
    with_pages.state.application = app.state.application
    with_pages.mount("/", inner)
    with_pages.add_middleware(Refusals)
    page = ask(with_pages, Asked("GET", "/projects/x", {"accept": PEOPLE}))[0]
    assert (page.status, page.headers["content-type"]) == (status, PAGE)
    assert page.headers["retry-after"] == "30"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt; ␛[2J" in page.body
    assert "do <code>this</code>" in page.body
    assert f"{status} a-code" in page.body
    assert ("7f3a91" in page.body) is (status >= 500)
    assert '<a class="btn btn-1" href="/">' in page.body
    for path, accept in (("/projects/x", "*/*"), ("/api/v1/projects/x", PEOPLE)):
        told = ask(with_pages, Asked("GET", path, {"accept": accept}))[0]
        assert (told.status, told.headers["content-type"]) == (status, PROBLEM)


NAMES = "These may: ada."


@pytest.mark.parametrize(
    ("name", "path", "said", "is_told"),
    [
        ("vic", "/new", "You may not change this, which is about the whole daemon.", True),
        ("vic", "/projects/shop/deploy", "You may look at shop but not deploy it.", True),
        ("zoe", "/new", "You have no role here yet.", False),
        ("lou", "/new", "You may not change this, which is about the whole daemon.", False),
        ("lou", "/projects/shop/deploy", "You may look at shop but not deploy it.", True),
        ("lou", "/projects/blog/deploy", "You may not deploy this, be it there or not.", False),
        ("lou", "/deployments/99", "You may not see this, be it there or not.", False),
        ("lou", "/deployments?project=blog", "You may not see this, be it there or not.", False),
    ],
)
def test_who_may_not_is_told_who_may(
    app: FastAPI, application: Application, name: str, path: str, said: str, *, is_told: bool
) -> None:
    """But for what they may not even look at: of that, they learn nothing."""
    page = opened(app, application, name, path)
    assert (page.status, page.headers["content-type"]) == (403, PAGE)
    assert said in page.body
    named = re.search(r"\bada\b", page.body) is not None  # as a word: tokens have such letters, too
    assert (NAMES in page.body, named) == (is_told, is_told)


def test_a_program_is_told_no_names(app: FastAPI, application: Application) -> None:
    token = AccessToken("ci", frozenset({Scope.READ}), None, application.clock.now())
    shown = {"authorization": f"Bearer {make_token(application.store, token)}", "accept": PEOPLE}
    page = ask(app, Asked("GET", "/projects/shop/deploy", shown))[0]
    assert "You may look at shop but not deploy it." in page.body
    assert "ada" not in page.body


@pytest.mark.parametrize(("name", "is_told"), [("lou", True), ("zoe", False)])
def test_why_the_switch_is_off_is_for_those_with_a_role(
    app: FastAPI, application: Application, name: str, *, is_told: bool
) -> None:
    """As it is over the API."""
    now = application.clock.now()
    change_settings(application.store, {MASTER_SWITCH: False}, reason="fire", actor="ada", now=now)
    page = opened(app, application, name, "/keys")
    assert "Automatic deployment is off" in page.body
    assert ("“<bdi>fire</bdi>”" in page.body, "<bdi>ada</bdi>" in page.body) == (is_told, is_told)


@pytest.mark.parametrize(("name", "is_said"), [("vic", True), ("lou", False)])
def test_nothing_is_said_of_what_one_does_not_see(
    app: FastAPI, application: Application, name: str, *, is_said: bool
) -> None:
    page = opened(app, application, name, "/?did=removed&of=blog")
    assert (page.status, "There is no blog here." in page.body) == (200, is_said)


def test_an_unknown_page_names_itself(app: FastAPI, application: Application) -> None:
    page = opened(app, application, "vic", "/nowhere")
    assert page.status == 404
    assert "There is nothing at /nowhere" in page.body
    assert opened(app, application, "vic", "/nowhere", "*/*").headers["content-type"] == PROBLEM
