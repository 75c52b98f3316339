"""Answers that go on, for as long as whoever asked may still have them."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from reconciler.web.principal import AGAIN, Again, principal_of

#: Every stream says something more often than this: within twice of it, it ends.
LOOK_AGAIN_SECONDS = 10.0


def while_allowed(
    request: Request, response: Response, *, every_seconds: float = LOOK_AGAIN_SECONDS
) -> Response:
    """Return ``response``; a stream ends once who asks is gone, or may do anything else."""
    if isinstance(response, StreamingResponse):
        response.body_iterator = _bounded(request, response.body_iterator, every_seconds)
    return response


async def _is_as_before(request: Request) -> bool:
    again: Again | None = request.scope.get(AGAIN)
    if again is None:
        return True
    now = await again()
    return now is not None and now.grants == principal_of(request).grants


async def _bounded(request: Request, chunks: Any, every_seconds: float) -> AsyncIterator[Any]:
    looked_at = time.monotonic()
    async with aclosing(cast("Any", chunks)):
        async for chunk in chunks:
            if time.monotonic() - looked_at >= every_seconds:
                if not await _is_as_before(request):
                    return
                looked_at = time.monotonic()
            yield chunk
