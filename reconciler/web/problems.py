"""Errors → RFC 9457 problems, in one table."""

import http
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reconciler.domain import errors
from reconciler.domain.gate import Reason
from reconciler.web.schemas.problem import FieldProblem, Problem, ReasonBody

MEDIA_TYPE = "application/problem+json"

#: Most particular first: the first that fits counts.
_STATUS: tuple[tuple[type[errors.ReconcilerError], int], ...] = (
    (errors.InvalidInput, 422),
    (errors.SeveralInvalid, 422),
    (errors.InvalidComposeFile, 422),
    (errors.NotFound, 404),
    (errors.AlreadyExists, 409),
    (errors.Conflict, 409),
    (errors.Refused, 409),
    (errors.AccessDenied, 403),
    (errors.RevisionNotFound, 409),  # the request is fine; what it names is not there now
    (errors.ForgeDenied, 409),  # it is not the caller's own token
    (errors.ForgeRepositoryMissing, 409),
    (errors.ForgeRefused, 409),
    (errors.SourceError, 502),
    (errors.ProviderFailed, 502),
    (errors.TooManyTries, 429),
    (errors.StoreError, 503),
    (errors.PreconditionFailed, 503),
    (errors.TargetUnreachable, 503),
    (errors.Interrupted, 503),
    (errors.TooBusy, 503),
    (errors.TookTooLong, 503),
    (errors.HostRefused, 502),
    (errors.HostKeyUnconfirmed, 409),
)
#: Status of an error that no handler raised → its code.
_CODES = {
    400: "invalid-input",
    401: "access-denied",
    403: "access-denied",
    404: "not-found",
    405: "method-not-allowed",
    408: "too-slow",
    412: "changed-meanwhile",
    413: "too-large",
    415: "unsupported-media-type",
    421: "unknown-host",
    422: "invalid-input",
    429: "too-many-requests",
    500: "internal-error",
    503: "unavailable",
}
_RETRY_AFTER_SECONDS = 1
_LONGEST_FIELD = 200


def problem_of(error: errors.ReconcilerError) -> Problem:
    """Return what ``error`` says, as clients see it."""
    code = error.code
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    evidence = {key: value for key, value in error.evidence.items() if key != "field"}
    problems = None
    if isinstance(error, errors.SeveralInvalid):
        problems = [FieldProblem(field=one.field, detail=one.message) for one in error.problems]
    return make_problem(
        status,
        error.message,
        code=str(code),
        field=error.evidence.get("field"),
        remedy=error.remedy or None,
        evidence=evidence or None,
        problems=problems,
    )


def make_problem(status: int, detail: str, *, code: str = "", **more: object) -> Problem:
    """Return a problem; its code is the status's own unless one is given."""
    return Problem(
        title=http.HTTPStatus(status).phrase,
        status=status,
        code=code or _CODES.get(status, "internal-error"),
        detail=detail,
        **more,  # type: ignore[arg-type]  # the model checks them
    )


def refusal(reasons: Sequence[Reason]) -> Problem:
    """Return the answer to a deployment that may not start."""
    first = reasons[0]
    bodies = [
        ReasonBody(code=reason.code, text=reason.text, deployment=reason.deployment)
        for reason in reasons
    ]
    text = "; ".join(reason.text for reason in reasons)
    remedy = first.remedy or None
    return make_problem(409, text, code=first.code, reasons=bodies, remedy=remedy)


def respond(problem: Problem, request_id: str | None = None, **headers: str) -> Response:
    """Return the response that says ``problem``."""
    if problem.status == 503:
        headers = {"retry-after": str(_RETRY_AFTER_SECONDS), **headers}
    shown = problem.model_copy(update={"request": request_id}) if problem.status >= 500 else problem
    text = shown.model_dump_json(exclude_none=True)
    return Response(text, problem.status, headers, MEDIA_TYPE)


def request_id_of(request: Request) -> str | None:
    """Return what names this request in the log."""
    found = request.scope.get("reconciler.request_id")
    return found if isinstance(found, str) else None


def on_error(request: Request, error: Exception) -> Response:
    """Answer an expected failure."""
    assert isinstance(error, errors.ReconcilerError)  # noqa: S101  registered for this class
    headers, problem = {}, problem_of(error)
    if isinstance(error, errors.SourceThrottled):
        headers["retry-after"] = str(_whole_seconds(error.retry_after))
    if isinstance(error, errors.TooManyTries):
        headers["retry-after"] = str(error.wait_seconds)
    if isinstance(error, errors.ChangedMeanwhile) and "if-match" in request.headers:
        title = http.HTTPStatus.PRECONDITION_FAILED.phrase
        problem = problem.model_copy(update={"status": 412, "title": title})
    return respond(problem, request_id_of(request), **headers)


def answer_to(request: Request, error: Exception) -> Response:
    """Answer whatever a route raises that is no bug; raise again what is one."""
    for kind, answer in HANDLERS.items():
        if isinstance(error, kind):
            return answer(request, error)
    raise error


def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what routing and body reading raise."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this class
    # A body that is no JSON and one that does not fit are the same mistake to a client.
    status = 422 if error.status_code == 400 else error.status_code
    detail = {
        404: f"there is nothing at {_printable(request.url.path)}",
        405: f"{request.method} is not possible here",
    }.get(status, str(error.detail))
    return respond(
        make_problem(status, detail), request_id_of(request), **dict(error.headers or {})
    )


def on_invalid_request(request: Request, error: Exception) -> Response:
    """Answer a request that does not fit its schema; never shows the values, they may be secret."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this class
    wrong_type = next((one for one in error.errors() if one["loc"] == ("body",)), None)
    if wrong_type and wrong_type["type"] == "model_attributes_type" and not _is_json(request):
        return respond(make_problem(415, "the body must be application/json"))
    found = field_problems(error.errors())
    if len(found) == 1:
        return respond(make_problem(422, found[0].detail, field=found[0].field))
    text = "; ".join(one.detail for one in found)
    return respond(make_problem(422, text, problems=found))


def field_problems(errors: Sequence[Mapping[str, Any]]) -> list[FieldProblem]:
    """Return in our words what a model does not take; ``loc`` of each begins with the body."""
    return [FieldProblem(field=_field(one), detail=_detail(one)) for one in errors]


#: What a route may raise → how it is answered.
HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Response]] = {
    errors.ReconcilerError: on_error,
    HTTPException: on_http_error,
    RequestValidationError: on_invalid_request,
}


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"


def _field(problem: Mapping[str, Any]) -> str:
    location: Sequence[int | str] = problem["loc"]
    if problem["type"] == "json_invalid":  # where in the text it ends to be JSON is no field
        return "body"
    inner = location[1:] if len(location) > 1 and location[0] != "cookie" else location
    return _printable(".".join(str(part) for part in inner))


def _detail(problem: Mapping[str, Any]) -> str:
    own = {"extra_forbidden": "is not a field of this request", "json_invalid": "is not JSON"}
    message = own.get(problem["type"]) or str(problem["msg"])
    return f"{_field(problem)}: {_printable(message[0].lower() + message[1:])}"


def _printable(text: str) -> str:
    """Return ``text`` cut, and without what can't be written as UTF-8 or harms a terminal."""
    shown = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return shown[:_LONGEST_FIELD]


def _whole_seconds(duration: timedelta) -> int:
    return max(int(duration.total_seconds()), 1)
