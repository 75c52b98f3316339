"""The settings that change without a restart, and the master switch among them."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from reconciler.domain.gate import MasterSwitch
from reconciler.domain.settings import MASTER_SWITCH, SETTINGS
from reconciler.ports import SettingRecord
from reconciler.store.codec import clean_text
from reconciler.store.family import Family, require_same
from reconciler.store.tables import FACT, SETTING
from reconciler.store.upsert import insert_if_absent, upsert


class SqlSettings(Family):
    """``SettingStore``."""

    def get_settings(self) -> Mapping[str, SettingRecord]:
        """Return all, with their defaults where nobody changed them."""
        with self._database.reading() as connection:
            return _select_settings(connection)

    def put_settings(
        self, records: Iterable[SettingRecord], seen: Mapping[str, SettingRecord] | None = None
    ) -> None:
        """Record changes to those that were ``seen``, all or none."""
        changes = tuple(records)
        with self._database.writing() as connection:
            # The lock on all of them: most have no row before somebody changes them.
            upsert(connection, FACT, {"key": "settings_change"}, {"value": ""})
            known = _select_settings(connection)
            require_same(known, seen)
            for record in changes:
                upsert(connection, SETTING, {"key": record.key}, _columns(record))
            for record in changes:
                self._ledger.append(
                    connection,
                    "setting.change",
                    f"setting {record.key}",
                    {"value": known[record.key].value},
                    {"value": record.value, "reason": clean_text(record.reason) or None},
                )

    def seed_settings(self, values: Mapping[str, bool | int]) -> None:
        """Record the first value of each setting that has none yet."""
        with self._database.writing() as connection:
            for key, value in values.items():
                first = {"value": value, "changed_by": "", "changed_at": None, "reason": ""}
                insert_if_absent(connection, SETTING, {"key": key}, first)

    def get_switch(self) -> MasterSwitch:
        """Return the master switch (without the emergency file)."""
        with self._database.reading() as connection:
            return select_switch(connection)


def _columns(record: SettingRecord) -> dict[str, Any]:
    return {
        "value": record.value,
        "changed_by": clean_text(record.changed_by),
        "changed_at": record.changed_at,
        "reason": clean_text(record.reason),
    }


def select_switch(connection: Connection) -> MasterSwitch:
    """Return the master switch as it is recorded."""
    record = _select_settings(connection)[MASTER_SWITCH]
    return MasterSwitch(bool(record.value), record.changed_by, record.changed_at, record.reason)


def _select_settings(connection: Connection) -> Mapping[str, SettingRecord]:
    found = {key: SettingRecord(key, setting.default) for key, setting in SETTINGS.items()}
    for row in connection.execute(select(SETTING)):
        if row.key in found:
            found[row.key] = SettingRecord(
                row.key, row.value, row.changed_by, row.changed_at, row.reason
            )
    return found
