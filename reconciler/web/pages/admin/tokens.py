"""Tokens of the API: what each is good for, and a new one, shown once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Path, Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.access import AccessToken, Scope
from reconciler.domain.errors import InvalidInput, NotFound, ReconcilerError
from reconciler.web.api_tokens import create_token, delete_token
from reconciler.web.pages.admin.done import Did, Of, done
from reconciler.web.pages.forms import Fields, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.schemas.tokens import NewToken, TokenMade
from reconciler.web.subjects import About

admitting = router_for(Policy.ADMIN, "pages", About.DAEMON)

_PATH = "/admin/tokens"
_SOON = timedelta(days=14)
_DAY_SECONDS = 86_400
#: Days that a new one may last → in words; empty: without an end.
_LASTS: Mapping[str, str] = {
    "7": "7 days",
    "30": "30 days",
    "90": "90 days",
    "365": "a year",
    "": "Until it is revoked",
}
#: Scope → what it lets do.
_MAY: Mapping[Scope, str] = {
    Scope.READ: "see what runs, why, and what was done",
    Scope.TRIGGER: "deploy, roll back, approve, report releases",
    Scope.PUSH: "fetch from and push to hosted repositories",
    Scope.CONFIG: "change what is declared",
    Scope.SECRETS: "put and remove secrets, which nobody reads",
    Scope.ADMIN: "all of these, and hosts, settings, people, tokens, the audit log",
}

TokenName = Annotated[str, Path(max_length=64)]


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One token, to be shown."""

    name: str
    may: str
    projects: tuple[str, ...] | None
    created_at: datetime
    created_by: str
    ends: datetime | None
    ended: bool
    ends_soon: bool
    last_used_at: datetime | None
    last_used_from: str

    @classmethod
    def of(cls, token: AccessToken, now: datetime) -> "TokenRow":
        """Return the row of ``token``."""
        ends = token.expires_at
        return cls(
            name=token.name,
            may=", ".join(scope for scope in Scope if scope in token.scopes),
            projects=token.projects,
            created_at=token.created_at,
            created_by=token.created_by,
            ends=ends,
            ended=ends is not None and ends <= now,
            ends_soon=ends is not None and now < ends <= now + _SOON,
            last_used_at=token.last_used_at,
            last_used_from=token.last_used_from,
        )


def token_rows(frame: Frame) -> list[TokenRow]:
    """Return all of them, by name."""
    return [TokenRow.of(token, frame.now) for token in frame.application.store.list_tokens()]


@admitting.get(_PATH, include_in_schema=False)
def show_tokens(frame: Framed, did: Did = "", of: Of = "") -> HTMLResponse:
    """All of them, never their text."""
    action = "token.remove" if did == "revoked" else ""
    return _page(frame, done=done(frame.application.store, action, f"token {of}"))


@admitting.post(_PATH, include_in_schema=False)
def make_token(application: App, request: Request, frame: Framed, fields: Fields) -> HTMLResponse:
    """Make one, and show it here and now: no address leads to it."""
    try:
        made = create_token(application, request, _asked(fields))
    except ReconcilerError as error:
        return _page(frame, error=error, typed=fields)
    return _page(frame, made=made, status=201)


@admitting.get(f"{_PATH}/{{token}}/revoke", include_in_schema=False)
def ask_to_revoke(frame: Framed, token: TokenName) -> HTMLResponse:
    """What would end with it."""
    found = next((row for row in token_rows(frame) if row.name == token), None)
    if found is None:
        raise NotFound(f"there is no token {token!r}")
    return page(frame, "admin/token_revoke.html", one=found)


@admitting.post(f"{_PATH}/{{token}}/revoke", include_in_schema=False)
def revoke(application: App, token: TokenName, fields: Fields) -> Response:
    """It opens nothing from now on."""
    del fields  # looked at by what reads them
    delete_token(application, token)
    return go(f"{_PATH}?did=revoked&of={token}")


def _asked(fields: Mapping[str, str]) -> NewToken:
    days = fields.get("lasts", "")
    if days not in _LASTS:
        raise InvalidInput("lasts", days, "is none of those to choose from")
    names = fields.get("projects", "").replace(",", " ").split()
    return NewToken(
        name=fields.get("name", "").strip(),
        scopes=[scope for scope in Scope if f"scope-{scope}" in fields],
        projects=names or None,
        expires_in_seconds=int(days) * _DAY_SECONDS if days else None,
    )


def _page(
    frame: Frame,
    *,
    status: int = 0,
    made: TokenMade | None = None,
    error: ReconcilerError | None = None,
    typed: Mapping[str, str] | None = None,
    done: object = None,
) -> HTMLResponse:
    return page(
        frame,
        "admin/tokens.html",
        status or status_of(error),
        tokens=token_rows(frame),
        scopes=_MAY,
        lasts=_LASTS,
        made=made,
        error=error,
        typed=typed or {},
        done=done,
    )
