"""Answers that go on: cut off once who asked may not have them any more."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import Request
from starlette.responses import StreamingResponse

from reconciler.domain.access import ALL, Grants, Scope
from reconciler.web.ongoing import while_allowed
from reconciler.web.principal import AGAIN, PRINCIPAL, Principal

READER = Principal("token:ci", Grants(on={"shop": frozenset({Scope.READ})}))


@pytest.mark.parametrize(
    ("later", "sent"),
    [
        pytest.param(READER, ["1", "2", "3", "4"], id="as-before"),
        pytest.param(None, ["1", "2"], id="withdrawn"),
        pytest.param(Principal("token:ci"), ["1", "2"], id="unbound"),
        pytest.param(Principal("token:ci", ALL), ["1", "2"], id="wider"),
    ],
)
def test_a_stream_ends_with_the_right_to_it(later: Principal | None, sent: list[str]) -> None:
    """It is asked anew before each part that comes late enough, and what it holds is let go of."""
    now: list[Principal | None] = [READER]
    closed = []

    async def again() -> Principal | None:
        return now[0]

    async def parts() -> AsyncIterator[str]:
        try:
            for one in ("1", "2", "3", "4"):
                now[0] = later if one == "3" else READER
                yield one
        finally:
            closed.append(True)

    async def read() -> list[str]:
        request = Request({"type": "http", PRINCIPAL: READER, AGAIN: again})
        answer = while_allowed(request, StreamingResponse(parts()), every_seconds=0)
        assert isinstance(answer, StreamingResponse)
        return [str(part) async for part in answer.body_iterator]

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, read()).result(10) == sent
    assert closed == [True]
