"""Where forges and registries send to: answered at once, and looked into afterwards."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import Path, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from reconciler.app import Application
from reconciler.domain.errors import InvalidInput, ReconcilerError
from reconciler.domain.webhook import DIALECTS, Provider, parse_webhook_name
from reconciler.domain.webhook_signature import Verdict
from reconciler.triggers.doors import Door, Doors
from reconciler.triggers.webhook_inbox import Arrival, Knock
from reconciler.web.auth import WEBHOOK_PREFIX
from reconciler.web.principal import Policy
from reconciler.web.problems import make_problem, on_error, on_http_error, respond
from reconciler.web.routing import App, errors, router_for
from reconciler.web.schemas.webhooks import Received
from reconciler.web.subjects import About
from reconciler.web.webhook_bounds import BodyBudget, Rate

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

arriving = router_for(Policy.OPEN, "webhooks", About.NOTHING)

#: The same for whatever is wrong with a signature: who guesses learns nothing.
_UNVERIFIED = make_problem(
    401,
    "the signature does not fit",
    code="unverified",
    remedy="give the forge the secret that `reconciler webhook add` or `rotate` has shown; "
    "`reconciler webhook deliveries` says what was wrong",
)
_FORM = make_problem(
    415,
    "the body must be application/json",
    remedy="set the webhook's content type to application/json at the forge",
)
#: A body up to here is verified and read in less time than another thread takes to begin.
_QUICK_BYTES = 16 << 10
_THREADS = 8


def _described(example: Mapping[str, object]) -> dict[str, Any]:
    schema = {"type": "object", "additionalProperties": True}
    return {"schema": schema, "example": example}


_PUSHED = {"action": "push", "target": {"repository": "team/app", "tag": "1.2"}}
_BODY = {
    "application/json": _described(
        {"ref": "refs/heads/main", "repository": {"full_name": "team/app"}}
    ),
    DIALECTS[Provider.DISTRIBUTION].media_types[0]: _described({"events": [_PUSHED]}),
}
_IMAGE_BODY = {
    "application/json": _described(
        {"push_data": {"tag": "1.2"}, "repository": {"repo_name": "team/app"}}
    )
}


class Arrivals:
    """What all requests of forges share."""

    def __init__(self, application: Application) -> None:
        self.rate = Rate(application.clock.monotonic)
        self.budget = BodyBudget()
        # Their own: behind thousands of them in one queue nobody else would be answered.
        self.threads = CapacityLimiter(_THREADS)


_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "It was a ping.", "model": Received},
    **errors(401, 404, 408, 413, 415, 422, 429),
}
_Name = Annotated[str, Path(description="Name of the webhook.", examples=["forgejo"])]


@arriving.post(
    "/webhook/{name}",
    status_code=202,
    summary="Take what a forge or a registry announces",
    response_model=Received,
    responses=_ANSWERS,
    openapi_extra={"requestBody": {"required": True, "content": _BODY}},
)
async def receive_webhook(application: App, request: Request, name: _Name) -> Response:
    """Takes no token, but the provider's signature over the body, made with the webhook's secret.

    What it says is looked up at the source afterwards. The same delivery may come again.
    """
    return await _receive(application, request, name, None)


@arriving.post(
    "/webhook/{name}/{key}",
    status_code=202,
    summary="Take what a registry announces that can't sign",
    response_model=Received,
    responses=_ANSWERS,
    openapi_extra={"requestBody": {"required": True, "content": _IMAGE_BODY}},
)
async def receive_webhook_by_key(
    application: App,
    request: Request,
    name: _Name,
    key: Annotated[str, Path(description="The secret.", examples=["qM8Yk0W5cXo3bR7tZ1nV4uE6"])],
) -> Response:
    """Takes Docker Hub and Quay alone, and only here: they send nothing else that is secret."""
    return await _receive(application, request, name, key)


async def _receive(application: App, request: Request, name: str, key: str | None) -> Response:
    arrivals: Arrivals = request.app.state.arrivals
    remote = (request.client.host if request.client else "") or "local"
    arrivals.rate.take(remote)
    if application.daemon.state == "draining":  # it would be forgotten
        return respond(make_problem(503, "the daemon is shutting down"), connection="close")
    door = await _find_door(application.receiver.doors, name, arrivals.threads)
    if door is None:
        return respond(make_problem(404, "there is no such webhook"), connection="close")
    headers = _values(request)
    if not door.webhook.takes(_media_type(request)):
        application.receiver.refuse(door, Knock(headers, remote), Verdict.NOT_JSON)
        return respond(_FORM, connection="close")
    knock = Knock(headers, remote, await arrivals.budget.read(request), key)
    if len(knock.body) <= _QUICK_BYTES:
        return _answer(application.receiver.receive(door, knock), door)
    receive, threads = application.receiver.receive, arrivals.threads
    return _answer(await to_thread.run_sync(receive, door, knock, limiter=threads), door)


class Shortcut:
    """Answers forges ahead of the routing, which costs more than all the rest of an answer.

    What it has no short way for goes on: the route is among the others, and answers the same.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer what the route would be found for."""
        name = _webhook_named_by(scope)
        if not name:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            answer = await receive_webhook(request.app.state.application, request, name)
        except HTTPException as error:
            answer = on_http_error(request, error)
        except ReconcilerError as error:
            answer = on_error(request, error)
        except ClientDisconnect:  # nobody is there to be answered
            return
        await answer(scope, receive, send)


def _webhook_named_by(scope: "Scope") -> str:
    """Return the name that a delivery is for; empty: it is something else."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return ""
    before, _, name = scope["path"].rpartition("/")
    return str(name) if f"{before}/" == WEBHOOK_PREFIX else ""


async def _find_door(doors: Doors, text: str, threads: CapacityLimiter) -> Door | None:
    try:
        name = parse_webhook_name(text)
    except InvalidInput:  # answered like any other name that nobody declared
        return None
    if doors.is_at_hand(name):
        return doors.find(name)
    return await to_thread.run_sync(doors.find, name, limiter=threads)


def _answer(arrival: Arrival | None, door: Door) -> Response:
    if arrival is None:
        return respond(_UNVERIFIED, **{"www-authenticate": f'HMAC realm="{door.webhook.path}"'})
    if arrival.is_ping:
        return JSONResponse(Received(outcome="pong").model_dump(), 200)
    outcome = "accepted" if arrival.hint else "ignored"
    return JSONResponse(Received(outcome=outcome).model_dump(), 202)


def _values(request: Request) -> dict[str, list[str]]:
    """Return the headers: name in lower case → its values."""
    found: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        found.setdefault(name, []).append(value)
    return found


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
