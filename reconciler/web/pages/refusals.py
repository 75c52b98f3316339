"""What went wrong, as a page for people; programs get the problem itself."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse

from reconciler.app import Application
from reconciler.domain.access import Scope as AccessScope
from reconciler.pipeline.people.sessions import form_token
from reconciler.ports import Store
from reconciler.web.auth import GIT_PREFIX, SESSION, WEBHOOK_PREFIX
from reconciler.web.cookies import session_cookie
from reconciler.web.pages.rendering import bare_page
from reconciler.web.pages.who_may import who_may
from reconciler.web.principal import NOBODY, Policy, Principal, principal_of
from reconciler.web.problems import MEDIA_TYPE
from reconciler.web.routing import GuardedRoute
from reconciler.web.subjects import About, find_project, subject_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FOR_PROGRAMS = ("/api/", GIT_PREFIX, WEBHOOK_PREFIX)
_ASK = "An admin can give you a role."
#: Status → how its page is headed. What has none stays as it is, whoever asks.
_TITLES = {
    400: "That was no request of these pages",
    403: "Not allowed",
    404: "Nothing is here",
    405: "Not possible here",
    408: "That came too slowly",
    409: "Nothing was done",
    413: "That is too large",
    415: "That was no form",
    422: "That is not accepted",
    429: "Too many requests",
    500: "Something went wrong in the daemon",
    502: "Somebody else did not answer as they should",
    503: "Not at this moment",
}
#: Scope → what it is about, as people say it.
_DEEDS = {
    AccessScope.READ: "see",
    AccessScope.TRIGGER: "deploy",
    AccessScope.CONFIG: "change",
    AccessScope.SECRETS: "change the secrets of",
    AccessScope.ADMIN: "administer",
    AccessScope.PUSH: "push to",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """What may not be done, and who may."""

    sentence: str
    remedy: str


class Refusals:
    """Turns the problem that answers a person's browser into a page; its status stays."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass on what is no problem, or is not for people."""
        answer = _Answer(scope, send) if _is_for_people(scope) else send
        await self._app(scope, receive, answer)


def _is_for_people(scope: "Scope") -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] != "HEAD"
        and not scope["path"].startswith(_FOR_PROGRAMS)
        and "text/html" in Headers(scope=scope).get("accept", "")
    )


class _Answer:
    """Holds a problem back until all of it is there."""

    def __init__(self, scope: "Scope", send: "Send") -> None:
        self._scope = scope
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: "Message") -> None:
        if message["type"] == "http.response.start" and _is_told(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._say(self._start)

    async def _say(self, start: "Message") -> None:
        request = Request(self._scope)
        page = await to_thread.run_sync(_page, request, json.loads(self._body))
        headers = MutableHeaders(raw=list(start["headers"]))
        for name, value in page.headers.items():
            headers[name] = value
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": page.body})


def _is_told(start: "Message") -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return kind == MEDIA_TYPE and start["status"] in _TITLES


def _page(request: Request, problem: dict[str, object]) -> HTMLResponse:
    application: Application = request.app.state.application
    principal, status = principal_of(request), int(str(problem["status"]))
    refused = None
    if problem["code"] == "access-denied" and principal != NOBODY:
        refused = _explain(application, principal, request)
    cookie = session_cookie(request.scope)
    return bare_page(
        request,
        "refusal.html",
        status,
        title=_TITLES[status],
        problem=problem,
        refused=refused,
        known=principal != NOBODY,
        form_token=form_token(cookie) if cookie else "",
    )


def _explain(application: Application, principal: Principal, request: Request) -> Refused | None:
    """Say who may do what somebody may not; None: the problem says more.

    Nobody is named, and no project, beyond what they get to see; programs are told no names.
    """
    route = request.scope.get("route")
    if not isinstance(route, GuardedRoute) or route.policy in {Policy.OPEN, Policy.KNOWN}:
        return None
    if not principal.may_somewhere(Policy.READ):
        return Refused("You have no role here yet.", _ASK)
    project = _project_of(application.store, route, request)
    is_found = project is not None or route.about is About.DAEMON
    if is_found and principal.may(route.policy, project):  # what they sent reaches further
        return None
    scope, remedy = AccessScope(route.policy), _ASK
    deed, sees = _DEEDS[scope], is_found and principal.may(Policy.READ, project)
    if sees and SESSION in request.scope:
        remedy = f"These may: {who_may(application.store, scope, project)}."
    if route.about is About.DAEMON:
        return Refused(f"You may not {deed} this, which is about the whole daemon.", remedy)
    if sees:
        return Refused(f"You may look at {project} but not {deed} it.", remedy)
    return Refused(f"You may not {deed} this, be it there or not.", remedy)


def _project_of(store: Store, route: GuardedRoute, request: Request) -> str | None:
    """Return the project that it is about; None: no single one, or it is not there."""
    parameter = subject_of(route.about, route.path)
    text = request.path_params.get(parameter or "", "")
    if parameter is None or route.about is About.PROJECT:
        return text or None
    return find_project(store, route.about, text)
