"""Receipts: written in the transaction in which a deployment ends, and never changed."""

import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from reconciler import __version__
from reconciler.domain.audit import Head
from reconciler.domain.deployment import Deployment, DeploymentId, Status
from reconciler.domain.errors import StoreCorrupt
from reconciler.domain.receipt import (
    Document,
    Receipt,
    ReceiptCheck,
    canonical,
    check_receipts,
    hash_of,
)
from reconciler.domain.receipt_content import Circumstances, Writer, content_of, gap_of
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.log import fields
from reconciler.ports import Sealer, Signer
from reconciler.store.aside import done_aside
from reconciler.store.database import Database
from reconciler.store.project_rows import project_from_row
from reconciler.store.promotions import find_promotion_of
from reconciler.store.tables import APPROVAL, DEPLOYMENT, FACT, PROJECT, RECEIPT
from reconciler.store.upsert import insert_if_absent

_log = logging.getLogger("reconciler.receipts")

_KEY, _HEAD = "receipt_key", "receipt_head"
_KEY_CONTEXT, _HEAD_CONTEXT = f"fact|{_KEY}|value", f"fact|{_HEAD}|value"
_SEED_BYTES = 32
_PAGE = 500

_Content = Callable[[Connection, Writer, Deployment], Document]


class ReceiptBook:
    """Writes receipts, one after another whoever writes."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._signer: Signer | None = None

    def write(self, connection: Connection, deployment: Deployment) -> None:
        """Write the receipt of a deployment that ends in this transaction.

        Before the audit log's entry, always: whoever locked this head may wait for that one.

        A bug here must not hold up a deployment: the receipt then says that it can't tell.
        """
        what = f"writing the receipt of deployment {deployment.id}"
        whole = partial(self._append, connection, deployment)
        if bug := done_aside(connection, what, partial(whole, _content)):
            done_aside(connection, what, partial(whole, partial(_gap, bug=bug)))

    def check(self) -> ReceiptCheck:
        """Look through all there are."""
        with self._database.reading() as connection:
            try:
                head, signer = self._opened(_read(connection, _HEAD)), self.signer(connection)
            except StoreCorrupt as error:
                problem = f"where they end is not known: {error.message}"
                return ReceiptCheck(Head(), problem)
            return check_receipts(_all(connection), signer, head)

    def signer(self, connection: Connection) -> Signer:
        """Return the key; it is opened once."""
        if self._signer is None:
            seed = self._sealer.unseal(_read(connection, _KEY), _KEY_CONTEXT)
            self._signer = self._sealer.signer(seed)
        return self._signer

    def prepare(self) -> None:
        """Make the key, and the place where the newest receipt is noted, where there is none."""
        seed = self._sealer.seal(Secret.of(secrets.token_hex(_SEED_BYTES)), _KEY_CONTEXT)
        with self._database.writing() as connection:
            insert_if_absent(connection, FACT, {"key": _KEY}, {"value": seed})
            insert_if_absent(connection, FACT, {"key": _HEAD}, {"value": self._sealed(Head())})

    def _append(self, connection: Connection, deployment: Deployment, content: _Content) -> None:
        head = self._opened(_read(connection, _HEAD, lock=True))
        signer, now = self.signer(connection), self._database.now()
        written = content(connection, Writer(__version__, signer.id, head, now), deployment)
        text = canonical(written)
        newest = Head(head.number + 1, hash_of(text))
        columns = {
            "number": newest.number,
            "deployment": deployment.id,
            "project": written["project"],
            "status": written["status"],
            "at": now,
            "body": text,
            "signature": signer.sign(text),
        }
        connection.execute(insert(RECEIPT).values(columns))
        sealed = self._sealed(newest)
        connection.execute(update(FACT).where(FACT.c.key == _HEAD).values(value=sealed))
        # Whoever can rewrite the database can't rewrite where the log went.
        _log.info("receipt of deployment %d", deployment.id, extra=fields(receipt=newest))

    def _opened(self, sealed: str) -> Head:
        return Head.parse(self._sealer.unseal(sealed, _HEAD_CONTEXT).reveal())

    def _sealed(self, head: Head) -> str:
        """Return it sealed: else one who cuts the chain only had to write down its last hash."""
        return self._sealer.seal(Secret.of(str(head)), _HEAD_CONTEXT)


def prepare_receipts(database: Database, sealer: Sealer) -> ReceiptBook:
    """Return what writes receipts into ``database``; make its key if it has none."""
    book = ReceiptBook(database, sealer)
    book.prepare()
    return book


def select_receipts(
    connection: Connection, after: int, limit: int, *conditions: ColumnElement[bool]
) -> Sequence[Receipt]:
    """Return those that follow number ``after``, oldest first."""
    statement = select(RECEIPT).where(RECEIPT.c.number > after, *conditions)
    rows = connection.execute(statement.order_by(RECEIPT.c.number).limit(limit))
    return [receipt_of(row) for row in rows]


def receipt_of(row: Row[Any]) -> Receipt:
    """Return the receipt of a row."""
    return Receipt(
        number=row.number,
        deployment=DeploymentId(row.deployment),
        project=ProjectName(row.project),
        status=Status(row.status),
        at=row.at,
        text=row.body,
        signature=row.signature,
    )


def _all(connection: Connection) -> Iterator[Receipt]:
    number = 0
    while page := select_receipts(connection, number, _PAGE):
        yield from page
        number = page[-1].number


def _read(connection: Connection, key: str, *, lock: bool = False) -> str:
    """Return a fact; with ``lock`` nobody else changes it before this transaction ends."""
    statement = select(FACT.c.value).where(FACT.c.key == key)
    found: str = connection.execute(statement.with_for_update() if lock else statement).scalar_one()
    return found


def _content(connection: Connection, writer: Writer, ended: Deployment) -> Document:
    approved = (APPROVAL.c.project == ended.project) & (
        APPROVAL.c.fingerprint == ended.target_revision.fingerprint
    )
    approval = (APPROVAL.c.approved_by, APPROVAL.c.approved_at, APPROVAL.c.reason)
    row = connection.execute(
        select(PROJECT, DEPLOYMENT.c.correlation, *approval)
        .join(DEPLOYMENT, DEPLOYMENT.c.project == PROJECT.c.name)
        .outerjoin(APPROVAL, approved)
        .where(DEPLOYMENT.c.id == ended.id)
    ).one()
    around = Circumstances(
        project=project_from_row(row),
        correlation=row.correlation,
        approved_by=row.approved_by or "",
        approved_at=row.approved_at,
        approval_reason=row.reason or "",
        origin=_origin(connection, ended),
        promotion=find_promotion_of(connection, ended) if ended.promotes is not None else None,
    )
    return content_of(writer, ended, around)


def _origin(connection: Connection, ended: Deployment) -> str:
    """Return the project that verified what ``ended`` promotes; empty: none, or it is gone."""
    origin = select(DEPLOYMENT.c.project).where(DEPLOYMENT.c.id == ended.promotes)
    return connection.execute(origin).scalar_one_or_none() or ""


def _gap(connection: Connection, writer: Writer, ended: Deployment, *, bug: str) -> Document:
    del connection  # what is known of it already is all that can be relied on
    return gap_of(writer, ended.id, ended.project, ended.status, bug)
