"""What is noted of a request: little, and nothing that its caller chose."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from reconciler.ports import Unmetered
from reconciler.web.access_log import AccessLog
from reconciler.web.principal import PRINCIPAL, Principal

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


class Counting(Unmetered):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int]] = []

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.told.append((method, route, status))


def endpoint() -> None:
    """Stand for a route's function."""


def ask(method: str, path: str, caller: Principal | None = None, **scope: object) -> Counting:
    """Send one request through the layer; return what was counted."""
    counting = Counting()

    async def answer(_scope: "Scope", _receive: "Receive", send: "Send") -> None:
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(_message: "Message") -> None: ...

    async def receive() -> "Message":
        return {"type": "http.request"}

    layer = AccessLog(answer, metering=counting, templates={endpoint: "/api/v1/x/{name}"})
    asked = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"token=canary",
        **scope,
        **({PRINCIPAL: caller} if caller else {}),
    }
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(layer(asked, receive, send))).result(10)
    return counting


ANN = Principal("ann")


@pytest.mark.parametrize(
    ("method", "caller", "level"),
    [
        ("POST", ANN, logging.INFO),
        ("DELETE", ANN, logging.INFO),
        ("GET", ANN, logging.DEBUG),
        ("POST", None, logging.DEBUG),
    ],
)
def test_changes_by_somebody_known_are_told_and_the_rest_on_demand(
    method: str, caller: Principal | None, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Health checks, pages and strangers ask all day long."""
    with caplog.at_level(logging.DEBUG, "reconciler.web.access"):
        ask(method, "/api/v1/x/canary", caller, endpoint=endpoint)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (level, f"{method} /api/v1/x/{{name}}: 202")
    assert "canary" not in str(record.__dict__)


@pytest.mark.parametrize(
    ("method", "path", "counted"),
    [
        ("POST", "/webhook/hub/canary-key", ("POST", "/webhook/{name}", 202)),
        ("GET", "/git/shop.git/info/refs", ("GET", "/git/{name}", 202)),
        ("GET", "/nothing/canary", ("GET", "other", 202)),
        ("CANARY", "/nothing", ("other", "other", 202)),
    ],
)
def test_what_callers_choose_is_no_label(
    method: str, path: str, counted: tuple[str, str, int]
) -> None:
    """Nobody fills the memory with series by asking for paths that are not there."""
    assert ask(method, path).told == [counted]
