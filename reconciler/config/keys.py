"""Every key of the configuration, as it is declared with the field or setting that it gives."""

from collections.abc import Iterator
from dataclasses import Field, fields, replace
from typing import Any

from reconciler.config.declaration import Config
from reconciler.config.setting import Key
from reconciler.config.values import live_setting
from reconciler.domain.settings import SETTINGS, Setting

_PREFIX = "RECONCILER_"


def keys() -> Iterator[tuple[str, Key]]:
    """Yield (field of ``Config``, its key); live settings have ``settings`` as their field."""
    for declared in fields(Config):
        if "key" in declared.metadata:
            yield declared.name, _complete(declared)
    for setting in SETTINGS.values():
        yield "settings", _key_of_setting(setting)


def _key_of_setting(setting: Setting) -> Key:
    return Key(
        f"settings.{setting.key}",
        _PREFIX + setting.key.upper(),
        live_setting(setting),
        setting.default,
        f"{setting.meaning[0].upper()}{setting.meaning[1:]}.",
        setting.minimum,
    )


def _complete(declared: "Field[Any]") -> Key:
    key: Key = declared.metadata["key"]
    name = key.name or declared.name + (f"_{key.kind.unit}" if key.kind.unit else "")
    return replace(key, name=name, variable=key.variable or _PREFIX + name.upper())
