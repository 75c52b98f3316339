"""A request that comes again under the same key is answered as it was, and not carried out again.

What a kill leaves between an effect and the record of its answer is taken up by asking again once
the key is free: every route may be repeated, or then says 409.
"""

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from anyio import to_thread
from fastapi import Header, Request
from starlette.responses import Response, StreamingResponse

from reconciler.domain.errors import InvalidInput, StoreError
from reconciler.domain.secret import Secret
from reconciler.log import fields
from reconciler.ports import AnswerKey, AnswerStore, Clock, GivenAnswer
from reconciler.web.principal import principal_of
from reconciler.web.problems import answer_to, make_problem, respond

log = logging.getLogger("reconciler.web")

Answering = Callable[[Request], Awaitable[Response]]

HEADER = "idempotency-key"
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_LARGEST_BYTES = 1 << 20
#: Of an answer's headers those that are made anew each time.
_OWN_HEADERS = frozenset({"content-length", "date"})


async def idempotency_key(
    _key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Yours to choose: asked again with it, within a day, the same request is "
            "answered as it was, with `Idempotency-Replayed: true`, and not carried out again.",
            examples=["release-1.4-of-shop"],
            json_schema_extra={"minLength": 1, "maxLength": 255, "pattern": "^[ -~]*$"},
        ),
    ] = None,
) -> None:
    """Document the header, which ``Once`` reads before anything else is looked at."""


@dataclass(frozen=True, slots=True)
class Once:
    """Carries each request out once, whichever replica it comes to."""

    store: AnswerStore
    clock: Clock

    async def answer(self, request: Request, answering: Answering) -> Response:
        """Return what was answered before, or answer now.

        Raises:
            InvalidInput: the header is no key.
        """
        principal = principal_of(request)
        key = AnswerKey(principal.name, _parse_key(request))
        asked, now = await _hash_of(request), self.clock.now()
        before = await to_thread.run_sync(self.store.begin_answer, key, asked, now)
        if before is not None:
            return _answered(before, asked)
        try:
            response = await _with_problems(request, answering)
        except BaseException:
            await self._drop(key, GivenAnswer(asked, now))
            raise
        await self._record(key, GivenAnswer(asked, now), response)
        return response

    async def _record(self, key: AnswerKey, begun: GivenAnswer, response: Response) -> None:
        kept = not isinstance(response, StreamingResponse) and len(response.body) <= _LARGEST_BYTES
        if not kept or response.status_code == 403 or response.status_code >= 500:
            await self._drop(key, begun)
            return
        headers = {
            name: text for name, text in response.headers.items() if name not in _OWN_HEADERS
        }
        body = Secret.of(bytes(response.body).decode())
        answer = GivenAnswer(begun.request, begun.begun_at, response.status_code, headers, body)
        try:
            await to_thread.run_sync(self.store.keep_answer, key, answer)
        except StoreError as error:
            # It was done, and who asked gets to know. Asked again, it says 409 for a while.
            log.warning(
                "an answer could not be kept: %s", error.message, extra=fields(code=error.code)
            )

    async def _drop(self, key: AnswerKey, begun: GivenAnswer) -> None:
        try:
            await to_thread.run_sync(self.store.drop_answer, key, begun.begun_at)
        except StoreError as error:
            log.warning(
                "a key could not be let go of: %s", error.message, extra=fields(code=error.code)
            )


async def _with_problems(request: Request, answering: Answering) -> Response:
    try:
        return await answering(request)
    except Exception as error:  # noqa: BLE001  bugs are raised again
        return answer_to(request, error)


def _answered(before: GivenAnswer, asked: str) -> Response:
    if before.request != asked:
        text = "another request had this key; choose another for this one"
        return respond(make_problem(422, text, code="idempotency-key-reused", field=HEADER))
    if before.status is None:
        text = "the same request is still being carried out"
        problem = make_problem(409, text, code="idempotency-in-progress")
        return respond(problem, **{"retry-after": "1"})
    headers = {**before.headers, "idempotency-replayed": "true"}
    return Response(before.body.reveal(), before.status, headers)


def _parse_key(request: Request) -> str:
    given = request.headers.getlist(HEADER)
    if len(given) != 1 or not _KEY.fullmatch(given[0]):
        problem = "must be one of 1 to 255 printable ASCII characters"
        raise InvalidInput(HEADER, given[0] if len(given) == 1 else None, problem)
    return given[0]


async def _hash_of(request: Request) -> str:
    """Return the hash of all that is asked; the body stays there for the route to read."""
    scope, found = request.scope, hashlib.sha256()
    parts = (scope["method"].encode(), scope["path"].encode(), scope["query_string"])
    for part in (*parts, await request.body()):
        found.update(b"%d:%b" % (len(part), part))
    return found.hexdigest()
