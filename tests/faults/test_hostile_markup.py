"""T44: text of strangers that is a program to a browser, in all that the daemon shows of them.

Commit messages, refs, output, names, errors of servers, webhooks: put where they come from, and
then everything that answers a browser is opened in Chromium. The figures: 0 scripts run, 0 requests
elsewhere, each answer of the very type that it is said to be, with nosniff and a policy that lets
nothing run. A page that comes to be is covered by its route.
"""

import hmac
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from playwright.sync_api import Browser, Dialog, Page, Response
from playwright.sync_api import Error as BrowserError

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.admission import Request as Asked
from reconciler.domain.deployment import Cause, DeploymentId, Stage, Status, TargetStatus, Trigger
from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.host import LOCAL
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.settings import MASTER_SWITCH
from reconciler.domain.state import PassedOver, RegistryTrouble, SourceHealth, WatchedImage
from reconciler.log import Redactor
from reconciler.pipeline.trigger import trigger_deployment
from reconciler.ports import Acting, PollResult, SettingRecord, acting_for
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from reconciler.web.pages.routers import ROUTERS
from tests.parts.found_stacks import container, write_containers
from tests.parts.git_repository import Repository
from tests.parts.http_server import Answer, HttpServer
from tests.parts.http_server import Request as Sent
from tests.parts.pages import PASSWORD, make_person, sign_in
from tests.parts.web_client import WebDaemon, ok

NAME = ProjectName("t44")
A, B = (CommitSha(letter * 40) for letter in "ab")
#: What of the pages' routes is no page.
_NO_PAGES = ("/static/", "/sign-in/", "/openapi.json")
_FILES = (".json", ".txt", "/log", "/log/find", "/export")
#: Parts of paths → what of the scene is there.
_KNOWN_PARTS = {"{number}": "1", "{host}": "local"}
#: What would be opened of them, had they the type of a page.
_ACTIVE = ("text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml")
_KNOWN = (
    *("application/json", "application/problem+json", "application/jsonl"),
    *("text/plain; charset=utf-8", "text/event-stream; charset=utf-8"),
    "text/plain; version=0.0.4; charset=utf-8",
)


def payloads(canary: str) -> list[str]:
    """Return texts each of which is a program somewhere, if nobody takes care."""
    run = f"window.t44=1;console.log('t44');fetch('{canary}')"
    quoted = run.replace("'", "&apos;")
    return [
        f"<script>{run}</script>",
        f"</script><script>{run}</script>",
        f"<script src={canary}></script>",
        f'<img src=x onerror="{quoted}">',
        f"<svg/onload={quoted}>",
        f"<svg><script>{run}</script></svg>",
        f"<body onload={quoted}><details open ontoggle={quoted}>",
        f'<a href="javascript:{quoted}" id=t44>click</a>',
        f"javascript:{run}//",
        f'<iframe srcdoc="<script>{quoted}</script>">',
        f"<object data={canary}><embed src={canary}><link rel=stylesheet href={canary}>",
        f"<style>@import '{canary}';*{{background:url({canary})}}</style>",
        f'<meta http-equiv=refresh content="0;url={canary}"><base href={canary}>',
        f"\"'><img src={canary} x=`",
        f"'-{run}-'\"-{run}-\"`-{run}-`${{{run}}}",
        f"--></title></style></textarea><!--><script>{run}</script>",
        f"<form action={canary}><button autofocus onfocus={quoted}>",
        f"&lt;script&gt;{run}&lt;/script&gt;&#60;script&#62;{run}&#60;/script&#62;",
        f"\\u003cscript\\u003e{run}\\u003c/script\\u003e",
        f"+ADw-script+AD4-{run}+ADw-/script+AD4-",
        "{{7*7}}{%25if 1%25}${7*7}#{7*7}<%= 7*7 %>[[7*7]]{{constructor.constructor('t44=1')()}}",
        f"*/{run}//\u2028{run}\u2029)]}}',\n{run}",
        f"\x1b]8;;javascript:{run}\x1b\\click\x1b]8;;\x1b\\\x1b[2J\x1b]0;t44\x07\x9b31m",
        "safe\u202ecod.exe\u200b\u2066\u2069\ufeff",
        "\r\nX-T44: 1\r\nContent-Type: text/html\r\n\r\n<script>t44=1</script>",
        "<script>t44=1</script>" + "A" * 300,
    ]


@dataclass
class Hostile:
    """A daemon full of them, and the server that none of them may reach."""

    daemon: WebDaemon
    canary: HttpServer
    texts: list[str]
    pages: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    def lure(_: Sent) -> Answer:
        return Answer(200, {"Access-Control-Allow-Origin": "*"}, b"window.t44=1")

    with HttpServer(lure) as canary, WebDaemon(tmp_path_factory.mktemp("markup")) as daemon:
        made = Hostile(daemon, canary, payloads(canary.url))
        _fill_over_http(made)
        folder = daemon.folder / "data"
        store = open_store(
            folder / "state.db",
            lambda may_create: KeySources(folder).open(may_create=may_create),
            SystemClock(),
        )
        try:
            deployment = _fill_store(store, made.texts)
        finally:
            store.close()
        made.pages = list(_pages(deployment))
        described = [path for path in _paths_of(daemon, deployment) if path not in made.pages]
        made.paths = [*made.pages, *described, *_unknown_paths(made.texts)]
        yield made


# ── Where they come from ──────────────────────────────────────────────────────────────────────


def _fill_over_http(made: Hostile) -> None:
    """Send them as operators, forges and anybody can; what is refused is shown to somebody, too."""
    api, v1 = made.daemon.local, "/api/v1"
    declared = {
        "name": NAME,
        "kind": "compose",
        "repository": NAME,
        "create_repository": True,
        "expose_service": "web",
        "expose_port": 80,
        "auto_deploy": True,
        "watch_paths": [text for text in made.texts if text.isprintable() and len(text) < 99][:8],
        "migration": {"command": ["echo", *(t for t in made.texts if t.isprintable())]},
    }
    if api.post(f"{v1}/projects", json=declared).status_code != 201:
        declared |= {"watch_paths": ["<img>"], "migration": {"command": ["echo", "<script>t44=1"]}}
        ok(api.post(f"{v1}/projects", json=declared))
    _push(made)
    written = (container(one, one, f"/srv/{one}", 1, image=one) for one in made.texts)
    write_containers(made.daemon.folder, *written)
    hook = ok(api.post(f"{v1}/webhooks", json={"name": NAME, "provider": "gitea"}))
    make_person(made.daemon)
    stranger = made.daemon.remote(**{"user-agent": made.texts[0], "origin": made.daemon.url})
    come_in = {"name": "ada", "password": PASSWORD}
    assert stranger.post(f"{v1}/sign-in", json=come_in).status_code == 204
    stranger.cookies.clear()
    for text in made.texts:
        plain = text.encode("ascii", "ignore").decode().translate(dict.fromkeys(range(32)))
        sent = {"ref": text, "repository": {"full_name": text, "clone_url": text}, "pusher": text}
        body = json.dumps(sent).encode()
        headers = {
            "content-type": "application/json",
            "x-gitea-event": "push",
            "x-gitea-delivery": plain[:90],
            "x-gitea-signature": hmac.new(hook["secret"].encode(), body, "sha256").hexdigest(),
        }
        stranger.post(f"/webhook/{NAME}", content=body, headers=headers)


def _push(made: Hostile) -> None:
    """Put a commit there whose message, files and branch are of them, for plans to tell."""
    kept = Repository(made.daemon.folder / "data" / "repositories" / f"{NAME}.git")
    shown = json.dumps({"services": {"web": {"image": "t44:1", "labels": made.texts}}})
    files: dict[str, str | bytes | None] = {"compose.yaml": shown, "<img src=x onerror=t44=1>": "x"}
    kept.commit(files, " ".join(made.texts))
    kept.git("branch", "<script>t44=1", "main")


def _fill_store(store: SqlStore, texts: list[str]) -> DeploymentId:
    """Keep them as git servers, registries, containers and people would have brought them."""
    every, clock = " ".join(texts), SystemClock()
    now = clock.now()
    error = Failure("command-failed", every, Recovery.OPERATOR, every, {"said": every})
    with acting_for(Acting(every, every, "t44")):
        store.put_settings([SettingRecord(MASTER_SWITCH, True, every, now, every)])
        for text in texts:
            cause = Cause(Trigger.PERSON, text, text)
            asked = Asked(NAME, Revision(A), cause, force=True)
            trigger_deployment(store, asked, brakes=lambda switch: switch, now=now)
    claim = store.claim_next("t44", now, lease=timedelta(hours=1))
    assert claim
    deployment = claim.deployment.id
    store.begin_stage(claim, Stage.PREPARE, now)
    lines = [Redactor().clean_output(text) for text in texts]
    store.append_log(deployment, Stage.PREPARE, [*lines, *texts], now)
    store.end_stage(claim, Stage.PREPARE, every, now)
    store.record_target(claim, LOCAL, TargetStatus.FAILED, now, error=error)
    store.finish(claim, Status.FAILED, now, error=error, quarantine=every)
    trigger_deployment(
        store,
        Asked(NAME, Revision(B), Cause(Trigger.PERSON, every, every), force=True),
        brakes=lambda switch: switch,
        now=now,
    )
    store.record_polls([PollResult(NAME, SourceHealth(looked_at=now, error=error, failures=3))])
    image = WatchedImage("registry.example/app:1", ("web",), looked_at=now, error=error)
    store.put_images(NAME, "t44", [image])
    store.record_lookups({NAME: [image]})
    trouble = RegistryTrouble("registry.example", ReasonCode.REGISTRY_COOLED, every, now, None)
    store.put_registry_trouble(trouble)
    passed = PassedOver(B, ReasonCode.SKIP_MARKER, every, now, base=A)
    store.pass_over(store.get_project(NAME), A, passed)
    return deployment


# ── What answers a browser ────────────────────────────────────────────────────────────────────


def _paths_of(daemon: WebDaemon, deployment: int) -> list[str]:
    """Return every address that the description offers for looking, with our things in it."""
    described = daemon.local.get("/openapi.json").json()["paths"]
    known = {"{id}": str(deployment), **_KNOWN_PARTS}
    found = []
    for path in (path for path, ways in described.items() if "get" in ways):
        parts = [
            known.get(part, NAME) if part.startswith("{") else part for part in path.split("/")
        ]
        found.append("/".join(parts))
    return found


def _pages(deployment: int) -> Iterator[str]:
    """Yield the address of every page there is, with our things in it."""
    known = {"{id}": str(deployment), **_KNOWN_PARTS}
    for route in (route for router in ROUTERS for route in router.routes):
        if not isinstance(route, APIRoute) or "GET" not in (route.methods or ()):
            continue
        if not route.path.startswith(_NO_PAGES) and not route.path.endswith(_FILES):
            parts = route.path.split("/")
            yield "/".join(known.get(one, NAME) if "{" in one else one for one in parts)


def _unknown_paths(texts: list[str]) -> list[str]:
    some = [quote(texts[0], safe=""), quote(texts[24], safe=""), quote(texts[22], safe="")]
    places = (
        *("/{}", "/docs/{}", "/api/v1/projects/{}", "/api/v1/projects?q={}&state={}"),
        *("/api/v1/deployments?since={}", "/webhook/{}", "/git/{}.git/info/refs"),
    )
    shown = [place.replace("{}", some[at % 3]) for at, place in enumerate(places)]
    return [*shown, f"/{some[0]}", f"/api/v1/hosts/{some[1]}", f"/api/v1/audit?actor={some[0]}"]


def _is_shown(path: str, pages: list[str]) -> bool:
    """Tell whether it is a page, of another type than JSON, an error's, or rich in their words."""
    rich = (*("/log", "/events", "/why", "/deliveries"), f"/{NAME}/plan")
    return path in pages or "%" in path or path.endswith(rich)


@dataclass
class Watch:
    """What a page did that it should not."""

    page: Page
    own: str  #: address of the server that is looked at
    answers: list[Response] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("response", lambda answer: self.answers.append(answer))  # noqa: PLW0108
        self.page.on("console", lambda said: self._note_console(said.text))
        self.page.on("pageerror", lambda error: self.ran.append(f"error: {error}"))
        self.page.on("dialog", self._note_dialog)
        self.page.on("request", lambda sent: self._note_request(sent.url))

    def open(self, path: str, *, is_page: bool) -> None:
        """Open it, and see what it did. A stream never ends, and a download is no page."""
        wait: Literal["load", "commit"] = "load" if is_page else "commit"
        with suppress(BrowserError):
            self.page.goto(f"{self.own}{path}", wait_until=wait, timeout=5000)
            if not self.page.url.startswith("about:"):
                self._look(path)

    def _look(self, path: str) -> None:
        found = self.page.evaluate(_LOOK)
        if found["ran"]:
            self.ran.append(f"{path}: a script ran")
        if found["handlers"] or found["addresses"]:
            self.ran.append(f"{path}: {found}")

    def _note_dialog(self, dialog: Dialog) -> None:
        self.ran.append("dialog")
        dialog.dismiss()

    def _note_console(self, text: str) -> None:
        if "t44" in text or "Content Security Policy" in text:
            self.ran.append(text)

    def _note_request(self, url: str) -> None:
        if not url.startswith(f"{self.own}/"):
            self.left.append(url)


#: Handlers in attributes, and addresses that are programs or lead away, are none of ours either.
_LOOK = """() => {
  const every = [...document.querySelectorAll('*')];
  return {
    ran: 't44' in window,
    handlers: every.filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length,
    addresses: every.flatMap(e => [e.href, e.src, e.action, e.data])
      .filter(a => typeof a === 'string' && a && !a.startsWith(location.origin + '/')),
  };
}"""


@pytest.mark.needs_browser
@pytest.mark.parametrize(
    "fields", [pytest.param(False, id="pages"), pytest.param(True, marks=pytest.mark.slow)]
)
def test_t44_nothing_that_strangers_wrote_runs(
    hostile: Hostile, chromium: Browser, fields: bool
) -> None:
    """0 scripts, 0 requests elsewhere, wherever it is opened.

    What is JSON is nothing to run for a browser that heeds its type, which the next but one shows
    of every answer; here a few stand for all, and all of them where there is time.
    """
    paths = hostile.paths
    if not fields:
        paths = [path for path in paths if _is_shown(path, hostile.pages)]
    context = chromium.new_context(accept_downloads=False)
    try:
        sign_in(context, hostile.daemon)
        watch = Watch(context.new_page(), hostile.daemon.url)
        for path in paths:
            watch.open(path, is_page=path in hostile.pages)
    finally:
        context.close()
    assert watch.ran == []
    assert watch.left == []
    assert hostile.canary.requests == []
    answered = [answer for answer in watch.answers if not answer.url.endswith("/favicon.ico")]
    assert len(answered) >= len(paths) > 10


@pytest.mark.needs_browser
def test_t44_the_same_text_runs_where_nobody_takes_care(
    hostile: Hostile, chromium: Browser, tmp_path: Path
) -> None:
    """What is looked for would be seen: as a page, each of these is one."""
    careless = "<!doctype html>" + hostile.texts[0] + hostile.texts[3] + hostile.texts[7]
    with HttpServer(
        lambda _: Answer(200, {"Content-Type": "text/html"}, careless.encode())
    ) as site:
        page = chromium.new_page()
        watch = Watch(page, site.url)
        page.goto(site.url, wait_until="load")
        watch._look("careless")
        page.close()
    assert [said for said in watch.ran if said == "t44"]
    assert [said for said in watch.ran if "'ran': True" in said or "a script ran" in said]
    assert [said for said in watch.ran if "javascript:" in said]
    assert watch.left


def test_t44_each_answer_says_what_it_is(hostile: Hostile) -> None:
    """And that nobody may guess otherwise, frame it, or run anything in it."""
    client, shown = hostile.daemon.remote(hostile.daemon.admin_token), 0
    for path in hostile.paths:
        with client.stream("GET", path) as answer:
            headers, kind = answer.headers, answer.headers.get("content-type", "")
            assert headers["x-content-type-options"] == "nosniff", path
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'"), path
            assert "script-src" not in policy.replace("script-src 'self'", ""), path
            assert path in hostile.pages or "script-src" not in policy, path
            assert "frame-ancestors 'none'" in policy, path
            assert "x-t44" not in headers, path
            if path in hostile.pages:
                assert kind in {"text/html; charset=utf-8", "application/problem+json"}, path
                shown += kind.startswith("text/html")
            else:
                assert kind in _KNOWN, (path, kind)
                assert not kind.startswith(_ACTIVE), path
            if kind == "application/jsonl":
                assert headers["content-disposition"].startswith("attachment"), path
            if kind.startswith(_ACTIVE):
                assert not any(text in answer.read().decode() for text in _programs(hostile)), path

    assert shown > len(hostile.pages) / 2, "the others are of what is not there"


def _programs(hostile: Hostile) -> list[str]:
    """Return those that begin an element: as they are, they are in no page."""
    return [text for text in hostile.texts if text.startswith("<")]


def test_t44_text_for_terminals_is_text(hostile: Hostile) -> None:
    """The log as plain text, whose lines were cleaned on their way in, moves no cursor."""
    deployments = hostile.daemon.local.get("/api/v1/deployments").json()["items"]
    number = min(one["id"] for one in deployments)
    accept = {"accept": "text/plain"}
    answer = hostile.daemon.local.get(f"/api/v1/deployments/{number}/log", headers=accept)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert hostile.texts[0] in answer.text
    assert not {"\x1b", "\x07", "\x9b", "\r"} & set(answer.text)
