"""What runs under compose on a host: look at it, and make projects of it."""

from typing import Annotated

from fastapi import Path, Request

from reconciler.web.api_projects import show_changed
from reconciler.web.pagination import Paged
from reconciler.web.principal import Policy
from reconciler.web.routing import WITH_BODY, App, OnHost, errors, router_for
from reconciler.web.schemas.projects import ProjectBody
from reconciler.web.schemas.stacks import Adopt, StackBody, StackList
from reconciler.web.subjects import About

adopting = router_for(Policy.CONFIG, "hosts", About.DAEMON)

_Stack = Annotated[str, Path(description="Name of a compose project.", examples=["shop"])]


@adopting.get(
    "/hosts/{host}/stacks",
    summary="List what runs under compose on a host",
    responses=errors(404, 409, 422, 502),
)
def list_stacks(application: App, host: OnHost, page: Paged) -> StackList:
    """Whoever brought it up; what we deployed is among it, and stopped containers count.

    The host's engine is asked at that moment: 503 where there is no way to it, 409 where the host's
    key is not confirmed.
    """
    found = application.adoption.find(host)
    shown, following = page.by_name(found, lambda one: one.stack.name)
    return StackList(items=[StackBody.of(one) for one in shown], next=following)


@adopting.post(
    "/hosts/{host}/stacks/{stack}/adopt",
    status_code=201,
    summary="Make a project of what runs under compose",
    responses=errors(404, 409, 502, *WITH_BODY),
)
def adopt_stack(
    application: App, host: OnHost, stack: _Stack, request: Request, body: Adopt | None = None
) -> ProjectBody:
    """Its source is the folder that it was brought up from; its name is the stack's.

    Nothing that runs is touched, and auto-deploy is off. 409 where no project can be made of it, or
    there is one of that name; `detail` says why.
    """
    declared = application.adoption.adopt(host, stack, (body or Adopt()).exposed())
    return show_changed(application, declared.project.name, request, declared.notes)
