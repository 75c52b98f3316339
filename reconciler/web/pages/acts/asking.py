"""What all pages have in common that ask before something is done."""

from collections.abc import Mapping

from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import ReconcilerError, Refused
from reconciler.domain.references import ProjectName
from reconciler.pipeline.trigger import TriggerResult
from reconciler.web.pages.forms import status_of
from reconciler.web.pages.frame import Frame
from reconciler.web.pages.notes import led
from reconciler.web.pages.rendering import page

NOTHING_TYPED: Mapping[str, str] = {}


def asked(
    frame: Frame, template: str, error: ReconcilerError | None = None, **values: object
) -> HTMLResponse:
    """Return the page that asks; with what went wrong when it was answered."""
    return page(frame, f"act/{template}.html", status_of(error), error=error, **values)


def came_to(name: ProjectName, result: TriggerResult) -> Response:
    """Lead to what became of a request.

    Raises:
        Refused: nothing did.
    """
    if result.deployment is None:
        first = result.reasons[0]
        raise Refused(first.code, "; ".join(one.text for one in result.reasons))
    did = "queued" if result.admitted else "joined"
    return led(f"/projects/{name}", did, result.deployment.id)
