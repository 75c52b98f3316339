"""What receipts there are, asked for and looked through."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, select, true

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.errors import NotFound
from reconciler.domain.receipt import Receipt, ReceiptCheck
from reconciler.ports import PublicKey, ReceiptQuery
from reconciler.store.family import Family, below
from reconciler.store.receipts import receipt_of, select_receipts
from reconciler.store.tables import PROJECT, RECEIPT


class SqlReceipts(Family):
    """``ReceiptStore``."""

    def list_receipts(self, query: ReceiptQuery) -> Sequence[Receipt]:
        """Return them, newest first."""
        conditions = [below(RECEIPT.c.number, query.before), _among(query.among)]
        if query.project is not None:
            conditions.append(RECEIPT.c.project == query.project)
        if query.statuses:
            conditions.append(RECEIPT.c.status.in_(query.statuses))
        statement = select(RECEIPT).where(*conditions).order_by(RECEIPT.c.number.desc())
        with self._database.reading() as connection:
            rows = connection.execute(statement.limit(query.limit))
            return [receipt_of(row) for row in rows]

    def get_receipt(self, deployment: DeploymentId) -> Receipt:
        """Return the one of a deployment. Raises ``NotFound``."""
        statement = select(RECEIPT).where(RECEIPT.c.deployment == deployment)
        with self._database.reading() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            raise NotFound(
                f"there is no receipt of deployment {deployment}: one is written when it ends; "
                f"`reconciler receipt list` shows all"
            )
        return receipt_of(row)

    def read_receipts(
        self, *, after: int, limit: int, among: Collection[str] | None = None
    ) -> Sequence[Receipt]:
        """Return those that follow number ``after``, oldest first."""
        with self._database.reading() as connection:
            return select_receipts(connection, after, limit, _among(among))

    def check_receipts(self) -> ReceiptCheck:
        """Look through all of them."""
        return self._aftermath.receipts.check()

    def receipt_key(self) -> PublicKey:
        """Return what their signatures are checked with."""
        with self._database.reading() as connection:
            return self._aftermath.receipts.signer(connection)


def _among(projects: Collection[str] | None) -> ColumnElement[bool]:
    """Return which are theirs; those of an earlier project of the same name are not."""
    if projects is None:
        return true()
    declared_at = select(PROJECT.c.created_at).where(PROJECT.c.name == RECEIPT.c.project)
    return RECEIPT.c.project.in_(projects) & (RECEIPT.c.at >= declared_at.scalar_subquery())
