"""Fleet files: plan, apply, export."""

from typing import Annotated

from fastapi import Query, Request

from reconciler.domain.document import parse_form
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import WITH_BODY, App, errors, router_for
from reconciler.web.schemas.fleet import (
    FleetAppliedBody,
    FleetExportBody,
    FleetPlanBody,
    FleetText,
)
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "fleet", About.DAEMON)
changing = router_for(Policy.ADMIN, "fleet", About.DAEMON)

_Prune = Annotated[
    bool,
    Query(
        description="Take away what the file does not name, of the sections that it has.",
        examples=[False],
    ),
]


@reading.get("/fleet", summary="Write a fleet file of what is declared", responses=errors(422))
def export_fleet(
    application: App,
    form: Annotated[
        str, Query(alias="format", description="toml, yaml or json.", examples=["toml"])
    ] = "toml",
) -> FleetExportBody:
    """Projects, targets, hosts and settings; applied here, it changes nothing. No secrets."""
    parsed = parse_form(form)
    return FleetExportBody(format=parsed, text=application.fleet.fleets.export(parsed))


@changing.post(
    "/fleet/plan", summary="Tell what a fleet file would change", responses=errors(*WITH_BODY)
)
def plan_fleet(application: App, body: FleetText, prune: _Prune = False) -> FleetPlanBody:
    """Nothing is changed. 422 names all that is wrong with the file, by its keys."""
    form = parse_form(body.format)
    return FleetPlanBody.of(application.fleet.fleets.plan(_bytes(body), form, prune=prune))


@changing.post("/fleet/apply", summary="Apply a fleet file", responses=errors(409, *WITH_BODY))
def apply_fleet(
    application: App, request: Request, body: FleetText, prune: _Prune = False
) -> FleetAppliedBody:
    """Applied twice, the second time changes nothing. 422: nothing was changed.

    What it does not name is left alone unless `prune` says otherwise. 409: somebody changed an
    entry at this moment; apply it again.
    """
    applied = application.fleet.apply(
        _bytes(body), parse_form(body.format), actor=actor_of(request), prune=prune
    )
    return FleetAppliedBody.of_applied(applied)


def _bytes(body: FleetText) -> bytes:
    # A lone half of a surrogate pair is no text; the reader says so.
    return body.text.encode(errors="surrogatepass")
