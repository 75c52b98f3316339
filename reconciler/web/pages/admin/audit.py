"""The audit log: who did what to what, from where, and whether the chain of it is whole."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from starlette.responses import HTMLResponse, Response

from reconciler.ports import AuditQuery
from reconciler.web.pages.admin.audit_words import AuditLine
from reconciler.web.pages.forms import Fields, go
from reconciler.web.pages.frame import Framed
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import router_for
from reconciler.web.schemas.body import MOST_NUMBER
from reconciler.web.subjects import About

auditing = router_for(Policy.ADMIN, "pages", About.DAEMON)

_SHOWN = 50
_LONGEST = 300

_Text = Annotated[str, Query(max_length=_LONGEST)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for."""

    actor: str
    object: str
    remote: str
    action: str

    @property
    def narrowed(self) -> bool:
        """Whether any are left out."""
        return any((self.actor, self.object, self.remote, self.action))

    def address(self, **changed: str | int) -> str:
        """Return where the same is, but for what is ``changed``."""
        named = {"actor": self.actor, "object": self.object, "from": self.remote}
        named |= {"action": self.action} | {name: str(value) for name, value in changed.items()}
        query = urlencode({name: value for name, value in named.items() if value})
        return f"/audit?{query}" if query else "/audit"


async def _wanted(
    actor: _Text = "",
    object: _Text = "",  # noqa: A002  its name in the address
    remote: Annotated[str, Query(alias="from", max_length=_LONGEST)] = "",
    action: _Text = "",
) -> Wanted:
    return Wanted(*(one.strip() for one in (actor, object, remote, action)))


@auditing.get("/audit", include_in_schema=False)
def show_audit(
    request: Request,
    frame: Framed,
    wanted: Annotated[Wanted, Depends(_wanted)],
    before: Annotated[int | None, Query(ge=1, le=MOST_NUMBER)] = None,
) -> HTMLResponse:
    """Newest first, in pages."""
    query = AuditQuery(
        wanted.actor, wanted.object, wanted.action, before, _SHOWN + 1, remote=wanted.remote
    )
    store = frame.application.store
    found = store.list_audit(query)
    newest = store.list_audit(AuditQuery(limit=1))
    return page(
        frame,
        "admin/audit.html",
        lines=[AuditLine.of(entry) for entry in found[:_SHOWN]],
        wanted=wanted,
        before=before,
        older=found[_SHOWN - 1].number if len(found) > _SHOWN else None,
        total=newest[0].number if newest else 0,
        checked=request.app.state.audit_checks.last,
    )


@auditing.post("/audit/check", include_in_schema=False)
def check_chain(request: Request, fields: Fields) -> Response:
    """Look through all of it; the page says what that gave."""
    del fields  # looked at by what reads them
    request.app.state.audit_checks.check()
    return go("/audit")
