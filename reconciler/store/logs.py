"""Deployments' output: its head and its newest lines, whatever a build prints."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, true, update

from reconciler.domain.deployment import DeploymentId, Stage
from reconciler.domain.errors import NotFound
from reconciler.ports import LogExtent, LogLine
from reconciler.store.codec import clean_text
from reconciler.store.family import Family
from reconciler.store.tables import DEPLOYMENT, LOG_EXTENT, LOG_LINE
from reconciler.store.upsert import insert_if_absent

HEAD_BYTES = 512 * 1024
TAIL_BYTES = 512 * 1024
#: The tail may outgrow its limit by this, so that not every line costs a deletion.
_SLACK_BYTES = 64 * 1024
LONGEST_LINE_BYTES = 8 * 1024


@dataclass(slots=True)
class _Extent:
    """How much is kept; changed while lines are added, then written back."""

    lines: int
    head_lines: int
    head_bytes: int
    head_full: bool
    tail_bytes: int
    dropped_bytes: int

    def add(self, size_bytes: int) -> int:
        """Count one line; return its number."""
        self.lines += 1
        self.head_full = self.head_full or self.head_bytes + size_bytes > HEAD_BYTES
        if self.head_full:
            self.tail_bytes += size_bytes
        else:
            self.head_lines += 1
            self.head_bytes += size_bytes
        return self.lines


class SqlLogs(Family):
    """What is kept of deployments' output, and read of it."""

    def append_log(
        self, deployment: DeploymentId, stage: Stage, lines: Sequence[str], now: datetime
    ) -> None:
        """Keep output, within the limit per deployment; a line over 8 KiB is cut.

        Where the middle had to go, one line in its place says how much it was.
        """
        if not lines:
            return
        with self._database.writing() as connection:
            extent = _lock_extent(connection, deployment)
            rows = list(_rows(deployment, stage, lines, now, extent))
            connection.execute(insert(LOG_LINE), rows)
            if extent.tail_bytes > TAIL_BYTES + _SLACK_BYTES:
                _drop_middle(connection, deployment, extent)
            connection.execute(
                update(LOG_EXTENT)
                .where(LOG_EXTENT.c.deployment == deployment)
                .values({name: getattr(extent, name) for name in _Extent.__slots__})
            )

    def read_log(
        self, deployment: DeploymentId, *, after: int = 0, limit: int = 1000
    ) -> Sequence[LogLine]:
        """Return lines with a number over ``after``, in order."""
        statement = (
            select(LOG_LINE)
            .where(LOG_LINE.c.deployment == deployment, LOG_LINE.c.number > after)
            .order_by(LOG_LINE.c.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_line(row) for row in connection.execute(statement)]

    def read_newest_log(self, deployment: DeploymentId, *, limit: int) -> Sequence[LogLine]:
        """Return the last lines there are so far, in order."""
        newest = (
            select(LOG_LINE)
            .where(LOG_LINE.c.deployment == deployment)
            .order_by(LOG_LINE.c.number.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_line(row) for row in connection.execute(newest)][::-1]

    def log_extent(self, deployment: DeploymentId) -> LogExtent:
        """Return which lines there are so far; those that were left out are none."""
        kept = select(LOG_EXTENT.c.head_lines, LOG_EXTENT.c.lines).where(
            LOG_EXTENT.c.deployment == deployment
        )
        with self._database.reading() as connection:
            row = connection.execute(kept).one_or_none()
            if row is None:
                return LogExtent()
            first_of_tail = select(func.min(LOG_LINE.c.number)).where(
                LOG_LINE.c.deployment == deployment, LOG_LINE.c.number > row.head_lines
            )
            tail = connection.execute(first_of_tail).scalar_one()
        return LogExtent(row.head_lines, tail or row.lines + 1, row.lines)

    def find_in_log(
        self, deployment: DeploymentId, words: Sequence[str], *, stage: Stage | None = None
    ) -> Sequence[int]:
        """Return the numbers of all lines that hold one of ``words``, in order, however written."""
        wanted = or_(*(LOG_LINE.c.text.icontains(word, autoescape=True) for word in words))
        of_stage = true() if stage is None else LOG_LINE.c.stage == stage
        statement = (
            select(LOG_LINE.c.number)
            .where(LOG_LINE.c.deployment == deployment, of_stage, wanted)
            .order_by(LOG_LINE.c.number)
        )
        with self._database.reading() as connection:
            return connection.execute(statement).scalars().all()


def _line(row: Row[Any]) -> LogLine:
    return LogLine(row.number, row.at, Stage(row.stage), row.text)


def _lock_extent(connection: Connection, deployment: DeploymentId) -> _Extent:
    known = select(DEPLOYMENT.c.id).where(DEPLOYMENT.c.id == deployment)
    if connection.execute(known).scalar_one_or_none() is None:
        raise NotFound(f"there is no deployment {deployment} whose output could be kept")
    insert_if_absent(
        connection,
        LOG_EXTENT,
        {"deployment": deployment},
        {name: False if name == "head_full" else 0 for name in _Extent.__slots__},
    )
    columns = [LOG_EXTENT.c[name] for name in _Extent.__slots__]
    row = connection.execute(
        select(*columns).where(LOG_EXTENT.c.deployment == deployment).with_for_update()
    ).one()
    return _Extent(*row)


def _rows(
    deployment: DeploymentId, stage: Stage, lines: Iterable[str], now: datetime, extent: _Extent
) -> Iterable[dict[str, Any]]:
    for line in lines:
        text = _cut(clean_text(line))
        size_bytes = len(text.encode()) + 1
        yield {
            "deployment": deployment,
            "number": extent.add(size_bytes),
            "at": now,
            "stage": stage,
            "text": text,
            "size_bytes": size_bytes,
        }


def _cut(text: str) -> str:
    if len(text) * 4 <= LONGEST_LINE_BYTES or len(encoded := text.encode()) <= LONGEST_LINE_BYTES:
        return text
    return encoded[:LONGEST_LINE_BYTES].decode(errors="ignore") + "…"


def _drop_middle(connection: Connection, deployment: DeploymentId, extent: _Extent) -> None:
    """Delete the tail's oldest lines, and say in the last one's place how much was left out."""
    last = _last_to_drop(connection, deployment, extent)
    connection.execute(
        delete(LOG_LINE).where(
            LOG_LINE.c.deployment == deployment,
            LOG_LINE.c.number > extent.head_lines,
            LOG_LINE.c.number <= last.number,
        )
    )
    dropped = last.number - extent.head_lines
    text = f"… {dropped:,} lines ({extent.dropped_bytes / 2**20:,.1f} MiB) were left out here …"
    connection.execute(
        insert(LOG_LINE).values(
            deployment=deployment,
            number=last.number,
            at=last.at,
            stage=last.stage,
            text=text,
            size_bytes=0,
        )
    )


def _last_to_drop(
    connection: Connection, deployment: DeploymentId, extent: _Extent
) -> Row[*tuple[Any, ...]]:
    """Return the last line that must go, and count all up to it as dropped."""
    tail = connection.execute(
        select(LOG_LINE.c.number, LOG_LINE.c.at, LOG_LINE.c.stage, LOG_LINE.c.size_bytes)
        .where(LOG_LINE.c.deployment == deployment, LOG_LINE.c.number > extent.head_lines)
        .order_by(LOG_LINE.c.number)
    )
    for row in tail:
        extent.tail_bytes -= row.size_bytes
        extent.dropped_bytes += row.size_bytes
        if extent.tail_bytes <= TAIL_BYTES:
            return row
    raise AssertionError("a tail over its limit has lines")
