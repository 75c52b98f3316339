"""All that is sealed: which columns, and the place that each of their ciphertexts is bound to.

Whoever adds a column that holds ciphertexts adds it to ``SEALED``: what is not in it stays sealed
with a key that is gone one day.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, func, inspect, select, update

from reconciler.domain.errors import StoreCorrupt
from reconciler.ports import Sealer
from reconciler.store.tables import ANSWER, CHANNEL, CLUSTER, FACT, HOST, SECRET, WEBHOOK

#: How every ciphertext begins; the id of its key follows, and another colon.
_MARK = "v1:"
_ID_DIGITS = 8

#: Values of a row's primary key, in its order.
RowKey = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of ciphertexts; a value that is none is left alone."""

    table: Table
    name: str
    field: str  #: as contexts name it
    fingerprint: str = ""  #: column with the fingerprint of what is sealed
    bound: str = ""  #: column with whom alone it is shown, which its place names, too

    @property
    def column(self) -> Column[str]:
        """The column itself."""
        return self.table.c[self.name]

    def context(self, *key: str, bound_to: str = "") -> str:
        """Return the place that the ciphertext of the row ``key`` belongs to."""
        place = f"{self.table.name}|{'/'.join(key)}|{self.field}"
        return f"{place}|{bound_to}" if bound_to else place

    def rows(self, connection: Connection, *, but_of: str = "") -> Sequence[RowKey]:
        """Return the keys of all rows with a ciphertext, ``but_of`` a key's own."""
        wanted = self.column.startswith(_MARK)
        if but_of:
            wanted &= ~self.column.startswith(f"{_MARK}{but_of}:")
        keys = self.table.primary_key.columns
        return [tuple(row) for row in connection.execute(select(*keys).where(wanted))]

    def reseal(self, connection: Connection, key: RowKey, sealer: Sealer) -> None:
        """Seal what the row holds anew. Raises ``StoreCorrupt`` where it doesn't open."""
        found = self._find(connection, key, lock=True)
        if found is None or key_id_of(found[0]) == sealer.key_ids[0]:
            return
        sealed, place = found
        secret = sealer.unseal(sealed, place)
        values = {self.name: sealer.seal(secret, place)}
        if self.fingerprint:
            values[self.fingerprint] = sealer.fingerprint(secret)
        connection.execute(update(self.table).where(self.row(key)).values(values))

    def bind(self, connection: Connection, key: RowKey, sealer: Sealer) -> None:
        """Bind the row's ciphertext to whom it is shown: earlier versions bound it to its row."""
        found = self._find(connection, key, lock=True)
        if found is None:
            return
        sealed, place = found
        try:
            secret = sealer.unseal(sealed, self.context(*key))
        except StoreCorrupt:
            return  # of no use before either
        values = {self.name: sealer.seal(secret, place)}
        connection.execute(update(self.table).where(self.row(key)).values(values))

    def opens(self, connection: Connection, key: RowKey, sealer: Sealer) -> bool:
        """Tell whether what the row holds opens, as this version sealed it or an earlier one."""
        found = self._find(connection, key)
        return found is not None and any(
            _opens(sealer, found[0], place) for place in (found[1], self.context(*key))
        )

    def _find(
        self, connection: Connection, key: RowKey, *, lock: bool = False
    ) -> tuple[str, str] | None:
        """Return the row's ciphertext, and the place it belongs to."""
        shown_to = [self.table.c[self.bound]] if self.bound else []
        statement = select(self.column, *shown_to).where(self.row(key))
        row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
        return (row[0], self.context(*key, bound_to=row[1] if shown_to else "")) if row else None

    def row(self, key: RowKey) -> ColumnElement[bool]:
        """Return the condition that is so of the row ``key``."""
        first, *rest = (
            column == value
            for column, value in zip(self.table.primary_key.columns, key, strict=True)
        )
        for condition in rest:
            first &= condition
        return first


SECRET_VALUE = SealedColumn(SECRET, "sealed", "sealed", "fingerprint", "bound_to")
HOST_PRIVATE_KEY = SealedColumn(HOST, "sealed_key", "sealed_key", "key_fingerprint")
WEBHOOK_SECRET = SealedColumn(WEBHOOK, "sealed_secret", "secret", "fingerprint")
WEBHOOK_PREVIOUS = SealedColumn(WEBHOOK, "sealed_previous", "previous", "previous_fingerprint")
ANSWER_BODY = SealedColumn(ANSWER, "sealed_body", "body")
CHANNEL_URL = SealedColumn(CHANNEL, "sealed_url", "url", "fingerprint")
KUBECONFIG = SealedColumn(CLUSTER, "sealed_kubeconfig", "kubeconfig", "kubeconfig_fingerprint")
#: Of facts some are sealed: the check value, the audit log's key and head, and more to come.
FACT_VALUE = SealedColumn(FACT, "value", "value")

SEALED = (
    SECRET_VALUE,
    HOST_PRIVATE_KEY,
    WEBHOOK_SECRET,
    WEBHOOK_PREVIOUS,
    ANSWER_BODY,
    CHANNEL_URL,
    KUBECONFIG,
    FACT_VALUE,
)


def bind_secrets(connection: Connection, sealer: Sealer) -> None:
    """Bind what is shown to one server alone to that one: earlier versions let it be any."""
    for key in SECRET_VALUE.rows(connection):
        SECRET_VALUE.bind(connection, key, sealer)


def key_id_of(sealed: str) -> str:
    """Return the id of the key that something was sealed with."""
    return sealed.removeprefix(_MARK).partition(":")[0]


def count_by_key(connection: Connection) -> Mapping[str, int]:
    """Return how many ciphertexts there are of each key, by its id."""
    counts: dict[str, int] = {}
    for one in present(connection):
        key_id = func.substr(one.column, len(_MARK) + 1, _ID_DIGITS)
        statement = select(key_id, func.count()).where(one.column.startswith(_MARK))
        rows: Sequence[Any] = connection.execute(statement.group_by(key_id)).all()
        for found, number in rows:
            counts[found] = counts.get(found, 0) + number
    return counts


def present(connection: Connection) -> Iterator[SealedColumn]:
    """Yield those that the database has: an earlier version's has fewer."""
    inspector = inspect(connection)
    names = set(inspector.get_table_names())
    for one in SEALED:
        if one.table.name in names:
            columns = {column["name"] for column in inspector.get_columns(one.table.name)}
            if one.name in columns:
                yield one


def _opens(sealer: Sealer, sealed: str, place: str) -> bool:
    try:
        sealer.unseal(sealed, place)
    except StoreCorrupt:
        return False
    return True
