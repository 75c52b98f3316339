"""The live settings as people read them: in words, with unit, limits, and what each costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.settings import IMAGE_WATCH_INTERVAL, MASTER_SWITCH, POLL_INTERVAL, SETTINGS
from reconciler.ports import SettingRecord
from reconciler.web.pages.frame import Frame
from reconciler.web.pages.moments import count
from reconciler.web.pages.registries.rows import RegistryRow

#: Setting → its name in words; the unit comes after its field.
NAMES: Mapping[str, str] = {
    MASTER_SWITCH: "Automatic deployment",
    POLL_INTERVAL: "Look at git every",
    IMAGE_WATCH_INTERVAL: "Look at registries every",
}
#: Those that are numbers → of what.
UNITS: Mapping[str, str] = {POLL_INTERVAL: "seconds", IMAGE_WATCH_INTERVAL: "seconds"}

_HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting with its field."""

    key: str
    name: str
    unit: str
    shown: str  #: in its field: what is in force, or what was typed and refused
    in_force: int
    hint: str
    wrong: str  #: why what was typed is refused
    by: str  #: empty: it is the default
    at: datetime | None
    reason: str


def setting_rows(
    frame: Frame,
    records: Mapping[str, SettingRecord],
    registries: Sequence[RegistryRow],
    typed: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
) -> list[SettingRow]:
    """Return a row for each that is a number; the master switch has a place of its own."""
    given, refused = typed or {}, wrong or {}
    costs = _costs(frame, records, registries)
    return [
        SettingRow(
            key=key,
            name=NAMES[key],
            unit=unit,
            shown=given.get(key, str(records[key].value)),
            in_force=records[key].value,
            hint=f"Default {SETTINGS[key].default}, minimum {SETTINGS[key].minimum}. {costs[key]}",
            wrong=refused.get(key, ""),
            by=records[key].changed_by,
            at=records[key].changed_at,
            reason=records[key].reason,
        )
        for key, unit in UNITS.items()
    ]


def in_force(record: SettingRecord) -> str:
    """Return what holds now, in words: ``look at git every 60 seconds``."""
    name = NAMES[record.key]
    return f"{name[0].lower()}{name[1:]} {record.value} {UNITS[record.key]}"


def cost(things: int, what: str, requests: float) -> str:
    """Return what looking costs: ``31 images: about 186 requests an hour.``."""
    if not things:
        return f"No {what} is looked at now."
    asked = round(requests)
    named = f"{count(things)} {what}{'' if things == 1 else 's'}"
    return f"{named}: about {count(asked)} request{'' if asked == 1 else 's'} an hour."


def _costs(
    frame: Frame, records: Mapping[str, SettingRecord], registries: Sequence[RegistryRow]
) -> Mapping[str, str]:
    sources = sum(_is_polled(one.project) for one in frame.summaries)
    polled = sources * _HOUR_SECONDS / int(records[POLL_INTERVAL].value)
    images = sum(row.names for row in registries)
    return {
        POLL_INTERVAL: cost(sources, "source", polled),
        IMAGE_WATCH_INTERVAL: cost(
            images, "image", sum(row.requests_an_hour for row in registries)
        ),
    }


def _is_polled(project: Project) -> bool:
    follows = project.auto_deploy and project.follows_its_source
    return follows and isinstance(project.source, ExternalSource)
