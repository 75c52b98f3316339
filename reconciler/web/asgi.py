"""The web application: routes, guards and errors put together."""

from collections.abc import Sequence
from functools import cache

from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount

from reconciler import __version__
from reconciler.app import Application
from reconciler.config.values import Listen
from reconciler.web import (
    api_apps,
    api_audit,
    api_channels,
    api_clusters,
    api_deliveries,
    api_deploy_server,
    api_deployments,
    api_environments,
    api_events,
    api_fleet,
    api_freezes,
    api_hosts,
    api_me,
    api_metrics,
    api_people,
    api_plan,
    api_projects,
    api_promotions,
    api_receipts,
    api_registrations,
    api_releases,
    api_repositories,
    api_secrets,
    api_settings,
    api_stacks,
    api_status,
    api_targets,
    api_tokens,
    api_webhooks,
    problems,
    sign_in_elsewhere,
    webhook_arrivals,
)
from reconciler.web.access_log import AccessLog, path_templates
from reconciler.web.audit_checks import AuditChecks
from reconciler.web.auth import Authentication
from reconciler.web.compression import Compression
from reconciler.web.denials import Denials
from reconciler.web.feed import Feed
from reconciler.web.front import Front, rules_of
from reconciler.web.git_http import GitHttp, Receipts
from reconciler.web.happenings import Looker
from reconciler.web.limits import Limits, OwnHosts
from reconciler.web.log_stream import Followers
from reconciler.web.pages import routers as pages
from reconciler.web.pages.overview.rows import RowCache
from reconciler.web.pages.project.plans import KeptPlans
from reconciler.web.pages.refusals import Refusals
from reconciler.web.principal import Policy
from reconciler.web.routing import GuardedRoute
from reconciler.web.set_up_stream import SetUpStreams
from reconciler.web.subjects import About, names_its_subject

_DESCRIPTION = """\
Deploys what a git branch and its image tags say, verified, or keeps the last good version running.

Over TCP every route but health, readiness, version, this description and webhooks takes
`Authorization: Bearer <token>`, or the cookie of somebody who signed in, whose every change
carries `X-Form-Token`, too; over the unix socket the operator needs neither. Errors are
`application/problem+json` (RFC 9457) with a stable `code`. Times are RFC 3339 in UTC. Hosted
repositories are at `/git/NAME.git` for git itself, with a token as the password."""

_ROUTERS = (
    api_status.open_to_all,
    api_metrics.reading,
    *pages.ROUTERS,
    sign_in_elsewhere.open_to_all,
    webhook_arrivals.arriving,
    api_deploy_server.open_to_all,
    api_deploy_server.listing,
    api_deploy_server.reading,
    api_deploy_server.triggering,
)
_V1_ROUTERS: tuple[APIRouter, ...] = (
    api_projects.listing,
    api_projects.reading,
    api_projects.triggering,
    api_projects.changing,
    api_projects.declaring,
    api_freezes.triggering,
    api_secrets.reading,
    api_secrets.changing,
    api_deployments.listing,
    api_deployments.reading_all,
    api_deployments.reading,
    api_deployments.triggering,
    api_deployments.withdrawing,
    api_promotions.listing,
    api_promotions.reading,
    api_promotions.triggering,
    api_environments.reading,
    api_releases.listing,
    api_releases.reading,
    api_releases.reporting,
    api_plan.reading,
    api_hosts.reading,
    api_hosts.checking,
    api_hosts.changing,
    api_stacks.adopting,
    api_clusters.reading,
    api_clusters.checking,
    api_clusters.changing,
    api_targets.listing,
    api_targets.reading,
    api_targets.changing,
    api_targets.placing,
    api_repositories.listing,
    api_repositories.reading,
    api_repositories.changing,
    api_repositories.pushing,
    api_fleet.reading,
    api_fleet.changing,
    api_settings.reading,
    api_settings.changing,
    api_tokens.admitting,
    api_webhooks.listing,
    api_webhooks.reading,
    api_webhooks.declaring,
    api_webhooks.changing,
    api_webhooks.trying,
    api_people.admitting,
    api_me.open_to_all,
    api_me.known,
    api_audit.reading,
    api_deliveries.listing,
    api_receipts.listing,
    api_receipts.reading,
    api_receipts.checking,
    api_channels.reading,
    api_channels.changing,
    api_deliveries.reading,
    api_deliveries.triggering,
    api_registrations.changing,
    api_registrations.leaving,
    api_status.listing,
    api_events.listing,
    api_apps.reading,
    api_apps.triggering,
)
_ANYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  compared with, not bound to


@cache
def routes() -> Sequence[BaseRoute]:
    """Return all but git's, for any application; put together once, which takes long."""
    every = APIRouter(generate_unique_id_function=lambda route: route.name)
    for router in _ROUTERS:
        every.include_router(router)
    for router in _V1_ROUTERS:
        every.include_router(router, prefix="/api/v1")
    return tuple(every.routes)


def create_web(application: Application) -> FastAPI:
    """Return the web application for ``application``.

    Raises:
        UnguardedRoute: a route does not say what it asks of its caller.
    """
    app = FastAPI(
        title="reconciler",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        separate_input_output_schemas=False,
    )
    app.state.application = application
    app.state.followers = Followers()
    app.state.set_ups = SetUpStreams()
    app.state.feed = Feed(Looker(application))
    app.state.rows = RowCache()
    app.state.receipts = Receipts()
    app.state.kept_plans = KeptPlans()
    app.state.denials = Denials(application)
    app.state.ways = sign_in_elsewhere.Ways(application)
    app.state.arrivals = webhook_arrivals.Arrivals(application)
    app.state.audit_checks = AuditChecks(application)
    app.state.store_check = api_status.StoreCheck(application)
    app.router.routes.extend(routes())
    app.router.routes.append(
        Mount("/git", GitHttp(application, app.state.receipts, app.state.denials))
    )
    _add_layers(app, application)
    return app


def _add_layers(app: FastAPI, application: Application) -> None:
    """Put the layers around the routes; the one added last is asked first."""
    for kind, answer in problems.HANDLERS.items():
        app.add_exception_handler(kind, answer)
    app.add_middleware(Compression)
    app.add_middleware(
        Authentication,
        store=application.store,
        clock=application.clock,
        open_paths=open_paths(app.router.routes),
    )
    app.add_middleware(webhook_arrivals.Shortcut)
    config = application.config
    listen = config.listen or Listen("localhost", 0)
    hosts = OwnHosts((listen.host, *config.own_names), any_address=listen.host in _ANYWHERE)
    app.add_middleware(Front, rules=rules_of(config), hosts=hosts)
    app.add_middleware(Limits, hosts=hosts)
    app.add_middleware(Refusals)
    app.add_middleware(
        AccessLog, metering=application.meters, templates=path_templates(app.router.routes)
    )


class UnguardedRoute(Exception):
    """A route that everybody could call, because nobody said who may."""


def open_paths(routes: Sequence[BaseRoute]) -> frozenset[str]:
    """Return the paths that need no credential; all others do.

    Raises:
        UnguardedRoute: a route that is neither guarded nor git's, which guards itself.
    """
    found = set()
    for context in iter_route_contexts(routes):
        route = context.original_route
        if isinstance(route, Mount) and isinstance(route.app, GitHttp):
            continue
        if not isinstance(route, GuardedRoute):
            raise UnguardedRoute(f"{context.path} does not say what it asks of its caller")
        if not names_its_subject(route.about, context.path or ""):
            raise UnguardedRoute(
                f"{context.path} does not name the {route.about.value} it is about"
            )
        if (route.about is About.NOTHING) != (route.policy in {Policy.OPEN, Policy.KNOWN}):
            raise UnguardedRoute(f"{context.path} asks for {route.policy} on {route.about.value}")
        if route.policy is Policy.OPEN and context.path:
            found.add(context.path)
    return frozenset(found)
