"""Which moves came announced: written with the looks that found them, and with the deliveries."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, or_, select, update

from reconciler.domain.announcement import LATE_BY, Announcements
from reconciler.domain.references import ProjectName
from reconciler.domain.webhook import FORGES, WebhookName
from reconciler.ports import Delivery, PollResult
from reconciler.store.codec import commit_to_text, moves_from_json, moves_to_json
from reconciler.store.family import Family
from reconciler.store.tables import ANNOUNCEMENT, PROJECT, SOURCE_HEALTH, WEBHOOK
from reconciler.store.upsert import insert_if_absent, insert_of


class SqlAnnouncements(Family):
    """What ``WebhookStore`` tells of announcements."""

    def get_announcements(self, name: ProjectName) -> Announcements:
        """Return how the project's last moves were announced; nothing where none was recorded."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(ANNOUNCEMENT).where(ANNOUNCEMENT.c.project == name)
            ).one_or_none()
        return _announcements(row) if row is not None else Announcements()

    def list_announcements(self) -> Mapping[ProjectName, Announcements]:
        """Return the same of all projects that have some."""
        with self._database.reading() as connection:
            rows = connection.execute(select(ANNOUNCEMENT)).all()
        return {ProjectName(row.project): _announcements(row) for row in rows}


def record_moves(connection: Connection, results: Sequence[PollResult]) -> None:
    """Add each move that a webhook should announce; before the look itself is recorded.

    Of two that recorded the same move, the second finds it observed already.
    """
    judged = {result.project: result for result in results if result.announced is not None}
    if not judged:
        return
    # The project first, as whoever removes one does.
    expected = connection.execute(
        select(PROJECT.c.name)
        .where(PROJECT.c.name.in_(judged), _should_be_announced())
        .order_by(PROJECT.c.name)
        .with_for_update(of=PROJECT, read=True, key_share=True)
    ).scalars()
    names = list(expected)
    for name in names:
        insert_if_absent(connection, ANNOUNCEMENT, {"project": name}, {"moves": []})
    rows = connection.execute(
        select(ANNOUNCEMENT, SOURCE_HEALTH.c.observed, SOURCE_HEALTH.c.observed_at)
        .join(SOURCE_HEALTH, SOURCE_HEALTH.c.project == ANNOUNCEMENT.c.project)
        .where(ANNOUNCEMENT.c.project.in_(names))
        .order_by(ANNOUNCEMENT.c.project)
        .with_for_update(of=[ANNOUNCEMENT, SOURCE_HEALTH])
    ).all()
    for row in rows:
        _record_move(connection, row, judged[ProjectName(row.project)])


def record_announced(connection: Connection, announced: Mapping[ProjectName, Delivery]) -> None:
    """Record which delivery concerned each project last; it may come late for a move."""
    if not announced:
        return
    # In the order of names, as everywhere; a project that was removed meanwhile is left out.
    rows = [
        {"announcing": one.webhook, "announcing_at": one.at, "whose": name, "none": []}
        for name, one in sorted(announced.items())
    ]
    connection.execute(_upsert_announced(connection), rows)
    since = min(one.at for one in announced.values()) - LATE_BY
    late = connection.execute(select(ANNOUNCEMENT).where(ANNOUNCEMENT.c.missed_at >= since)).all()
    for row in late:
        if delivery := announced.get(ProjectName(row.project)):
            known = _announcements(row).with_delivery(delivery.webhook, delivery.at)
            _put_moves(connection, row.project, known)


def _should_be_announced() -> Any:
    """Return whether a forge's webhook is bound to the project, or announced it before."""
    forges = WEBHOOK.c.provider.in_(sorted(FORGES))
    bound = exists().where(WEBHOOK.c.project == PROJECT.c.name, forges)
    before = exists().where(
        ANNOUNCEMENT.c.project == PROJECT.c.name,
        WEBHOOK.c.name == ANNOUNCEMENT.c.announced_by,
        WEBHOOK.c.project.is_(None),
    )
    return or_(bound, before)


def _record_move(connection: Connection, row: Row[Any], result: PollResult) -> None:
    health = result.health
    tip, at = health.observed, health.observed_at
    if row.observed is None or tip is None or at is None or row.observed == commit_to_text(tip):
        return
    known = _announcements(row)
    # One that came since the last good look, whatever became of the look that it asked for.
    came = known.announced_at is not None and known.announced_at > row.observed_at
    moved = known.with_move(tip, at, announced=bool(result.announced) or came)
    _put_moves(connection, row.project, moved)


def _put_moves(connection: Connection, name: str, known: Announcements) -> None:
    connection.execute(
        update(ANNOUNCEMENT)
        .where(ANNOUNCEMENT.c.project == name)
        .values(moves=moves_to_json(known.moves), missed_at=known.missed_at)
    )


def _upsert_announced(connection: Connection) -> Any:
    columns = ANNOUNCEMENT.c
    made = insert_of(connection, ANNOUNCEMENT).from_select(
        ["project", "moves", "announced_by", "announced_at"],
        select(
            PROJECT.c.name,
            bindparam("none", type_=columns.moves.type),
            bindparam("announcing", type_=columns.announced_by.type),
            bindparam("announcing_at", type_=columns.announced_at.type),
        ).where(PROJECT.c.name == bindparam("whose")),
    )
    newest = {name: made.excluded[name] for name in ("announced_by", "announced_at")}
    return made.on_conflict_do_update(index_elements=["project"], set_=newest)


def _announcements(row: Row[Any]) -> Announcements:
    by = WebhookName(row.announced_by) if row.announced_by else None
    return Announcements(moves_from_json(row.moves), by, row.announced_at)
