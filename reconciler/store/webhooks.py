"""Webhooks, their sealed secrets, and the newest of what came in through them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from reconciler.domain.errors import AlreadyExists, NotFound
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.domain.webhook_signature import Verdict
from reconciler.ports import Delivery, WebhookRecord
from reconciler.store.codec import clean_text
from reconciler.store.family import SealedFamily
from reconciler.store.tables import DELIVERY, WEBHOOK
from reconciler.store.upsert import insert_if_absent

#: Deliveries kept of each webhook: of those that were verified, and of the others.
MOST_VERIFIED = 200
MOST_REFUSED = 50


class SqlWebhooks(SealedFamily):
    """``WebhookStore``."""

    def create_webhook(self, webhook: Webhook, secret: Secret) -> WebhookRecord:
        """Add it. Raises ``AlreadyExists``."""
        values = {
            "provider": webhook.provider,
            "created_at": webhook.created_at,
            "project": webhook.project,
            **self._sealed(webhook.name, secret),
            "sealed_previous": "",
            "previous_fingerprint": "",
            "verified": 0,
            "refused": 0,
        }
        with self._database.writing() as connection:
            if not insert_if_absent(connection, WEBHOOK, {"name": webhook.name}, values):
                remedy = f"`reconciler webhook rotate {webhook.name}` gives it another secret"
                raise AlreadyExists(f"there is a webhook {webhook.name!r} already", remedy)
        return self.get_webhook(webhook.name)

    def remove_webhook(self, name: WebhookName) -> None:
        """Delete it with its deliveries. Raises ``NotFound``."""
        with self._database.writing() as connection:
            if connection.execute(delete(WEBHOOK).where(WEBHOOK.c.name == name)).rowcount == 0:
                raise _no_such_webhook(name)

    def get_webhook(self, name: WebhookName) -> WebhookRecord:
        """Return it. Raises ``NotFound``."""
        with self._database.reading() as connection:
            return _record(_get(connection, name))

    def list_webhooks(self) -> Sequence[WebhookRecord]:
        """Return all, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(WEBHOOK)).all()
        return sorted((_record(row) for row in rows), key=lambda record: record.webhook.name)

    def find_webhook_secrets(self, name: WebhookName) -> tuple[Webhook, Sequence[Secret]] | None:
        """Return it and what it takes: the present secret, then a previous one; None: no such."""
        with self._database.reading() as connection:
            row = connection.execute(select(WEBHOOK).where(WEBHOOK.c.name == name)).one_or_none()
        if row is None:
            return None
        sealed = [one for one in (row.sealed_secret, row.sealed_previous) if one]
        return _webhook(row), [self._sealer.unseal(one, _context(name)) for one in sealed]

    def rotate_webhook_secret(self, name: WebhookName, secret: Secret, now: datetime) -> None:
        """Put ``secret`` in the present one's place, which becomes the previous one."""
        columns = {
            "sealed_previous": WEBHOOK.c.sealed_secret,
            "previous_fingerprint": WEBHOOK.c.fingerprint,
            "rotated_at": now,
            **self._sealed(name, secret),
        }
        self._change(name, columns)

    def drop_previous_webhook_secret(self, name: WebhookName) -> None:
        """Take the present secret alone from now on. Safe to repeat. Raises ``NotFound``."""
        self._change(name, {"sealed_previous": "", "previous_fingerprint": ""})

    def record_deliveries(
        self, deliveries: Sequence[Delivery], more_refused: Mapping[WebhookName, int]
    ) -> Sequence[int]:
        """Keep ``deliveries``, the newest of each webhook; return their numbers, 0 for none."""
        with self._database.writing() as connection:
            known = set(connection.execute(select(WEBHOOK.c.name)).scalars())
            kept = [one for one in deliveries if one.webhook in known]
            numbers = iter(_insert(connection, kept))
            for name in sorted(known & ({one.webhook for one in kept} | set(more_refused))):
                mine = [one for one in kept if one.webhook == name]
                _count(connection, name, mine, more_refused.get(WebhookName(name), 0))
                _drop_old(connection, name)
        return [next(numbers) if one.webhook in known else 0 for one in deliveries]

    def record_outcomes(self, outcomes: Mapping[int, Mapping[ProjectName, str]]) -> None:
        """Record what looking gave: number of a delivery → project → plain words."""
        with self._database.writing() as connection:
            for number in sorted(outcomes):
                led_to = connection.execute(
                    select(DELIVERY.c.led_to).where(DELIVERY.c.id == number).with_for_update()
                ).scalar_one_or_none()
                if led_to is not None:
                    connection.execute(
                        update(DELIVERY)
                        .where(DELIVERY.c.id == number)
                        .values(led_to={**led_to, **_cleaned(outcomes[number])})
                    )

    def list_deliveries(self, name: WebhookName, *, limit: int) -> Sequence[Delivery]:
        """Return newest first. Raises ``NotFound``."""
        newest = (
            select(DELIVERY)
            .where(DELIVERY.c.webhook == name)
            .order_by(DELIVERY.c.id.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            _get(connection, name)
            return [_delivery(row) for row in connection.execute(newest)]

    def _sealed(self, name: WebhookName, secret: Secret) -> dict[str, Any]:
        return {
            "sealed_secret": self._sealer.seal(secret, _context(name)),
            "fingerprint": self._sealer.fingerprint(secret),
        }

    def _change(self, name: WebhookName, columns: Mapping[str, Any]) -> None:
        with self._database.writing() as connection:
            statement = update(WEBHOOK).where(WEBHOOK.c.name == name).values(dict(columns))
            if connection.execute(statement).rowcount == 0:
                raise _no_such_webhook(name)


def _insert(connection: Connection, deliveries: Sequence[Delivery]) -> Sequence[int]:
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
        "led_to": _cleaned(one.led_to),
    }


def _count(connection: Connection, name: str, mine: Sequence[Delivery], more: int) -> None:
    verified = sum(one.verdict.verified for one in mine)
    last = max(mine, key=lambda one: one.at, default=None)
    newest = {"last_at": last.at, "last_verdict": last.verdict} if last else {}
    connection.execute(
        update(WEBHOOK)
        .where(WEBHOOK.c.name == name)
        .values(
            verified=WEBHOOK.c.verified + verified,
            refused=WEBHOOK.c.refused + len(mine) - verified + more,
            **newest,
        )
    )


def _drop_old(connection: Connection, name: str) -> None:
    for was_verified, most in ((True, MOST_VERIFIED), (False, MOST_REFUSED)):
        of_this_kind = (DELIVERY.c.webhook == name) & DELIVERY.c.was_verified.is_(was_verified)
        newest_too_old = (
            select(DELIVERY.c.id)
            .where(of_this_kind)
            .order_by(DELIVERY.c.id.desc())
            .offset(most)
            .limit(1)
            .scalar_subquery()
        )
        connection.execute(delete(DELIVERY).where(of_this_kind, DELIVERY.c.id <= newest_too_old))


def _get(connection: Connection, name: WebhookName) -> Row[Any]:
    row = connection.execute(select(WEBHOOK).where(WEBHOOK.c.name == name)).one_or_none()
    if row is None:
        raise _no_such_webhook(name)
    return row


def _webhook(row: Row[Any]) -> Webhook:
    project = ProjectName(row.project) if row.project else None
    return Webhook(WebhookName(row.name), Provider(row.provider), row.created_at, project)


def _record(row: Row[Any]) -> WebhookRecord:
    return WebhookRecord(
        webhook=_webhook(row),
        fingerprint=row.fingerprint,
        previous_fingerprint=row.previous_fingerprint,
        rotated_at=row.rotated_at,
        verified=row.verified,
        refused=row.refused,
        last_at=row.last_at,
        last_verdict=Verdict(row.last_verdict) if row.last_verdict else None,
    )


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
    )


def _cleaned(led_to: Mapping[ProjectName, str]) -> dict[str, str]:
    return {name: clean_text(text) for name, text in led_to.items()}


def _context(name: WebhookName) -> str:
    """Return the place that a ciphertext belongs to. A secret moves from one column to another."""
    return f"webhook|{name}|secret"


def _no_such_webhook(name: WebhookName) -> NotFound:
    return NotFound(f"there is no webhook {name!r}; `reconciler webhook list` shows all")
