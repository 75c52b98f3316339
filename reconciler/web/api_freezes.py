"""Freezes: a project stays as it is until a time, or until somebody lifts it."""

from fastapi import Request

from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import WITH_BODY, App, Name, errors, router_for
from reconciler.web.schemas.rules import FreezeBody, NewFreeze, ThawedBody
from reconciler.web.subjects import About

triggering = router_for(Policy.TRIGGER, "projects", About.PROJECT)


@triggering.put(
    "/projects/{name}/freeze", summary="Freeze a project", responses=errors(404, *WITH_BODY)
)
def freeze_project(application: App, name: Name, request: Request, body: NewFreeze) -> FreezeBody:
    """Nothing deploys by itself, and nobody without a reason of their own; rollbacks go.

    What is under way goes on to its end. A freeze that there is gives way to this one.
    """
    now = application.clock.now()
    freeze = body.freeze(now, actor_of(request))
    application.store.set_freeze(name, freeze)
    return FreezeBody(by=freeze.by, at=freeze.at, reason=freeze.reason, until=freeze.until)


@triggering.delete(
    "/projects/{name}/freeze", summary="Lift a project's freeze", responses=errors(404, 422)
)
def thaw_project(application: App, name: Name) -> ThawedBody:
    """What moved meanwhile is looked at now. Safe to repeat."""
    thawed = application.store.lift_freeze(name)
    application.daemon.look_now(name)
    return ThawedBody(thawed=thawed)
