"""What Prometheus asks for."""

from typing import Any

from fastapi import Request
from starlette.responses import Response

from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "daemon", About.DAEMON)

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Prometheus' text format, or OpenMetrics where `Accept` asks for it.",
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": 'reconciler_projects{standing="in-sync"} 12.0\n',
            }
        },
    }
}


@reading.get("/metrics", summary="Figures for Prometheus", response_class=Response, responses=_TEXT)
def metrics(application: App, request: Request) -> Response:
    """Needs no more than the scope read. Where the store is slow, the answer leaves its part out.

    `reconciler_scrape_problem` is 1 then.
    """
    text, media_type = application.metrics.answer(request.headers.get("accept", ""))
    return Response(text, headers={"content-type": media_type})
