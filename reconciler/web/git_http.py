"""Hosted repositories over git's smart HTTP.

Who asks is settled before anything else; then `git http-backend` answers, streamed both ways.
Source: gitprotocol-http(5).
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from reconciler.adapters.git.http_backend import HttpBackend
from reconciler.app import Application, RefUpdate
from reconciler.domain.errors import NotFound, ReconcilerError
from reconciler.domain.project import HostedSource
from reconciler.domain.references import BranchName, CommitSha, ProjectName
from reconciler.log import fields
from reconciler.ports import acting_for
from reconciler.web.auth import (
    acting_of,
    basic_password,
    bearer_token,
    find_principal,
    local_principal,
    remote_of,
)
from reconciler.web.denials import Denials
from reconciler.web.git_exchange import Exchange
from reconciler.web.ongoing import LOOK_AGAIN_SECONDS
from reconciler.web.principal import Policy, Principal
from reconciler.web.problems import problem_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

log = logging.getLogger("reconciler.web.git")

_AT_ONCE = 16
_LONGEST_SECONDS = 3600.0

_PATH = re.compile(
    r"/git/(?P<name>[a-z0-9][a-z0-9-]{0,62})\.git"
    r"(?P<rest>/info/refs|/git-upload-pack|/git-receive-pack)"
)
_RECEIVE = "git-receive-pack"
_SERVICES = ("git-upload-pack", _RECEIVE)
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,256}")
_ENCODINGS = frozenset({"", "gzip", "x-gzip"})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A request as its address says it."""

    name: ProjectName
    rest: str
    service: str

    @property
    def pushes(self) -> bool:
        return self.rest == "/git-receive-pack"


class _Refused(Exception):
    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers


class Receipts:
    """Updates that a post-receive hook reported, so that the same push is not acted on twice."""

    def __init__(self) -> None:
        self._newest: deque[tuple[ProjectName, RefUpdate]] = deque(maxlen=1024)

    def add(self, repository: ProjectName, update: RefUpdate) -> None:
        """Note that ``update`` was acted on."""
        self._newest.append((repository, update))

    def has(self, repository: ProjectName, update: RefUpdate) -> bool:
        """Tell whether it was."""
        return (repository, update) in self._newest


class GitHttp:
    """An ASGI application for ``/git/NAME.git/…``."""

    def __init__(self, application: Application, receipts: Receipts, denials: Denials) -> None:
        self._application = application
        self._receipts = receipts
        self._denials = denials
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request."""
        try:
            principal = await self._authenticate(scope)
            with acting_for(acting_of(scope, principal)):
                await self._answer(principal, scope, receive, send)
        except _Refused as refused:
            await _say(refused, scope, receive, send)
        except NotFound:
            await _say(_Refused(404, "there is no such repository here"), scope, receive, send)
        except ReconcilerError as error:
            problem = problem_of(error)
            await _say(_Refused(problem.status, problem.detail), scope, receive, send)

    async def _answer(
        self, principal: Principal, scope: "Scope", receive: "Receive", send: "Send"
    ) -> None:
        wanted = _parse(scope)
        if not principal.may(Policy.PUSH, wanted.name):
            await self._denials.note(principal.name, Request(scope))
            raise _Refused(403, f"{principal.name} may not use repository {wanted.name}")
        if wanted.service == _RECEIVE:
            await to_thread.run_sync(self._require_pushable, wanted.name)
        variables = _variables(scope, wanted, principal)
        folder = await to_thread.run_sync(self._application.repositories.path, wanted.name)
        async with self._places, asyncio.timeout(_LONGEST_SECONDS):
            backend = await HttpBackend.start(folder, variables)
            exchange = Exchange(backend, receive, send, finish=wanted.pushes)
            work = self._push(exchange, wanted.name) if wanted.pushes else exchange.run()
            await self._while_allowed(scope, wanted, asyncio.create_task(work))

    async def _while_allowed(
        self, scope: "Scope", wanted: _Wanted, work: "asyncio.Task[None]"
    ) -> None:
        """Wait for ``work``; who loses what it takes meanwhile loses the connection."""
        try:
            while not (await asyncio.wait({work}, timeout=LOOK_AGAIN_SECONDS))[0]:
                if not await self._may_still(scope, wanted):
                    return
            await work
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work

    async def _may_still(self, scope: "Scope", wanted: _Wanted) -> bool:
        try:
            return (await self._authenticate(scope)).may(Policy.PUSH, wanted.name)
        except _Refused:
            return False

    async def _authenticate(self, scope: "Scope") -> Principal:
        if local := local_principal(scope):
            return local
        headers = Headers(scope=scope)
        token = basic_password(headers) or bearer_token(headers)
        store, now = self._application.store, self._application.clock.now()
        found = await to_thread.run_sync(find_principal, store, token, now, remote_of(scope))
        if found is None:
            asked = {"www-authenticate": 'Basic realm="reconciler", charset="UTF-8"'}
            raise _Refused(
                401, "any user name, and a token of this repository as the password", **asked
            )
        return found

    def _require_pushable(self, name: ProjectName) -> None:
        """Refuse a push to what is recorded from a folder: the next look would undo it."""
        for project in self._application.store.list_followers(name):
            if target := project.followed_folder:
                raise _Refused(
                    403,
                    f"{name} is recorded from {target.base} on {target.host}: change the files "
                    "there, or have the project follow a repository that you push to with "
                    f"`reconciler project set {name} --repo OTHER`",
                )

    async def _push(self, exchange: Exchange, name: ProjectName) -> None:
        """Run a push, and see to it that it is acted on even if no hook reported it."""
        before = await to_thread.run_sync(self._followed_tips, name)
        try:
            await exchange.run()
        finally:
            await asyncio.shield(to_thread.run_sync(self._act_on_push, name, before))

    def _followed_tips(self, name: ProjectName) -> Mapping[BranchName, CommitSha | None]:
        """Return branch → tip, of the branches of this repository that a project follows."""
        branches = {
            project.source.branch
            for project in self._application.store.list_followers(name)
            if isinstance(project.source, HostedSource)
        }
        return {branch: self._application.repositories.tip(name, branch) for branch in branches}

    def _act_on_push(
        self, name: ProjectName, before: Mapping[BranchName, CommitSha | None]
    ) -> None:
        try:
            after = self._followed_tips(name)
            updates = [
                RefUpdate(before.get(branch), tip, branch.ref)
                for branch, tip in after.items()
                if tip != before.get(branch)
            ]
            missed = [update for update in updates if not self._receipts.has(name, update)]
            if missed:
                self._application.received(name, missed)
        except ReconcilerError as error:
            # The push stands; the daemon's own look at hosted branches finds it.
            log.warning(
                "a push to %s could not be acted on: %s",
                name,
                error.message,
                extra=fields(code=error.code),
            )


def _parse(scope: "Scope") -> _Wanted:
    match = _PATH.fullmatch(scope["path"])
    if match is None:
        raise _Refused(404, "repositories are at /git/NAME.git")
    name, rest = ProjectName(match["name"]), match["rest"]
    if rest != "/info/refs":
        if scope["method"] != "POST":
            raise _Refused(405, "this takes a POST", allow="POST")
        return _Wanted(name, rest, rest[1:])
    if scope["method"] != "GET":
        raise _Refused(405, "this takes a GET", allow="GET")
    query = scope["query_string"].decode("ascii", "replace")
    service = query.removeprefix("service=")
    if not query.startswith("service=") or service not in _SERVICES:
        raise _Refused(403, "only git's smart protocol is spoken here; use a newer git")
    return _Wanted(name, rest, service)


def _variables(scope: "Scope", wanted: _Wanted, principal: Principal) -> dict[str, str]:
    """Return the CGI variables. Only what was checked goes into a child's environment."""
    headers = Headers(scope=scope)
    client = scope.get("client")
    encoding = headers.get("content-encoding", "")
    length = headers.get("content-length", "")
    protocol = headers.get("git-protocol", "")
    content_type = headers.get("content-type", "")
    if encoding not in _ENCODINGS:
        raise _Refused(415, "a body may be compressed with gzip only")
    if not (_HEADER_VALUE.fullmatch(protocol) and _HEADER_VALUE.fullmatch(content_type)):
        raise _Refused(422, "a header is not plain text")
    variables = {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": wanted.rest,
        "QUERY_STRING": f"service={wanted.service}" if wanted.rest == "/info/refs" else "",
        "CONTENT_TYPE": content_type,
        "REMOTE_USER": principal.name,
        "REMOTE_ADDR": client[0] if client else "local",
        "GIT_PROTOCOL": protocol,
    }
    if encoding:
        variables["HTTP_CONTENT_ENCODING"] = encoding
    if length.isascii() and length.isdecimal():
        variables["CONTENT_LENGTH"] = length
    return variables


async def _say(refused: _Refused, scope: "Scope", receive: "Receive", send: "Send") -> None:
    """Answer in plain text, which git shows to its user."""
    headers = {**refused.headers, "connection": "close"}
    await PlainTextResponse(f"{refused.text}\n", refused.status, headers)(scope, receive, send)
