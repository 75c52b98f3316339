"""Live settings, and tokens of the API."""

from fastapi import Request

from reconciler.app import Application
from reconciler.domain.settings import MASTER_SWITCH, SETTINGS
from reconciler.pipeline.declaring.settings import change_settings
from reconciler.web.conditions import IfMatch, show_version
from reconciler.web.principal import Policy, actor_of, authorize, principal_of
from reconciler.web.routing import WITH_BODY, App, errors, router_for
from reconciler.web.schemas.daemon import (
    SettingBody,
    SettingList,
    SettingsPatch,
)
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "settings", About.DAEMON)
changing = router_for(Policy.TRIGGER, "settings", About.DAEMON)

_SCOPES = ("admin", "read")


@reading.get("/settings", summary="List the live settings")
def list_settings(application: App, request: Request) -> SettingList:
    """With who changed each last, and why."""
    return _settings(application, request)


@changing.patch("/settings", summary="Change live settings", responses=errors(*WITH_BODY))
def patch_settings(
    application: App, request: Request, body: SettingsPatch, expected: IfMatch
) -> SettingList:
    """All of them or none; they hold from the next tick on, without a restart.

    The master switch takes the scope trigger for the whole daemon, every other setting admin.
    """
    if body.values().keys() != {MASTER_SWITCH}:
        authorize(principal_of(request), Policy.ADMIN)
    change_settings(
        application.store,
        body.values(),
        reason=body.reason,
        actor=actor_of(request),
        now=application.clock.now(),
        expected=expected,
    )
    application.daemon.wake("promotions")
    return _settings(application, request)


def _settings(application: Application, request: Request) -> SettingList:
    records = application.store.get_settings()
    show_version(request, records)
    return SettingList(items=[SettingBody.of(records[key]) for key in SETTINGS])
