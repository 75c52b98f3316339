"""The audit log: read, looked through, written out."""

import re
from collections.abc import Iterator
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import StreamingResponse

from reconciler.domain.audit import Head
from reconciler.domain.errors import InvalidInput
from reconciler.ports import AuditQuery, AuditStore
from reconciler.web.pagination import NewestPaged
from reconciler.web.principal import Policy
from reconciler.web.routing import App, errors, router_for
from reconciler.web.schemas.audit import AuditCheckBody, AuditEntryBody, AuditPage
from reconciler.web.subjects import About

reading = router_for(Policy.ADMIN, "audit", About.DAEMON)

_PAGE = 500
#: A number and its seal; of an empty log the number alone.
_NOTED = re.compile(r"0:|[1-9][0-9]{0,17}:[0-9a-f]{64}")
_LINES = {"application/jsonl": {"schema": {"type": "string"}, "example": '{"number":1,"…":"…"}\n'}}


@reading.get("/audit", summary="List who did what, newest first", responses=errors(422))
def list_audit(
    application: App,
    page: NewestPaged,
    actor: Annotated[str, Query(description="Only what they did.", examples=["local:0"])] = "",
    subject: Annotated[
        str, Query(description="Only what was done to it.", examples=["project shop"])
    ] = "",
    action: Annotated[
        str, Query(description="Only that, or a family of it.", examples=["project"])
    ] = "",
) -> AuditPage:
    """In pages; `next` leads to the older ones. Entries are never changed, and never dropped."""
    query = AuditQuery(actor, subject, action, page.before(), page.limit + 1)
    shown, following = page.cut(application.store.list_audit(query), lambda one: one.number)
    return AuditPage(items=[AuditEntryBody.of(one) for one in shown], next=following)


@reading.get("/audit/check", summary="Look through the whole audit log", responses=errors(422))
def check_audit(
    request: Request,
    noted: Annotated[
        str | None,
        Query(
            max_length=100,
            description="`head` of an earlier check, from where it was noted.",
            examples=["17:" + "5d41" * 16],
        ),
    ] = None,
) -> AuditCheckBody:
    """Finds an entry that was changed, removed, added or put elsewhere.

    Who has an older copy of the database can put it back as a whole: only a `head` that was noted
    elsewhere finds that. Each one is in the daemon's log, too.
    """
    return AuditCheckBody.of(request.app.state.audit_checks.check(_head(noted)))


@reading.get(
    "/audit/export",
    summary="Write out the audit log",
    response_class=StreamingResponse,
    responses={200: {"description": "One entry a line, oldest first.", "content": _LINES}},
)
def export_audit(application: App) -> StreamingResponse:
    """As JSON lines: entries as the list shows them."""
    return StreamingResponse(
        _lines(application.store),
        media_type="application/jsonl",
        headers={"content-disposition": 'attachment; filename="audit.jsonl"'},
    )


def _lines(store: AuditStore) -> Iterator[str]:
    last = 0
    while entries := store.read_audit(after=last, limit=_PAGE):
        for entry in entries:
            yield f"{AuditEntryBody.of(entry).model_dump_json()}\n"
        last = entries[-1].number


def _head(text: str | None) -> Head | None:
    if text is None:
        return None
    if not _NOTED.fullmatch(text):  # half a seal must not look like a log that was changed
        raise InvalidInput("noted", text, "is not NUMBER:SEAL in full, as an earlier check gave")
    return Head.parse(text)
