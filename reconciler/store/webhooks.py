"""Webhooks, their sealed secrets, and the newest of what came in through them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, CursorResult, Row, Select, delete, select, update

from reconciler.domain.errors import AlreadyExists, NotFound, StoreCorrupt
from reconciler.domain.forge import Registration
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Matching, Provider, Webhook, WebhookName
from reconciler.domain.webhook_signature import Verdict
from reconciler.ports import NOTHING_ANNOUNCED, Delivery, Sealer, WebhookRecord
from reconciler.store.aftermath import Aftermath
from reconciler.store.announcements import record_announced
from reconciler.store.audit import Ledger
from reconciler.store.codec import registration_from_json, registration_to_json
from reconciler.store.database import Database
from reconciler.store.deliveries import cleaned, insert_deliveries
from reconciler.store.family import SealedFamily
from reconciler.store.sealed import WEBHOOK_PREVIOUS, WEBHOOK_SECRET
from reconciler.store.tables import DELIVERY, WEBHOOK
from reconciler.store.upsert import insert_if_absent

#: Deliveries kept of each webhook: of those that were verified, and of the others.
MOST_VERIFIED = 200
MOST_REFUSED = 50


class SqlWebhooks(SealedFamily):
    """``WebhookStore``."""

    def __init__(
        self, database: Database, ledger: Ledger, aftermath: Aftermath, sealer: Sealer
    ) -> None:
        super().__init__(database, ledger, aftermath, sealer)
        self._mark = object()

    @property
    def webhooks_mark(self) -> object:
        """Another one after each change of a webhook that was made through this store."""
        return self._mark

    def create_webhook(self, webhook: Webhook, secret: Secret) -> WebhookRecord:
        """Add it. Raises ``AlreadyExists``."""
        values = {
            "provider": webhook.provider,
            "created_at": webhook.created_at,
            "project": webhook.project,
            "matching": webhook.matching,
            "registry_host": webhook.registry,
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
            shown = {
                one: values[one]
                for one in ("provider", "project", "matching", "registry_host", "fingerprint")
            }
            self._ledger.append(connection, "webhook.create", _subject(webhook.name), None, shown)
        self._mark = object()
        return self.get_webhook(webhook.name)

    def remove_webhook(self, name: WebhookName) -> None:
        """Delete it with its deliveries. Raises ``NotFound``."""
        with self._database.writing() as connection:
            if connection.execute(delete(WEBHOOK).where(WEBHOOK.c.name == name)).rowcount == 0:
                raise _no_such_webhook(name)
            self._ledger.append(connection, "webhook.remove", _subject(name))
        self._mark = object()

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
        taken = [self._sealer.unseal(row.sealed_secret, WEBHOOK_SECRET.context(name))]
        if row.sealed_previous:
            taken.append(self._sealer.unseal(row.sealed_previous, WEBHOOK_PREVIOUS.context(name)))
        return _webhook(row), taken

    def rotate_webhook_secret(self, name: WebhookName, secret: Secret, now: datetime) -> None:
        """Put ``secret`` in the present one's place, which becomes the previous one."""
        columns = self._sealed(name, secret)
        told = {"fingerprint": columns["fingerprint"]}
        with self._database.writing() as connection:
            row = _lock(connection, name)
            previous = self._sealer.unseal(row.sealed_secret, WEBHOOK_SECRET.context(name))
            columns |= {
                "sealed_previous": self._sealer.seal(previous, WEBHOOK_PREVIOUS.context(name)),
                "previous_fingerprint": row.fingerprint,
                "rotated_at": now,
            }
            connection.execute(update(WEBHOOK).where(WEBHOOK.c.name == name).values(columns))
            self._ledger.append(connection, "webhook.rotate", _subject(name), None, told)
        self._mark = object()

    def drop_previous_webhook_secret(self, name: WebhookName) -> None:
        """Take the present secret alone from now on. Safe to repeat. Raises ``NotFound``."""
        columns = {"sealed_previous": "", "previous_fingerprint": ""}
        self._change(name, columns, "webhook.drop-previous-secret")

    def record_registration(self, name: WebhookName, registration: Registration | None) -> None:
        """Record at which forge it is registered; None: at none. Raises ``NotFound``."""
        told = registration_to_json(registration)
        action = "webhook.register" if registration else "webhook.deregister"
        self._change(name, {"registration": told}, action, told)

    def record_deliveries(
        self,
        deliveries: Sequence[Delivery],
        more_refused: Mapping[WebhookName, int],
        announced: Mapping[ProjectName, Delivery] = NOTHING_ANNOUNCED,
    ) -> Sequence[int]:
        """Keep ``deliveries``, the newest of each webhook; return their numbers, 0 for none."""
        with self._database.writing() as connection:
            known = _hold(connection, {one.webhook for one in deliveries} | set(more_refused))
            kept = [one for one in deliveries if one.webhook in known]
            numbers = iter(insert_deliveries(connection, kept))
            for name in sorted(known):
                mine = [one for one in kept if one.webhook == name and one.repeats is None]
                _count(connection, name, mine, more_refused.get(name, 0))
                _drop_old(connection, name)
            record_announced(connection, announced)
            for one in (one for one in kept if one.repeats is not None):
                told = {"delivery": one.repeats}
                subject = _subject(one.webhook)
                self._ledger.append(connection, "webhook.redeliver", subject, None, told)
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
                        .values(led_to={**led_to, **cleaned(outcomes[number])})
                    )

    def _sealed(self, name: WebhookName, secret: Secret) -> dict[str, Any]:
        return {
            "sealed_secret": self._sealer.seal(secret, WEBHOOK_SECRET.context(name)),
            "fingerprint": self._sealer.fingerprint(secret),
        }

    def _change(
        self,
        name: WebhookName,
        columns: Mapping[str, Any],
        action: str,
        told: Mapping[str, Any] | None = None,
    ) -> None:
        with self._database.writing() as connection:
            statement = update(WEBHOOK).where(WEBHOOK.c.name == name).values(dict(columns))
            if connection.execute(statement).rowcount == 0:
                raise _no_such_webhook(name)
            self._ledger.append(connection, action, _subject(name), None, told)
        self._mark = object()


def _hold(connection: Connection, names: Collection[WebhookName]) -> Collection[WebhookName]:
    """Return those of the webhooks that there are, and let nobody remove them before the end."""
    statement = (
        select(WEBHOOK.c.name)
        .where(WEBHOOK.c.name.in_(names))
        .order_by(WEBHOOK.c.name)
        .with_for_update(read=True, key_share=True)
    )
    return [WebhookName(name) for name in connection.execute(statement).scalars()]


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


def _subject(name: WebhookName) -> str:
    return f"webhook {name}"


def bind_previous_secrets(connection: Connection, sealer: Sealer) -> None:
    """Seal each previous secret for its own field: earlier versions left it the present one's."""
    for row in connection.execute(select(WEBHOOK).where(WEBHOOK.c.sealed_previous != "")).all():
        try:
            previous = sealer.unseal(row.sealed_previous, WEBHOOK_SECRET.context(row.name))
        except StoreCorrupt:
            continue  # of no use before either
        sealed = sealer.seal(previous, WEBHOOK_PREVIOUS.context(row.name))
        mine = WEBHOOK.c.name == row.name
        connection.execute(update(WEBHOOK).where(mine).values(sealed_previous=sealed))


def _get(connection: Connection, name: WebhookName) -> Row[Any]:
    return _found(connection.execute(_select(name)), name)


def _lock(connection: Connection, name: WebhookName) -> Row[Any]:
    return _found(connection.execute(_select(name).with_for_update()), name)


def _select(name: WebhookName) -> Select[Any]:
    return select(WEBHOOK).where(WEBHOOK.c.name == name)


def _found(rows: CursorResult[Any], name: WebhookName) -> Row[Any]:
    row = rows.one_or_none()
    if row is None:
        raise _no_such_webhook(name)
    return row


def _webhook(row: Row[Any]) -> Webhook:
    project = ProjectName(row.project) if row.project else None
    return Webhook(
        name=WebhookName(row.name),
        provider=Provider(row.provider),
        created_at=row.created_at,
        project=project,
        matching=Matching(row.matching),
        registry=row.registry_host,
    )


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
        registration=registration_from_json(row.registration),
    )


def _no_such_webhook(name: WebhookName) -> NotFound:
    return NotFound(f"there is no webhook {name!r}; `reconciler webhook list` shows all")
