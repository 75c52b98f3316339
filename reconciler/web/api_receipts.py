"""Receipts of deployments that ended: listed, shown, looked through, written out."""

from collections.abc import Collection, Iterator
from typing import Annotated

from fastapi import Path, Query
from starlette.responses import StreamingResponse

from reconciler.domain.deployment import DeploymentId, Status
from reconciler.domain.references import parse_project_name
from reconciler.ports import ReceiptQuery, ReceiptStore
from reconciler.web.pagination import NewestPaged
from reconciler.web.principal import Policy, Seen
from reconciler.web.routing import App, errors, router_for
from reconciler.web.schemas.body import DeploymentNumber
from reconciler.web.schemas.receipts import (
    ReceiptBody,
    ReceiptCheckBody,
    ReceiptKeyBody,
    ReceiptPage,
    SignedReceiptBody,
)
from reconciler.web.subjects import About

listing = router_for(Policy.READ, "receipts", About.EACH)
reading = router_for(Policy.READ, "receipts", About.DEPLOYMENT)
checking = router_for(Policy.READ, "receipts", About.DAEMON)

_PAGE = 100
_LINES = {"application/jsonl": {"schema": {"type": "string"}, "example": '{"number":1,"…":"…"}\n'}}


@listing.get("/receipts", summary="List receipts, newest first", responses=errors(422))
def list_receipts(
    application: App,
    page: NewestPaged,
    seen: Seen,
    project: Annotated[
        str | None, Query(description="Only of this project.", examples=["shop"])
    ] = None,
    status: Annotated[
        list[Status] | None, Query(description="Only those that ended so.", examples=[["failed"]])
    ] = None,
) -> ReceiptPage:
    """In pages; `next` leads to the older ones. Those of projects that are gone are there, too."""
    name = parse_project_name(project, "project") if project is not None else None
    if name is not None:
        seen.require(name)
    query = ReceiptQuery(
        name, tuple(status or ()), seen.projects, before=page.before(), limit=page.limit + 1
    )
    shown, following = page.cut(application.store.list_receipts(query), lambda one: one.number)
    return ReceiptPage(items=[ReceiptBody.of(one) for one in shown], next=following)


@listing.get("/receipts/key", summary="Show the key that receipts are checked with")
def show_receipt_key(application: App) -> ReceiptKeyBody:
    """It is public: keep a copy elsewhere, and receipts can be checked without this daemon."""
    return ReceiptKeyBody.of(application.store.receipt_key())


@checking.get("/receipts/check", summary="Look through all receipts")
def check_receipts(application: App) -> ReceiptCheckBody:
    """Finds a receipt that was changed, removed, added, put elsewhere, or signed by another."""
    return ReceiptCheckBody.of(application.store.check_receipts())


@listing.get(
    "/receipts/export",
    summary="Write out all receipts",
    response_class=StreamingResponse,
    responses={200: {"description": "One receipt a line, oldest first.", "content": _LINES}},
)
def export_receipts(application: App, seen: Seen) -> StreamingResponse:
    """As JSON lines: each as the one of a deployment is shown."""
    return StreamingResponse(
        _lines(application.store, seen.projects),
        media_type="application/jsonl",
        headers={"content-disposition": 'attachment; filename="receipts.jsonl"'},
    )


@reading.get(
    "/deployments/{id}/receipt",
    summary="Show the receipt of a deployment",
    responses=errors(404, 422),
)
def show_receipt(
    application: App,
    id: Annotated[  # noqa: A002  the path's word
        DeploymentNumber, Path(description="Number of a deployment.", examples=[42])
    ],
) -> SignedReceiptBody:
    """What became of it, signed. 404 until it has ended."""
    return SignedReceiptBody.of(application.store.get_receipt(DeploymentId(id)))


def _lines(store: ReceiptStore, among: Collection[str] | None) -> Iterator[str]:
    last = 0
    while receipts := store.read_receipts(after=last, limit=_PAGE, among=among):
        for receipt in receipts:
            yield f"{SignedReceiptBody.of(receipt).model_dump_json()}\n"
        last = receipts[-1].number
