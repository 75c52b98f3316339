"""What channels were told, and the next message of it: both change in one transaction."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select, update

from reconciler.domain.notice import (
    Happening,
    NoticeEvent,
    Telling,
    Told,
    Trouble,
    Wants,
    due_at,
    forget,
)
from reconciler.ports import OutboxKind
from reconciler.store.outbox import put_message_about
from reconciler.store.tables import CHANNEL, TOLD
from reconciler.store.upsert import insert_if_absent

#: Decides: what was told, what is wanted, and now → what is told after it, and what to send.
Decision = Callable[[Told, Wants, datetime], tuple[Told, list[Telling]]]


def select_listeners(
    connection: Connection, projects: Collection[str] | None = None
) -> list[tuple[str, str | None, Wants]]:
    """Return name, project and wishes of the channels that hear of ``projects``; None: of all."""
    heard = (
        []
        if projects is None
        else [or_(CHANNEL.c.project.is_(None), CHANNEL.c.project.in_(projects))]
    )
    rows = connection.execute(select(CHANNEL).where(*heard)).all()
    return sorted(((row.name, row.project, wants_of(row)) for row in rows), key=itemgetter(0))


def wants_of(row: Row[Any]) -> Wants:
    """Return what a channel's people chose."""
    events = frozenset(NoticeEvent(one) for one in row.events)
    return Wants(events, timedelta(seconds=row.remind_after_seconds))


def change_told(
    connection: Connection,
    key: tuple[str, str],
    wants: Wants,
    decide: Decision,
    now: datetime,
) -> int:
    """Decide what the channel is told of the project; return how many messages that gave.

    Its row is locked from here on: of two replicas that see the same, the second finds it told.
    """
    channel, project = key
    first = {"body": {}, "in_trouble": False}
    insert_if_absent(connection, TOLD, {"channel": channel, "project": project}, first)
    mine = (TOLD.c.channel == channel) & (TOLD.c.project == project)
    row = connection.execute(select(TOLD).where(mine).with_for_update()).one()
    told = _told_from_json(row.body)
    after, tellings = decide(told, wants, now)
    due = due_at(after, wants, now)
    if after != told or due != row.due_at:
        values = {"body": _told_to_json(after), "in_trouble": bool(after.troubles)}
        connection.execute(update(TOLD).where(mine).values(**values, due_at=due))
    for telling in tellings:
        _put(connection, channel, project, telling, now)
    return len(tellings)


def forget_subject(connection: Connection, project: str, subject: str, now: datetime) -> None:
    """Tell no more of what nobody looks at any more; ``project`` is empty for what has none."""

    def decide(told: Told, _: Wants, __: datetime) -> tuple[Told, list[Telling]]:
        return forget(told, subject), []

    in_trouble = select(TOLD.c.channel).where(TOLD.c.project == project, TOLD.c.in_trouble)
    heard = set(connection.execute(in_trouble).scalars())
    for channel, _, wants in select_listeners(connection, [project]):
        if channel in heard:
            change_told(connection, (channel, project), wants, decide, now)


def forget_told(connection: Connection, *, project: str = "", channel: str = "") -> None:
    """Forget what was told of a project that is removed, or to a channel; in one order."""
    column, value = (TOLD.c.channel, channel) if channel else (TOLD.c.project, project)
    in_order = select(TOLD.c.project).where(column == value)
    connection.execute(in_order.order_by(TOLD.c.project, TOLD.c.channel).with_for_update()).all()
    connection.execute(delete(TOLD).where(column == value))


def _put(
    connection: Connection, channel: str, project: str, telling: Telling, now: datetime
) -> None:
    deployment = telling.facts.get("deployment")
    about = project, deployment if isinstance(deployment, int) else None
    put_message_about(connection, OutboxKind.NOTICE, channel, now, about, telling.as_json())


# ── As JSON ───────────────────────────────────────────────────────────────────────────────────


def _told_to_json(told: Told) -> dict[str, Any]:
    return {
        "troubles": [_trouble_to_json(one) for one in told.troubles.values()],
        "recent": [at.isoformat() for at in told.recent],
        "waiting": told.waiting.as_json() if told.waiting else None,
        "left_out": told.left_out,
    }


def _told_from_json(body: Mapping[str, Any]) -> Told:
    if not body:
        return Told()
    troubles = map(_trouble_from_json, body["troubles"])
    return Told(
        {one.happening.subject: one for one in troubles},
        tuple(map(datetime.fromisoformat, body["recent"])),
        Telling.of_json(body["waiting"]) if body["waiting"] else None,
        body["left_out"],
    )


def _trouble_to_json(trouble: Trouble) -> dict[str, Any]:
    happening = trouble.happening
    return {
        "subject": happening.subject,
        "event": happening.event,
        "facts": dict(happening.facts),
        "sameness": happening.sameness,
        "since": _text(trouble.since),
        "told_at": _text(trouble.told_at),
    }


def _trouble_from_json(body: Mapping[str, Any]) -> Trouble:
    happening = Happening(
        body["subject"], NoticeEvent(body["event"]), body["facts"], body["sameness"]
    )
    return Trouble(happening, datetime.fromisoformat(body["since"]), _instant(body["told_at"]))


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
