"""Where deployments run: every host and cluster, and one host with all that is known of it."""

from collections.abc import Mapping

from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import NotFound, ReconcilerError
from reconciler.domain.host import LOCAL, Host, HostName
from reconciler.domain.secret import Secret
from reconciler.domain.version import version_of
from reconciler.pipeline.declaring.host_draft import HostDraft, draft_of
from reconciler.pipeline.declaring.hosts import HostChange
from reconciler.web.pages.forms import (
    NOTHING_REFUSED,
    Fields,
    Refused,
    by_field,
    expected_by,
    go,
    status_of,
)
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.hosts.rows import host_row, local_row, rows_of_hosts, targets_on
from reconciler.web.pages.hosts.set_up import checks_of
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, OnHost, router_for
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.DAEMON)
checking = router_for(Policy.TRIGGER, "pages", About.DAEMON)
changing = router_for(Policy.ADMIN, "pages", About.DAEMON)

_REACHED_BY = ("alias", "address", "user", "port")


@reading.get("/hosts", include_in_schema=False)
def show_hosts(frame: Framed) -> HTMLResponse:
    """This machine, every host and every cluster, as each answered last."""
    return page(frame, "hosts/list.html", rows=rows_of_hosts(frame))


@reading.get("/hosts/{host}", include_in_schema=False)
def show_host(frame: Framed, host: OnHost, did: str = "") -> HTMLResponse:
    """One: what runs there, what it has and lacks, and how it is reached."""
    return _shown(frame, host, did=did)


@checking.post("/hosts/{host}/check", include_in_schema=False)
def check_host(application: App, host: OnHost, fields: Fields) -> Response:
    """Connect to it now; the page tells how that went."""
    del fields  # looked at by what reads them
    application.host_checks.check(host)
    return go(f"/hosts/{host}?did=checked")


@changing.post("/hosts/{host}", include_in_schema=False)
def change_host(application: App, frame: Framed, host: OnHost, fields: Fields) -> Response:
    """Change how it is reached; at another address its key is confirmed anew."""
    try:
        before = application.store.get_host(host)
        change = _change(draft_of(before), fields)
        after = application.hosts.change(host, change, expected_by(fields))
    except NotFound:
        raise
    except ReconcilerError as error:
        return _shown(frame, host, Refused(error, fields, "reach"))
    return go(f"/hosts/{host}?did=changed" if after.confirmed else f"/hosts/{host}/key")


@changing.post("/hosts/{host}/credentials", include_in_schema=False)
def store_key(application: App, frame: Framed, host: OnHost, fields: Fields) -> Response:
    """Store our private key for it, in place of the one that was there."""
    key = Secret.of(fields.get("value", "").replace("\r\n", "\n"))
    try:
        application.hosts.put_key(host, key, expected_by(fields))
    except NotFound:
        raise
    except ReconcilerError as error:
        return _shown(frame, host, Refused(error, form="key"))
    return go(f"/hosts/{host}?did=key-stored")


@changing.get("/hosts/{host}/remove", include_in_schema=False)
def ask_to_remove(frame: Framed, host: OnHost) -> HTMLResponse:
    """What removing it would mean."""
    return _removal(frame, host)


@changing.post("/hosts/{host}/remove", include_in_schema=False)
def remove_host(application: App, frame: Framed, host: OnHost, fields: Fields) -> Response:
    """Forget it with our key for it. What runs there goes on."""
    try:
        application.hosts.remove(host, expected_by(fields))
    except NotFound:
        raise
    except ReconcilerError as error:
        return _removal(frame, host, error)
    return go("/hosts")


def parse_draft(fields: Mapping[str, str], name: str) -> HostDraft:
    """Return what a form says of how a host is reached; what is left empty is not said."""
    given = {one: fields.get(one, "").strip() or None for one in _REACHED_BY}
    port = given.pop("port")
    return HostDraft(name, **given, port=_port(port) if port else None)


def _port(text: str) -> int:
    # Anything else is refused where it is declared, as a port that there is not.
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0


def _change(before: HostDraft, fields: Mapping[str, str]) -> HostChange:
    wanted = parse_draft(fields, before.name)
    every = {one: getattr(wanted, one) for one in _REACHED_BY}
    if wanted.alias is not None:
        return {one: value for one, value in every.items() if value is not None}
    return {one: value for one, value in every.items() if value != getattr(before, one)}


def _shown(
    frame: Frame, name: HostName, refused: Refused = NOTHING_REFUSED, did: str = ""
) -> HTMLResponse:
    host = None if name == LOCAL else frame.application.store.get_host(name)
    row = host_row(frame, host) if host else local_row(frame)
    return page(
        frame,
        "hosts/one.html",
        status_of(refused.error),
        row=row,
        host=host,
        version=version_of(host),
        checks=checks_of(row),
        summaries={one.project.name: one for one in frame.summaries},
        form=refused.form,
        values=_values(host) | dict(refused.given),
        errors=by_field(refused.error),
        did=did,
    )


def _values(host: Host | None) -> dict[str, object]:
    draft = draft_of(host) if host else None
    return {one: getattr(draft, one, None) or "" for one in _REACHED_BY}


def _removal(frame: Frame, name: HostName, error: ReconcilerError | None = None) -> HTMLResponse:
    host = frame.application.store.get_host(name)
    return page(
        frame,
        "hosts/remove.html",
        status_of(error),
        host=host,
        targets=targets_on(frame, name),
        version=version_of(host),
        error=error,
    )
