"""Signing in by what a proxy or an OpenID Connect provider says."""

import logging

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from reconciler.app import Application
from reconciler.app.elsewhere import CALLBACK
from reconciler.domain.errors import IdentityRefused, ReconcilerError
from reconciler.domain.openid import LASTS, Flow
from reconciler.pipeline.people.vouched import ProviderSignIn
from reconciler.web import cookies
from reconciler.web.auth import VOUCHED_FOR
from reconciler.web.own_pages import START
from reconciler.web.pages.rendering import bare_page
from reconciler.web.principal import Policy
from reconciler.web.problems import problem_of
from reconciler.web.routing import App, router_for
from reconciler.web.subjects import About
from reconciler.web.webhook_bounds import Rate

log = logging.getLogger("reconciler.web")

open_to_all = router_for(Policy.OPEN, "pages", About.NOTHING)

#: Ways to the provider that are gone at the same time: behind them nobody else waits.
_AT_ONCE = 4
_FLOW = "reconciler-flow"
_BY_PROXY, _AT_PROVIDER = "/sign-in/proxy", "/sign-in/oidc"


class Ways:
    """What all requests of people on their way to the provider share."""

    def __init__(self, application: Application) -> None:
        self.rate = Rate(application.clock.monotonic, at_once=20, each_second=1)
        self.threads = CapacityLimiter(_AT_ONCE)


@open_to_all.get(_BY_PROXY, include_in_schema=False)
async def sign_in_by_proxy(application: App, request: Request) -> Response:
    """Begin a session for whom the proxy names."""
    named = request.scope.get(VOUCHED_FOR)
    if named is None:
        # Not logged: any stranger may ask for this, as often as they like.
        return _shown(request, IdentityRefused("no proxy that is trusted says who you are"))
    there, browser = application.people.elsewhere, cookies.browser_of(request)

    def begin() -> Response:
        signed_in = there.vouched.begin(named, "proxy", there.proxy_role, browser)
        answer = RedirectResponse(START, 303)
        cookies.enter(request, answer, signed_in)
        return answer

    try:
        return await to_thread.run_sync(begin)
    except ReconcilerError as error:
        return _refusal(request, error)


@open_to_all.get(_AT_PROVIDER, include_in_schema=False)
async def sign_in_at_provider(application: App, request: Request) -> Response:
    """Send the browser to the provider."""
    provider, ways = _on_the_way(application, request)
    try:
        flow, url = await to_thread.run_sync(provider.begin, limiter=ways.threads)
    except ReconcilerError as error:
        return _refusal(request, error)
    answer = RedirectResponse(url, 303)
    # Not strict: the browser has to show it when the provider sends it back.
    cookies.keep(request, answer, _FLOW, flow.cookie, int(LASTS.total_seconds()), same_site="lax")
    return answer


@open_to_all.get(CALLBACK, include_in_schema=False)
async def come_back_from_provider(application: App, request: Request) -> Response:
    """Take what the provider sends the browser back with."""
    provider, ways = _on_the_way(application, request)
    flow = Flow.of_cookie(cookies.read(request.scope, _FLOW), application.clock.now())
    browser = cookies.browser_of(request)

    def finish() -> Response:
        code = _code(flow, request, application.config.oidc_issuer)
        assert flow is not None  # noqa: S101  _code refuses it
        signed_in = provider.finish(flow, code, browser)
        answer = _go_on(request)
        cookies.enter(request, answer, signed_in)
        return answer

    try:
        answer = await to_thread.run_sync(finish, limiter=ways.threads)
    except ReconcilerError as error:
        answer = _refusal(request, error)
    cookies.keep(request, answer, _FLOW, "", 0, same_site="lax")
    return answer


def ways_elsewhere(request: Request) -> list[tuple[str, str]]:
    """Return what else the page to sign in offers: path, and in which words."""
    ways = []
    if named := request.scope.get(VOUCHED_FOR):
        ways.append((_BY_PROXY, f"as {named}"))
    if provider := request.app.state.application.people.elsewhere.provider:
        ways.append((_AT_PROVIDER, f"with {provider.provider.name}"))
    return ways


def _on_the_way(application: Application, request: Request) -> tuple[ProviderSignIn, Ways]:
    provider = application.people.elsewhere.provider
    if provider is None:
        raise HTTPException(404)
    ways: Ways = request.app.state.ways
    ways.rate.take(request.client.host if request.client else "")
    return provider, ways


def _code(flow: Flow | None, request: Request, issuer: str) -> str:
    """Return the code, if this browser asked for it. Raises ``IdentityRefused``."""
    query = request.query_params
    if flow is None or not flow.is_ours(query.get("state", "")):
        raise IdentityRefused("this browser did not begin this, or more than 10 minutes ago")
    # Source: RFC 9207, section 2.4.
    if query.get("iss", issuer) != issuer:
        raise IdentityRefused("this comes from another provider")
    if error := query.get("error"):
        raise IdentityRefused(f"the provider let nobody in: {error[:100]}")
    return query.get("code", "")


def _go_on(request: Request) -> Response:
    """Have the browser go on by itself: what a redirect from elsewhere leads to gets no cookie."""
    answer = bare_page(request, "elsewhere.html", error=None)
    answer.headers["refresh"] = f"0; url={START}"
    return answer


def _refusal(request: Request, error: ReconcilerError) -> Response:
    log.warning("nobody was signed in: %s", error.message)
    return _shown(request, error)


def _shown(request: Request, error: ReconcilerError) -> Response:
    return bare_page(request, "elsewhere.html", problem_of(error).status, error=error)
