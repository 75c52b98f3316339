"""What came in through webhooks: one delivery a row, added and read."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, and_, cast, insert, or_, select

from reconciler.domain.errors import NotFound
from reconciler.domain.references import ProjectName
from reconciler.domain.webhook import WebhookName
from reconciler.domain.webhook_signature import Verdict
from reconciler.ports import Delivery, DeliveryFilter, DeliveryOutcome
from reconciler.store.codec import clean_text, hint_from_json, hint_to_json
from reconciler.store.family import Family
from reconciler.store.tables import DELIVERY, PROJECT, WEBHOOK

_LED_TO_NOTHING = cast(DELIVERY.c.led_to, Text) == "{}"
_OF_OUTCOME: dict[DeliveryOutcome, ColumnElement[bool]] = {
    DeliveryOutcome.REFUSED: DELIVERY.c.was_verified.is_(False),
    DeliveryOutcome.IGNORED: DELIVERY.c.was_verified & DELIVERY.c.hint.is_(None),
    DeliveryOutcome.UNFOLLOWED: DELIVERY.c.hint.is_not(None) & _LED_TO_NOTHING,
    DeliveryOutcome.FOLLOWED: ~_LED_TO_NOTHING,
}


class SqlDeliveries(Family):
    """The part of ``WebhookStore`` that reads deliveries."""

    def list_deliveries(self, wanted: DeliveryFilter, *, limit: int) -> Sequence[Delivery]:
        """Return those of all webhooks that are wanted, newest first."""
        newest = select(DELIVERY).order_by(DELIVERY.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            rows = connection.execute(newest.where(*_conditions(wanted)))
            return [_delivery(row) for row in rows]

    def get_delivery(self, name: WebhookName, number: int) -> Delivery:
        """Return one that came in through the webhook. Raises ``NotFound``."""
        statement = select(DELIVERY).where(DELIVERY.c.webhook == name, DELIVERY.c.id == number)
        with self._database.reading() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            kept = f"`reconciler webhook deliveries {name}` lists those that are"
            raise NotFound(f"no delivery {number} of a webhook {name!r} is kept; {kept}")
        return _delivery(row)


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        webhook=WebhookName(row.webhook),
        at=row.at,
        remote=row.remote,
        verdict=Verdict(row.verdict),
        event=row.event,
        delivery=row.delivery,
        note=row.note,
        led_to={ProjectName(name): text for name, text in row.led_to.items()},
        duplicate=row.duplicate,
        number=row.id,
        hint=hint_from_json(row.hint),
        repeats=row.repeats,
    )


def insert_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> Sequence[int]:
    """Add them with one statement, because they may come by the thousand; return their numbers."""
    if not deliveries:
        return ()
    seen = _seen(connection, deliveries)
    rows = []
    for one in deliveries:
        rows.append({**_columns(one), "duplicate": _named(one) in seen})
        seen |= {_named(one)} - {None}
    numbers = insert(DELIVERY).returning(DELIVERY.c.id, sort_by_parameter_order=True)
    return connection.execute(numbers, rows).scalars().all()


def _seen(connection: Connection, deliveries: Sequence[Delivery]) -> set[tuple[str, str] | None]:
    """Return those of ``deliveries`` that were kept before, as (webhook, id)."""
    ids = {named[1] for one in deliveries if (named := _named(one))}
    if not ids:
        return set()
    before = select(DELIVERY.c.webhook, DELIVERY.c.delivery).where(
        DELIVERY.c.delivery.in_(sorted(ids)), DELIVERY.c.was_verified
    )
    return {(row.webhook, row.delivery) for row in connection.execute(before)}


def _named(one: Delivery) -> tuple[str, str] | None:
    """Return by what it is known if it comes again; whoever knows no secret names nothing."""
    return (one.webhook, one.delivery) if one.delivery and one.verdict.verified else None


def _columns(one: Delivery) -> dict[str, Any]:
    return {
        "webhook": one.webhook,
        "at": one.at,
        "remote": clean_text(one.remote),
        "verdict": one.verdict,
        "was_verified": one.verdict.verified,
        "event": clean_text(one.event),
        "delivery": clean_text(one.delivery),
        "note": clean_text(one.note),
        "led_to": cleaned(one.led_to),
        "hint": hint_to_json(one.hint),
        "repeats": one.repeats,
    }


def cleaned(led_to: Mapping[ProjectName, str]) -> dict[str, str]:
    """Return what deliveries led to, as both databases take it."""
    return {name: clean_text(text) for name, text in led_to.items()}


def _concerns(projects: Collection[str]) -> ColumnElement[bool]:
    theirs = select(WEBHOOK.c.name).where(WEBHOOK.c.project.in_(projects))
    return or_(DELIVERY.c.webhook.in_(theirs), *map(_led_to, projects))


def _led_to(project: str) -> ColumnElement[bool]:
    """Return which led to it; what led to an earlier one of its name did not."""
    declared_at = select(PROJECT.c.created_at).where(PROJECT.c.name == project)
    named = DELIVERY.c.led_to[project].as_string().is_not(None)
    return and_(named, DELIVERY.c.at >= declared_at.scalar_subquery())


def _conditions(wanted: DeliveryFilter) -> list[ColumnElement[bool]]:
    found = []
    if wanted.webhook is not None:
        found.append(DELIVERY.c.webhook == wanted.webhook)
    if wanted.project is not None:
        found.append(DELIVERY.c.led_to[wanted.project].as_string().is_not(None))
    if wanted.outcome is not None:
        found.append(_OF_OUTCOME[wanted.outcome])
    if wanted.projects is not None:
        found.append(_concerns(wanted.projects))
    if wanted.before is not None:
        found.append(DELIVERY.c.id < wanted.before)
    return found
