"""The live settings, as an operator changes them."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from reconciler.domain.problems import Problems
from reconciler.domain.remark import parse_remark
from reconciler.domain.settings import find_setting
from reconciler.domain.version import ANYTHING, Expected
from reconciler.ports import SettingRecord, SettingStore


def change_settings(
    store: SettingStore,
    values: Mapping[str, object],
    *,
    reason: str,
    actor: str,
    now: datetime,
    expected: Expected = ANYTHING,
) -> None:
    """Change live settings, all or none.

    Raises:
        InvalidInput: one key or value is wrong. ``SeveralInvalid``: more are.
        ChangedMeanwhile: they are not what was expected.
    """
    parsed = parse_settings(values)
    remark = parse_remark(reason, "reason")
    changed = [SettingRecord(key, setting, actor, now, remark) for key, setting in parsed.items()]
    if expected == ANYTHING:
        store.put_settings(changed)  # stopping everything never fails for another's change
        return
    seen = store.get_settings()
    expected.require(seen)
    store.put_settings(changed, seen)


def parse_settings(values: Mapping[str, object]) -> Mapping[str, bool | int]:
    """Return ``values`` if each is one of a live setting.

    Raises:
        InvalidInput: one key or value is wrong. ``SeveralInvalid``: more are.
    """
    problems = Problems()
    parsed: dict[str, bool | int] = {}
    for key, value in values.items():
        setting = problems.collect(partial(_parse, key, value))
        if setting is not None:
            parsed[key] = setting
    if problems.found:
        raise problems.error()
    return parsed


def _parse(key: str, value: object) -> bool | int:
    return find_setting(key).parse(value)
