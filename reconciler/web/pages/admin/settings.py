"""The live settings: one form, refused at the field, with what is in force still said."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import ChangedMeanwhile, InvalidInput, ReconcilerError, SeveralInvalid
from reconciler.domain.settings import MASTER_SWITCH, SETTINGS
from reconciler.domain.version import version_of
from reconciler.pipeline.declaring.settings import change_settings
from reconciler.ports import SettingRecord
from reconciler.web.pages.admin.setting_rows import UNITS, in_force, setting_rows
from reconciler.web.pages.forms import Fields, expected_by, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.registries.rows import rows_of_registries
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import App, router_for
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.DAEMON)
changing = router_for(Policy.ADMIN, "pages", About.DAEMON)

_PATH = "/admin/settings"


@reading.get(_PATH, include_in_schema=False)
def show_settings(
    frame: Framed, did: str = "", of: Annotated[tuple[str, ...], Query()] = ()
) -> HTMLResponse:
    """All of them, with what each costs, and who set it."""
    records = frame.application.store.get_settings()
    known = [in_force(records[key]) for key in of if did == "saved" and key in UNITS]
    return _page(frame, saved=known)


@changing.post(_PATH, include_in_schema=False)
def save_settings(application: App, request: Request, frame: Framed, fields: Fields) -> Response:
    """Save those that differ, all or none, if nobody changed any since the form was shown."""
    records = application.store.get_settings()
    given = {key: _number(fields[key]) for key in UNITS if key in fields}
    changed = {key: value for key, value in given.items() if value != records[key].value}
    try:
        change_settings(
            application.store,
            changed,
            reason=fields.get("reason", ""),
            actor=actor_of(request),
            now=application.clock.now(),
            expected=expected_by(fields),
        )
    except ReconcilerError as error:
        return _page(frame, error, fields)
    return go(f"{_PATH}?did=saved" + "".join(f"&of={key}" for key in changed))


def _number(text: str) -> int | str:
    """Return the number that ``text`` is; else as it stands, for the setting to refuse."""
    plain = text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 20
    return int(text) if plain else text


def _page(
    frame: Frame,
    error: ReconcilerError | None = None,
    typed: Mapping[str, str] | None = None,
    *,
    saved: list[str] | None = None,
) -> HTMLResponse:
    records = frame.application.store.get_settings()
    return page(
        frame,
        "admin/settings.html",
        status_of(error),
        settings=setting_rows(
            frame, records, rows_of_registries(frame), typed, _wrong(error, records)
        ),
        guard=version_of(records),
        reason=(typed or {}).get("reason", ""),
        error=error,
        changed_meanwhile=isinstance(error, ChangedMeanwhile),
        saved=saved or [],
    )


def _wrong(
    error: ReconcilerError | None, records: Mapping[str, SettingRecord]
) -> Mapping[str, str]:
    """Return setting → why its value was refused, and what is in force instead."""
    found: tuple[InvalidInput, ...] = ()
    if isinstance(error, SeveralInvalid):
        found = error.problems
    elif isinstance(error, InvalidInput):
        found = (error,)
    return {
        one.field: f"{one.message.removeprefix(f'{one.field}: ')}. Nothing was saved; "
        f"{records[one.field].value} is still in force."
        for one in found
        if one.field in SETTINGS and one.field != MASTER_SWITCH
    }
