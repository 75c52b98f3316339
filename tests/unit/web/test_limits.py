"""What the outermost layer says of a request that ended as a bug."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from reconciler.web.auth import PEER
from reconciler.web.limits import Limits, OwnHosts

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/webhook/hub/qM8Yk0W5cXo3bR7t", "POST '/webhook/hub/KEY'"),
        ("/webhook/hub", "POST '/webhook/hub'"),
        ("/api/v1/x\n", "POST '/api/v1/x\\n'"),
    ],
)
def test_the_log_has_the_path_without_a_webhook_s_key(
    path: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Some registries have nothing else that is secret, and the log is shown to many."""
    sent: list[Message] = []

    async def bug(_scope: "Scope", _receive: "Receive", _send: "Send") -> None:
        raise RuntimeError

    async def send(message: "Message") -> None:
        sent.append(message)

    async def receive() -> "Message":
        return {"type": "http.request"}

    scope = {"type": "http", "path": path, "method": "POST", "headers": [], PEER: "local:0"}
    limits = Limits(bug, hosts=OwnHosts((), any_address=False))
    # Another test may have left a loop in this thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(limits(scope, receive, send))).result(10)
    assert sent[0]["status"] == 500
    assert caplog.messages[0].endswith(shown)
