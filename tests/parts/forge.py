"""A forge, as far as webhooks and commit statuses go: a few endpoints, and real deliveries.

No real one can be had here. What each endpoint takes and gives is written from the API references
of Gitea, Forgejo and Gogs (and their sources, where these say more), GitHub and GitLab. The
contract suite that this double keeps can be pointed at a real forge, too.
"""

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx2

from reconciler.domain.forge import ForgeRepository
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider
from tests.parts.certificates import ServerCertificate
from tests.parts.http_server import Answer, HttpServer, Request

TOKEN = "forge-token-canary-7f3a"
REPOSITORY = "team/app"
#: What an API of each family is below.
_API = {Provider.GITHUB: "/api/v3", Provider.GITLAB: "/api/v4"}
#: The states that each family knows.
_STATES = {
    Provider.GITHUB: {"pending", "success", "failure", "error"},
    Provider.GITLAB: {"pending", "running", "success", "failed", "canceled", "skipped"},
}
_UNFINISHED = {"pending", "running"}
#: These leave a webhook's secret as it was when it is edited.
_KEEPS_SECRET = {Provider.FORGEJO, Provider.GOGS}


@dataclass
class Hook:
    """A webhook as the forge keeps it."""

    id: int
    url: str
    secret: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A commit status as the forge took it."""

    commit: str
    state: str
    context: str
    description: str
    url: str | None


@dataclass
class Forge:
    """Serves one repository until the block ends; ``instead`` replaces each answer."""

    provider: Provider
    tls: ServerCertificate | None = None
    page: int = 2  #: the most that it lists at once, whatever is asked for
    hooks: dict[int, Hook] = field(default_factory=dict)
    instead: Answer | None = None
    statuses: list[Told] = field(default_factory=list)  #: in the order in which they came
    delivers: bool = True  #: whether what it sends arrives anywhere
    answered: list[int] = field(default_factory=list)  #: what its deliveries were answered
    _next: int = 1

    def __enter__(self) -> Self:
        self._threads: list[threading.Thread] = []
        self._http = HttpServer(self._answer, tls=self.tls)
        self._http.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for thread in self._threads:
            thread.join(5)
        self._http.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Its address."""
        return self._http.url

    @property
    def requests(self) -> list[Request]:
        """All that it was asked."""
        return self._http.requests

    @property
    def repository(self) -> ForgeRepository:
        """Its one repository."""
        return ForgeRepository(self.provider, f"{self.url}{self._api}", REPOSITORY)

    def add_hook(self, url: str, secret: str = "of somebody else") -> Hook:
        """Put a webhook there that somebody made by hand."""
        hook = Hook(self._next, url, secret, {})
        self.hooks[hook.id] = hook
        self._next += 1
        return hook

    def with_address(self, url: str) -> list[Hook]:
        """Return those that send to ``url``."""
        return [hook for hook in self.hooks.values() if hook.url == url]

    # ── The API ───────────────────────────────────────────────────────────────────────────────

    @property
    def _api(self) -> str:
        return _API.get(self.provider, "/api/v1")

    @property
    def _hooks_path(self) -> str:
        if self.provider is Provider.GITLAB:
            return f"{self._api}/projects/{REPOSITORY.replace('/', '%2F')}/hooks"
        return f"{self._api}/repos/{REPOSITORY}/hooks"

    def _answer(self, request: Request) -> Answer:
        if self.instead is not None:
            return self.instead
        if not self._knows(request):
            return _said(401, {"message": "401 Unauthorized"})
        about_statuses = self._hooks_path.removesuffix("hooks") + "statuses/"
        if request.path.startswith(about_statuses):
            return self._take_status(request, request.path.removeprefix(about_statuses))
        return self._answer_about_hooks(request)

    def _answer_about_hooks(self, request: Request) -> Answer:
        match = re.fullmatch(re.escape(self._hooks_path) + r"(?:/(\d+)(/[a-z_/]+)?)?", request.path)
        if not match:
            return _said(404, {"message": "Not Found"})
        number, action = match[1], match[2] or ""
        if number is None:
            return self._list(request) if request.method == "GET" else self._create(request)
        hook = self.hooks.get(int(number))
        if hook is None:
            return _said(404, {"message": "Not Found"})
        return self._one(request, hook, action)

    def _one(self, request: Request, hook: Hook, action: str) -> Answer:
        edits = "PUT" if self.provider is Provider.GITLAB else "PATCH"
        test = {Provider.GITHUB: "/pings", Provider.GITLAB: "/test/push_events"}
        ways: dict[tuple[str, str], Callable[[], Answer]] = {
            (edits, ""): lambda: self._edit(request, hook),
            ("DELETE", ""): lambda: self._delete(hook),
        }
        if self.provider is not Provider.GOGS:
            ways["POST", test.get(self.provider, "/tests")] = lambda: self._test(hook)
        way = ways.get((request.method, action))
        return way() if way else _said(404, {"message": "Not Found"})

    def _knows(self, request: Request) -> bool:
        match self.provider:
            case Provider.GITLAB:
                return request.headers.get("private-token") == TOKEN
            case Provider.GITHUB:
                return request.authorization == f"Bearer {TOKEN}"
        return request.authorization == f"token {TOKEN}"

    def _list(self, request: Request) -> Answer:
        every = [self._shown(hook) for hook in self.hooks.values()]
        if self.provider is Provider.GOGS:
            return _said(200, every)
        start = (int(request.query.get("page", ["1"])[0]) - 1) * self.page
        return _said(200, every[start : start + self.page])

    def _create(self, request: Request) -> Answer:
        body = json.loads(request.body)
        if self.provider not in {Provider.GITHUB, Provider.GITLAB}:
            assert body["type"] == self.provider
        url, secret = self._wanted(body)
        hook = self.add_hook(url, secret)
        hook.settings = body
        if self.provider is Provider.GITHUB:  # which says hello to each new one
            self._send_soon(hook)
        return _said(201, self._shown(hook))

    def _edit(self, request: Request, hook: Hook) -> Answer:
        body = json.loads(request.body)
        hook.url, secret = self._wanted(body)
        hook.secret = hook.secret if self.provider in _KEEPS_SECRET else secret
        hook.settings = body
        return _said(200, self._shown(hook))

    def _take_status(self, request: Request, commit: str) -> Answer:
        assert request.method == "POST"
        assert self.provider is not Provider.GOGS
        body = json.loads(request.body)
        state, context = body["state"], body["context"]
        if state not in _STATES.get(self.provider, {*_STATES[Provider.GITHUB], "warning"}):
            return _said(422, {"message": f"state: {state} is not known"})
        if self.provider is Provider.GITHUB and len(body["description"]) > 140:
            return _said(422, {"message": "description is too long (maximum is 140 characters)"})
        before = self.newest_status(commit, context)
        if self.provider is Provider.GITLAB and before and not _may_follow(before.state, state):
            return _said(400, {"message": f"Cannot transition status via :x from :{before.state}"})
        url = body.get("target_url")
        self.statuses.append(Told(commit, state, context, body["description"], url))
        return _said(201, {"id": len(self.statuses), "context": context})

    def newest_status(self, commit: str, context: str) -> Told | None:
        """Return what people see of a commit."""
        every = [one for one in self.statuses if (one.commit, one.context) == (commit, context)]
        return every[-1] if every else None

    def _delete(self, hook: Hook) -> Answer:
        del self.hooks[hook.id]
        return Answer(204)

    def _test(self, hook: Hook) -> Answer:
        if self.provider is not Provider.GITLAB:
            self._send_soon(hook)
            return Answer(204)
        # Which waits for what comes of it.
        status = self._send(hook)
        if status is None or status >= 400:
            return _said(422, {"message": "Hook execution failed"})
        return _said(201, {"message": "201 Created"})

    def _wanted(self, body: Mapping[str, Any]) -> tuple[str, str]:
        if self.provider is Provider.GITLAB:
            assert body["push_events"]
            assert body["tag_push_events"]
            assert body["enable_ssl_verification"]
            return body["url"], body["token"]
        assert body["events"] == ["push"]
        assert body["active"] is True
        assert body["config"]["content_type"] == "json"
        assert body["config"].get("insecure_ssl", "0") == "0"
        return body["config"]["url"], body["config"]["secret"]

    def _shown(self, hook: Hook) -> dict[str, Any]:
        """Return what the API shows of it; never its secret."""
        if self.provider is Provider.GITLAB:
            return {"id": hook.id, "url": hook.url, "push_events": True}
        return {"id": hook.id, "config": {"url": hook.url, "content_type": "json"}}

    # ── Its deliveries ────────────────────────────────────────────────────────────────────────

    def _send_soon(self, hook: Hook) -> None:
        thread = threading.Thread(target=self._send, args=(hook,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _send(self, hook: Hook) -> int | None:
        """Send a test as this forge does; return what it was answered."""
        if not self.delivers:
            return None
        body = json.dumps(_payload(self.provider)).encode()
        headers = {"content-type": "application/json", **_headers(self.provider, hook, body)}
        answer = httpx2.post(hook.url, content=body, headers=headers, timeout=5, trust_env=False)
        self.answered.append(answer.status_code)
        return answer.status_code


def _may_follow(before: str, state: str) -> bool:
    """Tell whether GitLab's machine of states has the step; after an end it begins anew."""
    return before not in _UNFINISHED or state not in _UNFINISHED or (before < state)


def _said(status: int, body: object) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def _payload(provider: Provider) -> dict[str, Any]:
    if provider is Provider.GITHUB:
        return {"zen": "Design for failure.", "hook_id": 1}
    if provider is Provider.GITLAB:
        return {"ref": "refs/heads/main", "project": {"path_with_namespace": REPOSITORY}}
    return {"ref": "refs/heads/main", "repository": {"full_name": REPOSITORY}}


def _headers(provider: Provider, hook: Hook, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery, signed with the secret that the forge was given."""
    tag = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
    if provider is Provider.GITLAB:
        return {"x-gitlab-event": "Push Hook", "x-gitlab-token": hook.secret}
    if provider is Provider.GITHUB:
        return {
            "x-github-event": "ping",
            "x-github-delivery": "test-1",
            "x-hub-signature-256": f"sha256={tag}",
        }
    return {
        f"x-{provider}-event": "push",
        f"x-{provider}-delivery": "test-1",
        f"x-{provider}-signature": tag,
    }


def token() -> Secret:
    """Return the token that it knows."""
    return Secret.of(TOKEN)
