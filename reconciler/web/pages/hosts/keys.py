"""The key that a host is known by: compared by a person, and never taken over in another way."""

from dataclasses import dataclass

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import InvalidInput, NotFound, ReconcilerError
from reconciler.domain.host import HostName, fingerprint_of
from reconciler.pipeline.declaring.hosts import Offer
from reconciler.web.pages.forms import Fields, by_field, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.hosts.fingerprints import grouped
from reconciler.web.pages.hosts.rows import HostRow, host_row
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import App, OnHost, router_for
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.DAEMON)
changing = router_for(Policy.ADMIN, "pages", About.DAEMON)


@dataclass(frozen=True, slots=True)
class ShownKeys:
    """What a host showed last, beside what it is known by."""

    known: tuple[str, ...]  #: fingerprints; empty: nobody confirmed one yet
    shown: tuple[str, ...]  #: fingerprints, strongest first; empty: it was not asked, or is silent

    @property
    def same(self) -> str:
        """The one that it is known by and shows; empty: there is none."""
        return next((one for one in self.shown if one in self.known), "")

    @property
    def changed(self) -> bool:
        """Whether it shows others than the one that it is known by."""
        return bool(self.known and self.shown and not self.same)

    @property
    def to_accept(self) -> str:
        """The one that a person is asked about; empty: none."""
        return "" if self.same or not self.shown else self.shown[0]


@reading.get("/hosts/{host}/key", include_in_schema=False)
def show_key(frame: Framed, host: OnHost) -> HTMLResponse:
    """The fingerprint to compare, or both of a key that was changed."""
    return _shown(frame, host)


@changing.post("/hosts/{host}/ask", include_in_schema=False)
def ask_for_key(application: App, frame: Framed, host: OnHost, fields: Fields) -> Response:
    """Have it show its keys; it is shown none of ours."""
    del fields  # looked at by what reads them
    try:
        application.hosts.offered_keys(host)
    except NotFound:
        raise
    except ReconcilerError as error:
        return _shown(frame, host, error)
    return go(f"/hosts/{host}/key")


@changing.post("/hosts/{host}/key", include_in_schema=False)
def accept_key(
    application: App, request: Request, frame: Framed, host: OnHost, fields: Fields
) -> Response:
    """Know it by this key from now on, which it has to show now, and look whether it lets us in.

    In place of another one only for who types the host's name.
    """
    known, wanted = application.store.get_host(host).host_keys, fields.get("fingerprint", "")
    try:
        if known and wanted not in map(fingerprint_of, known) and fields.get("name") != host:
            problem = f"is not the name of this host; type {host}"
            raise InvalidInput("name", fields.get("name", ""), problem)
        application.hosts.trust(host, wanted, actor=actor_of(request))
    except ReconcilerError as error:
        return _shown(frame, host, error)
    application.daemon.wake("hosts")
    application.host_checks.check(host)
    return go(f"/hosts/{host}?did=accepted")


def _shown(frame: Frame, name: HostName, error: ReconcilerError | None = None) -> HTMLResponse:
    host = frame.application.store.get_host(name)
    row, offer = host_row(frame, host), frame.application.hosts.last_offer(host)
    keys = _keys(row, offer)
    beside = keys.known[0] if keys.changed else ""
    return page(
        frame,
        "hosts/key.html",
        status_of(error),
        host=host,
        row=row,
        offer=offer,
        keys=keys,
        known=[grouped(one, keys.to_accept if keys.changed else "") for one in keys.known],
        shown=[grouped(one, beside) for one in keys.shown],
        errors=by_field(error),
    )


def _keys(row: HostRow, offer: Offer | None) -> ShownKeys:
    """Return what it showed when it was asked last, or else when it was to be entered."""
    known = tuple(row.fingerprints)
    if offer is not None and offer.keys:
        return ShownKeys(known, tuple(one.fingerprint for one in offer.keys))
    observed = row.error.evidence.get("observed", "") if row.error and row.key_changed else ""
    seen = tuple(one for one in observed.split(", ") if one.startswith("SHA256:"))
    return ShownKeys(known, seen)
