"""Where forges send to: answered at once, and looked into afterwards."""

from typing import Annotated, Any

from anyio import to_thread
from fastapi import Path, Request
from starlette.responses import JSONResponse, Response

from reconciler.app import Application
from reconciler.domain.errors import InvalidInput
from reconciler.domain.webhook import parse_webhook_name
from reconciler.domain.webhook_signature import Verdict
from reconciler.triggers.webhook import Arrival, Door, Knock
from reconciler.web.auth import Policy
from reconciler.web.problems import make_problem, respond
from reconciler.web.routing import App, errors, router_for
from reconciler.web.schemas.webhooks import Received
from reconciler.web.webhook_bounds import BodyBudget, Rate

arriving = router_for(Policy.OPEN, "webhooks")

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
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "additionalProperties": True},
                "example": {
                    "ref": "refs/heads/main",
                    "repository": {"full_name": "team/app"},
                },
            }
        },
    }
}


class Arrivals:
    """What all requests of forges share."""

    def __init__(self, application: Application) -> None:
        self.rate = Rate(application.clock.monotonic)
        self.budget = BodyBudget()


@arriving.post(
    "/webhook/{name}",
    status_code=202,
    summary="Take what a forge announces",
    response_model=Received,
    responses={
        200: {"description": "It was a ping.", "model": Received},
        **errors(401, 404, 408, 413, 415, 422, 429),
    },
    openapi_extra=_BODY,
)
async def receive_webhook(
    application: App,
    request: Request,
    name: Annotated[str, Path(description="Name of the webhook.", examples=["forgejo"])],
) -> Response:
    """Takes no token, but the provider's signature over the body, made with the webhook's secret.

    What it says is looked up at the source afterwards. The same delivery may come again.
    """
    arrivals: Arrivals = request.app.state.arrivals
    remote = (request.client.host if request.client else "") or "local"
    arrivals.rate.take(remote)
    if application.daemon.state == "draining":  # it would be forgotten
        return respond(make_problem(503, "the daemon is shutting down"), connection="close")
    door = await to_thread.run_sync(_find_door, application, name)
    if door is None:
        return respond(make_problem(404, "there is no such webhook"), connection="close")
    headers = _values(request)
    if not _is_json(request):
        application.receiver.refuse(door, Knock(headers, remote), Verdict.NOT_JSON)
        return respond(_FORM, connection="close")
    knock = Knock(headers, remote, await arrivals.budget.read(request))
    if len(knock.body) <= _QUICK_BYTES:
        return _answer(application.receiver.receive(door, knock), door)
    return _answer(await to_thread.run_sync(application.receiver.receive, door, knock), door)


def _find_door(application: Application, name: str) -> Door | None:
    try:
        return application.receiver.find_door(parse_webhook_name(name))
    except InvalidInput:  # answered like any other name that nobody declared
        return None


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


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0]
    return media_type.strip().lower() == "application/json"
