"""Adding a host, step by step: how it is reached, whether it is the right one, what it has."""

from collections.abc import Mapping
from contextlib import suppress

from starlette.responses import HTMLResponse, Response

from reconciler.app import Application
from reconciler.domain.errors import InvalidInput, ReconcilerError
from reconciler.domain.host import Host
from reconciler.domain.secret import Secret
from reconciler.pipeline.declaring.secrets import check_ssh_key
from reconciler.web.pages.forms import Fields, by_field, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.hosts.page import parse_draft
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.subjects import About

changing = router_for(Policy.ADMIN, "pages", About.DAEMON)


@changing.get("/new/host", include_in_schema=False)
def show_new_host(frame: Framed) -> HTMLResponse:
    """How it is reached."""
    return _shown(frame)


@changing.post("/new/host", include_in_schema=False)
def add_host(application: App, frame: Framed, fields: Fields) -> Response:
    """Declare it, and ask it for its key; nothing else is sent to it before that is confirmed."""
    try:
        host = _declare(application, fields)
    except ReconcilerError as error:
        return _shown(frame, fields, error)
    with suppress(ReconcilerError):  # the page that compares says so, and asks again
        application.hosts.offered_keys(host.name)
    return go(f"/hosts/{host.name}/key")


def _declare(application: Application, fields: Mapping[str, str]) -> Host:
    draft = parse_draft(fields, fields.get("name", "").strip())
    text = fields.get("value", "").replace("\r\n", "\n").strip()
    if not text:
        return application.hosts.declare(draft)
    if draft.alias is not None:
        problem = "does not belong to an alias: its IdentityFile says which key is used"
        raise InvalidInput("value", None, problem)
    key = Secret.of(f"{text}\n")
    check_ssh_key(key)  # before there is a host that nobody could enter
    host = application.hosts.declare(draft)
    return application.hosts.put_key(host.name, key)


def _shown(
    frame: Frame,
    given: Mapping[str, str] | None = None,
    error: ReconcilerError | None = None,
) -> HTMLResponse:
    values = dict.fromkeys(("name", "alias", "address", "user", "port"), "")
    return page(
        frame,
        "hosts/new.html",
        status_of(error),
        values=values | dict(given or {}),
        errors=by_field(error),
    )
