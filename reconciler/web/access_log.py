"""Who asked what, how it was answered, and how long that took."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Route

from reconciler.log import fields
from reconciler.ports import Metering
from reconciler.web.auth import GIT_PREFIX, WEBHOOK_PREFIX
from reconciler.web.principal import PRINCIPAL

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("reconciler.web.access")

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = _READS | {"POST", "PUT", "PATCH", "DELETE"}
_UNKNOWN = "other"


#: What a route calls.
Endpoint = Callable[..., object]


class AccessLog:
    """Notes each request when its answer begins: streams go on for hours.

    What changes something, and is asked for by somebody known, is logged at info; the rest, which
    health checks, pages and strangers may ask for all day, at debug.
    """

    def __init__(
        self, app: "ASGIApp", *, metering: Metering, templates: Mapping[Endpoint, str]
    ) -> None:
        self._app = app
        self._metering = metering
        self._templates = templates

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()

        async def answer(message: "Message") -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message["status"], time.monotonic() - began)
            await send(message)

        await self._app(scope, receive, answer)

    def _note(self, scope: "Scope", status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else _UNKNOWN
        route, principal = self._route_of(scope), scope.get(PRINCIPAL)
        self._metering.answered(method, route, status, seconds)
        level = logging.INFO if principal and method not in _READS else logging.DEBUG
        if not log.isEnabledFor(level):
            return
        log.log(
            level,
            "%s %s: %d",
            method,
            route,
            status,
            extra=fields(
                seconds=round(seconds, 4),
                principal=principal.name if principal else None,
                correlation=scope.get("reconciler.request_id"),
            ),
        )

    def _route_of(self, scope: "Scope") -> str:
        """Return the template of the path: paths hold what callers choose, and webhooks' keys."""
        for prefix in (WEBHOOK_PREFIX, GIT_PREFIX):
            if scope["path"].startswith(prefix):
                return f"{prefix}{{name}}"
        return self._templates.get(scope.get("endpoint", _UNKNOWN), _UNKNOWN)


def path_templates(routes: Sequence[BaseRoute]) -> Mapping[Endpoint, str]:
    """Return the template of each route's path, e.g. ``/api/v1/projects/{name}``."""
    return {
        context.original_route.endpoint: context.path
        for context in iter_route_contexts(routes)
        if isinstance(context.original_route, Route) and context.path
    }
