"""A deployment's log: in pieces for the script, found through, and whole."""

from typing import Annotated

from fastapi import Query
from starlette.responses import JSONResponse, PlainTextResponse, Response

from reconciler.domain.deployment import Deployment, DeploymentId
from reconciler.domain.errors import InvalidInput
from reconciler.ports import LogLine
from reconciler.web.api_deployments import Number
from reconciler.web.log_stream import read_whole_log
from reconciler.web.pages.deployment.log_lines import ALARMING, find, offset
from reconciler.web.pages.words import STAGES, badges_of
from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.schemas.body import MOST_NUMBER
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.DEPLOYMENT)

#: Of what is looked for.
LONGEST_FIND = 200
_MOST_LINES = 1000


@reading.get("/deployments/{id}/log", include_in_schema=False)
def show_log(
    application: App,
    id: Number,  # noqa: A002  the path's word
    start: Annotated[int, Query(alias="from", ge=1, le=MOST_NUMBER)] = 1,
    count: Annotated[int, Query(ge=1, le=_MOST_LINES)] = 200,
) -> JSONResponse:
    """Some lines, and which there are; the stage before the first says whether a new one begins."""
    store, number = application.store, DeploymentId(id)
    # The deployment first: what is missing when it had ended already will never come.
    deployment, extent = store.get_deployment(number), store.log_extent(number)
    lines = list(store.read_log(number, after=max(start - 2, 0), limit=count + 1))
    before = lines.pop(0) if lines and lines[0].number < start else None
    body = {
        "lines": [_line(deployment, one) for one in lines[:count] if one.number < start + count],
        "before": STAGES[before.stage] if before else "",
        "parts": extent.parts,
        "running": not deployment.status.final,
        "stage": STAGES[deployment.stage] if deployment.stages else "",
        "status": ", ".join(badge.word for badge in badges_of(deployment)),
    }
    return JSONResponse(body)


@reading.get("/deployments/{id}/log/find", include_in_schema=False)
def find_in_log(
    application: App,
    id: Number,  # noqa: A002  the path's word
    text: Annotated[str, Query(max_length=LONGEST_FIND)] = "",
    start: Annotated[int, Query(alias="from", ge=1, le=MOST_NUMBER)] = 1,
    *,
    back: bool = False,
    errors: bool = False,
) -> JSONResponse:
    """Where a text, or what tells of an error, is found next in all lines, and in how many."""
    words = ALARMING if errors else [text]
    if not all(words):
        raise InvalidInput("text", text, "is empty")
    number = DeploymentId(id)
    application.store.get_deployment(number)
    hit = find(application.store.find_in_log(number, words), start, back=back)
    if hit is None:
        return JSONResponse({"count": 0, "place": 0, "line": None})
    return JSONResponse({"count": hit.count, "place": hit.place, "line": hit.line})


@reading.get("/deployments/{id}/log.txt", include_in_schema=False)
def download_log(application: App, id: Number) -> Response:  # noqa: A002  the path's word
    """The whole of it, as a file."""
    number = DeploymentId(id)
    application.store.get_deployment(number)
    name = f'attachment; filename="deployment-{number}.txt"'
    text = read_whole_log(application.store, number, 0)
    return PlainTextResponse(text, headers={"content-disposition": name})


def _line(deployment: Deployment, line: LogLine) -> tuple[int, str, str, str]:
    return line.number, offset(line.at, deployment), STAGES[line.stage], line.text
