"""Who may do what (T46): every route, for everybody, against a table that people can read."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from starlette.routing import Mount

from reconciler.app import Application
from reconciler.domain.access import AccessToken, Grants, Person, Role, Scope
from reconciler.domain.references import CommitSha, Digest, ProjectName
from reconciler.domain.release import Build, ReleaseReport
from reconciler.domain.webhook import WebhookName
from reconciler.domain.webhook_payload import PushHint
from reconciler.domain.webhook_signature import Verdict
from reconciler.pipeline.declaring.host_draft import HostDraft
from reconciler.pipeline.declaring.project_draft import ProjectDraft
from reconciler.pipeline.declaring.projects import declare_project, remove_project
from reconciler.pipeline.declaring.target_draft import TargetDraft
from reconciler.pipeline.declaring.webhooks import WebhookDraft, declare_webhook
from reconciler.pipeline.requests import Wanted
from reconciler.ports import AnswerKey, AuditQuery, Delivery
from reconciler.web.asgi import create_web
from reconciler.web.auth import make_token
from reconciler.web.schemas.projects import ProjectPatch
from reconciler.web.schemas.targets import TargetPatch
from tests.parts.asgi import Answered, Caller
from tests.parts.found_stacks import write_containers
from tests.parts.web_daemon import open_application

#: The scope that is needed, and on what: the ``project`` in the path (or whose deployment, release
#: or webhook it is), the whole ``daemon``, or ``some`` project, where the answer shows only what it
#: holds on. ``open`` is open to all; ``signed`` asks for a signature and no token, ``entry`` for a
#: password, a set-up token or what others vouch for; ``known`` takes anybody whom we know.
TABLE = """
open    -        GET     /docs
open    -        GET     /openapi.json
open    -        GET     /api/health
open    -        GET     /api/healthz
open    -        GET     /api/ready
open    -        GET     /api/version
open    -        GET     /sign-in
open    -        GET     /static/icon.svg
open    -        GET     /static/style.css
open    -        GET     /static/page.js
open    -        GET     /static/log.js
open    -        GET     /static/rows.js
open    -        GET     /static/icon-needs-you.svg
entry   -        POST    /sign-in
entry   -        GET     /sign-in/proxy
entry   -        GET     /sign-in/oidc
entry   -        GET     /sign-in/oidc/callback
open    -        GET     /set-up
entry   -        POST    /set-up
entry   -        POST    /api/v1/sign-in
entry   -        POST    /api/v1/set-up
known   -        GET     /
known   -        GET     /me
known   -        POST    /me/reader
known   -        POST    /me/password
known   -        POST    /me/sessions/{session}/end
known   -        GET     /keys
config  daemon   GET     /new
config  daemon   POST    /new
config  daemon   GET     /new/project/{name}
config  daemon   POST    /new/project/{name}/source
config  daemon   POST    /new/project/{name}/runs
config  daemon   POST    /new/project/{name}/where
config  daemon   POST    /new/project/{name}/begin
config  daemon   GET     /new/adopt
config  daemon   POST    /new/adopt
known   -        POST    /sign-out
known   -        POST    /api/v1/sign-out
known   -        GET     /api/v1/me
known   -        PUT     /api/v1/me/password
known   -        GET     /api/v1/me/sessions
known   -        DELETE  /api/v1/me/sessions
known   -        DELETE  /api/v1/me/sessions/{session}
signed  -        POST    /webhook/{name}
signed  -        POST    /webhook/{name}/{key}

push    project  GET     /git/{name}.git/info/refs?service=git-upload-pack
push    project  GET     /git/{name}.git/info/refs?service=git-receive-pack
push    project  POST    /git/{name}.git/git-upload-pack
push    project  POST    /git/{name}.git/git-receive-pack

trigger daemon   GET     /switch
trigger daemon   POST    /switch
config  project  GET     /projects/{name}/auto
config  project  POST    /projects/{name}/auto
trigger project  GET     /projects/{name}/deploy
trigger project  POST    /projects/{name}/deploy
trigger project  GET     /projects/{name}/rollback
trigger project  POST    /projects/{name}/rollback
trigger project  GET     /projects/{name}/promote
trigger project  POST    /projects/{name}/promote
trigger project  GET     /projects/{name}/approve
trigger project  POST    /projects/{name}/approve
trigger project  GET     /projects/{name}/reject
trigger project  POST    /projects/{name}/reject
trigger project  GET     /projects/{name}/pause
trigger project  POST    /projects/{name}/pause
trigger project  GET     /projects/{name}/quarantine
trigger project  GET     /projects/{name}/quarantine/{fingerprint}
trigger project  POST    /projects/{name}/quarantine
trigger project  POST    /projects/{name}/look
trigger project  GET     /deployments/{id}/cancel
trigger project  POST    /deployments/{id}/cancel
read    project  GET     /projects/{name}
read    project  GET     /projects/{name}/history
read    project  GET     /projects/{name}/images
read    project  GET     /projects/{name}/deliveries
trigger project  POST    /projects/{name}/deliveries/test
read    project  GET     /projects/{name}/settings
read    project  GET     /projects/{name}/settings/{section}
config  project  POST    /projects/{name}/settings/{section}
config  daemon   GET     /projects/{name}/settings/new-target
config  daemon   POST    /projects/{name}/settings/new-target
config  project  GET     /projects/{name}/settings/targets/{host}
config  project  POST    /projects/{name}/settings/targets/{host}
config  daemon   GET     /projects/{name}/settings/targets/{host}/remove
config  daemon   POST    /projects/{name}/settings/targets/{host}/remove
secrets project  GET     /projects/{name}/settings/new-secret
secrets project  POST    /projects/{name}/settings/new-secret
secrets project  GET     /projects/{name}/settings/secrets/{secret}
secrets project  POST    /projects/{name}/settings/secrets/{secret}
secrets project  GET     /projects/{name}/settings/secrets/{secret}/remove
secrets project  POST    /projects/{name}/settings/secrets/{secret}/remove
config  project  GET     /projects/{name}/settings/new-webhook
config  project  POST    /projects/{name}/settings/new-webhook
config  project  GET     /projects/{name}/settings/register-webhook
config  project  POST    /projects/{name}/settings/register-webhook
config  project  GET     /projects/{name}/settings/webhooks/{webhook}/rotate
config  project  POST    /projects/{name}/settings/webhooks/{webhook}/rotate
config  project  GET     /projects/{name}/settings/webhooks/{webhook}/drop-previous
config  project  POST    /projects/{name}/settings/webhooks/{webhook}/drop-previous
config  project  GET     /projects/{name}/settings/webhooks/{webhook}/deregister
config  project  POST    /projects/{name}/settings/webhooks/{webhook}/deregister
config  project  GET     /projects/{name}/settings/webhooks/{webhook}/remove
config  project  POST    /projects/{name}/settings/webhooks/{webhook}/remove
config  daemon   GET     /projects/{name}/remove
config  daemon   POST    /projects/{name}/remove
read    some     GET     /deliveries
read    project  GET     /webhooks/{name}/deliveries/{number}
trigger project  POST    /webhooks/{name}/deliveries/{number}/redeliver
read    daemon   GET     /hosts
read    daemon   GET     /hosts/{host}
read    daemon   GET     /hosts/{host}/key
trigger daemon   POST    /hosts/{host}/check
admin   daemon   POST    /hosts/{host}
admin   daemon   POST    /hosts/{host}/ask
admin   daemon   POST    /hosts/{host}/key
admin   daemon   POST    /hosts/{host}/credentials
admin   daemon   GET     /hosts/{host}/remove
admin   daemon   POST    /hosts/{host}/remove
admin   daemon   GET     /new/host
admin   daemon   POST    /new/host
read    daemon   GET     /clusters/{cluster}
trigger daemon   POST    /clusters/{cluster}/check
admin   daemon   POST    /clusters/{cluster}
admin   daemon   POST    /clusters/{cluster}/kubeconfig
admin   daemon   GET     /clusters/{cluster}/remove
admin   daemon   POST    /clusters/{cluster}/remove
admin   daemon   GET     /new/cluster
admin   daemon   POST    /new/cluster
read    daemon   GET     /registries
read    daemon   GET     /registries/{registry}
trigger daemon   POST    /registries/{registry}/ask
secrets project  GET     /projects/{name}/registries/{registry}
secrets project  POST    /projects/{name}/registries/{registry}

read    daemon   GET     /admin
read    daemon   GET     /admin/settings
admin   daemon   POST    /admin/settings
admin   daemon   GET     /admin/people
admin   daemon   POST    /admin/people
admin   daemon   GET     /admin/people/{person}
admin   daemon   POST    /admin/people/{person}/role
admin   daemon   POST    /admin/people/{person}/project-role
admin   daemon   POST    /admin/people/{person}/password
admin   daemon   POST    /admin/people/{person}/sessions/{session}/end
admin   daemon   POST    /admin/people/{person}/sessions/end
admin   daemon   GET     /admin/people/{person}/block
admin   daemon   POST    /admin/people/{person}/block
admin   daemon   GET     /admin/people/{person}/remove
admin   daemon   POST    /admin/people/{person}/remove
admin   daemon   GET     /admin/tokens
admin   daemon   POST    /admin/tokens
admin   daemon   GET     /admin/tokens/{token}/revoke
admin   daemon   POST    /admin/tokens/{token}/revoke
read    daemon   GET     /admin/notifications
admin   daemon   POST    /admin/notifications
admin   daemon   POST    /admin/notifications/{channel}/test
admin   daemon   GET     /admin/notifications/{channel}/remove
admin   daemon   POST    /admin/notifications/{channel}/remove
admin   daemon   GET     /admin/backup
admin   daemon   GET     /audit
admin   daemon   POST    /audit/check

read    some     GET     /api/targets
read    project  GET     /api/targets/{app}
read    some     GET     /api/logs
read    project  GET     /api/logs/{app}
read    project  GET     /api/status/{app}
trigger project  POST    /api/deploy/{app}

read    some     GET     /api/v1/status
read    some     GET     /api/v1/events
read    some     GET     /api/v1/reasons
read    some     GET     /api/v1/projects
read    project  GET     /api/v1/projects/{name}
read    project  GET     /api/v1/projects/{name}/why
read    project  GET     /api/v1/projects/{name}/plan
read    project  GET     /api/v1/projects/{name}/triggers
read    project  GET     /api/v1/projects/{name}/images
read    project  GET     /api/v1/projects/{name}/deployments
read    project  GET     /api/v1/projects/{name}/promotions
read    project  GET     /api/v1/projects/{name}/promotions/{id}
read    project  GET     /api/v1/projects/{name}/environments
read    project  GET     /api/v1/projects/{name}/environments/releases
read    project  GET     /api/v1/projects/{name}/secrets
read    project  GET     /api/v1/projects/{name}/targets
read    project  GET     /api/v1/projects/{name}/targets/{host}
read    project  GET     /api/v1/projects/{name}/targets/{host}/status
config  daemon   POST    /api/v1/projects
config  project  PATCH   /api/v1/projects/{name}
config  daemon   DELETE  /api/v1/projects/{name}
trigger project  DELETE  /api/v1/projects/{name}/quarantine
trigger project  PUT     /api/v1/projects/{name}/freeze
trigger project  DELETE  /api/v1/projects/{name}/freeze
trigger project  POST    /api/v1/projects/{name}/look
trigger project  POST    /api/v1/projects/{name}/deployments
trigger project  POST    /api/v1/projects/{name}/approve
trigger project  POST    /api/v1/projects/{name}/rollback
trigger project  POST    /api/v1/projects/{name}/promotions
trigger project  POST    /api/v1/projects/{name}/promotions/{id}/approve
trigger project  POST    /api/v1/projects/{name}/promotions/{id}/reject
secrets project  PUT     /api/v1/projects/{name}/secrets/{secret}
secrets project  DELETE  /api/v1/projects/{name}/secrets/{secret}
config  daemon   POST    /api/v1/projects/{name}/targets
config  project  PATCH   /api/v1/projects/{name}/targets/{host}
config  daemon   DELETE  /api/v1/projects/{name}/targets/{host}
config  daemon   POST    /api/v1/projects/{name}/targets/{host}/setup
config  daemon   POST    /api/v1/projects/{name}/move
config  project  POST    /api/v1/projects/{name}/webhook

read    some     GET     /api/v1/deployments
read    some     GET     /deployments
read    project  GET     /deployments/{id}
read    project  GET     /deployments/{id}/log
read    project  GET     /deployments/{id}/log/find
read    project  GET     /deployments/{id}/log.txt
read    project  GET     /deployments/{id}/receipt.json
read    project  GET     /api/v1/deployments/{id}
read    project  GET     /api/v1/deployments/{id}/log
read    project  GET     /api/v1/deployments/{id}/receipt
trigger project  POST    /api/v1/deployments/{id}/withdraw
read    some     GET     /api/v1/receipts
read    some     GET     /api/v1/receipts/key
read    some     GET     /api/v1/receipts/export
read    daemon   GET     /api/v1/receipts/check
read    some     GET     /api/v1/promotions
read    some     GET     /api/v1/releases
read    project  GET     /api/v1/releases/{id}
trigger project  POST    /api/v1/releases
read    some     GET     /api/v1/targets
read    some     GET     /api/v1/targets/status
read    project  GET     /api/v1/apps/{app}/progress
read    project  GET     /api/v1/apps/{app}/runtime-status
trigger project  POST    /api/v1/apps/{app}/deploy

read    some     GET     /api/v1/repositories
read    project  GET     /api/v1/repositories/{name}
config  daemon   POST    /api/v1/repositories
config  daemon   DELETE  /api/v1/repositories/{name}
admin   daemon   POST    /api/v1/repositories/{name}/tokens
push    project  POST    /api/v1/repositories/{name}/received

read    some     GET     /api/v1/webhooks
config  project  POST    /api/v1/webhooks
read    project  GET     /api/v1/webhooks/{name}
config  project  DELETE  /api/v1/webhooks/{name}
config  project  POST    /api/v1/webhooks/{name}/rotate
config  project  DELETE  /api/v1/webhooks/{name}/previous-secret
config  project  POST    /api/v1/webhooks/{name}/deregister
trigger project  POST    /api/v1/webhooks/{name}/test
read    project  GET     /api/v1/webhooks/{name}/deliveries
read    project  GET     /api/v1/webhooks/{name}/deliveries/{number}
trigger project  POST    /api/v1/webhooks/{name}/deliveries/{number}/redeliver
read    some     GET     /api/v1/deliveries

read    daemon   GET     /metrics
read    daemon   GET     /api/v1/channels
read    daemon   GET     /api/v1/channels/{channel}
read    daemon   GET     /api/v1/channels/{channel}/messages
admin   daemon   POST    /api/v1/channels
admin   daemon   PATCH   /api/v1/channels/{channel}
admin   daemon   DELETE  /api/v1/channels/{channel}
admin   daemon   POST    /api/v1/channels/{channel}/test
read    daemon   GET     /api/v1/hosts
read    daemon   GET     /api/v1/hosts/{host}
read    daemon   GET     /api/v1/hosts/{host}/offered-keys
trigger daemon   POST    /api/v1/hosts/{host}/check
admin   daemon   POST    /api/v1/hosts
admin   daemon   PATCH   /api/v1/hosts/{host}
admin   daemon   DELETE  /api/v1/hosts/{host}
admin   daemon   PUT     /api/v1/hosts/{host}/key
admin   daemon   POST    /api/v1/hosts/{host}/trust
config  daemon   GET     /api/v1/hosts/{host}/stacks
config  daemon   POST    /api/v1/hosts/{host}/stacks/{stack}/adopt
read    daemon   GET     /api/v1/clusters
read    daemon   GET     /api/v1/clusters/{cluster}
trigger daemon   POST    /api/v1/clusters/{cluster}/check
admin   daemon   POST    /api/v1/clusters
admin   daemon   PATCH   /api/v1/clusters/{cluster}
admin   daemon   DELETE  /api/v1/clusters/{cluster}
admin   daemon   PUT     /api/v1/clusters/{cluster}/kubeconfig
read    daemon   GET     /api/v1/fleet
admin   daemon   POST    /api/v1/fleet/plan
admin   daemon   POST    /api/v1/fleet/apply
read    daemon   GET     /api/v1/settings
trigger daemon   PATCH   /api/v1/settings
admin   daemon   GET     /api/v1/tokens
admin   daemon   POST    /api/v1/tokens
admin   daemon   DELETE  /api/v1/tokens/{token}
admin   daemon   GET     /api/v1/people
admin   daemon   POST    /api/v1/people
admin   daemon   GET     /api/v1/people/{person}
admin   daemon   PATCH   /api/v1/people/{person}
admin   daemon   PUT     /api/v1/people/{person}/password
admin   daemon   DELETE  /api/v1/people/{person}
admin   daemon   GET     /api/v1/sessions
admin   daemon   DELETE  /api/v1/people/{person}/sessions/{session}
admin   daemon   DELETE  /api/v1/people/{person}/sessions
admin   daemon   POST    /api/v1/set-up-token
admin   daemon   GET     /api/v1/audit
admin   daemon   GET     /api/v1/audit/check
admin   daemon   GET     /api/v1/audit/export
"""

#: Whose everything is that the table's paths name, and somebody else's.
ZEBRA, YAK = ProjectName("zebra"), ProjectName("yak")
EVERYBODYS = WebhookName("forge")
NOW = datetime.now(UTC)
COMMIT = CommitSha("ab" * 20)
DIGEST = Digest(f"sha256:{'cd' * 32}")
#: Bodies of routes that are told in their bodies what they are about, or how far they reach.
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/releases": {
        "project": ZEBRA,
        "commit": "ab" * 20,
        "build": {"result": "success", "finished_at": "2026-01-01T00:00:00Z"},
        "image": "registry.example/zebra:1",
        "digest": f"sha256:{'cd' * 32}",
    },
    "/api/v1/webhooks": {"name": "zebra", "provider": "forgejo", "project": ZEBRA},
    "/api/v1/settings": {"auto_deploy_master_enabled": True},
}
#: Lists that tell nothing of any project; nor do those of receipts, where nothing has ended, and
#: of promotions, where nothing waits.
SAME_FOR_ALL = {
    *("/api/v1/reasons", "/api/v1/promotions"),
    *(f"/api/v1/receipts{part}" for part in ("", "/key", "/export")),
}
#: Names no version: whatever changes something stops behind its guard, at 412 or 422.
NEVER = {"if_match": '"never.0"'}

Told = TypeVar("Told")


@dataclass(frozen=True)
class Route:
    """A line of the table."""

    scope: str
    where: str
    method: str
    path: str

    @property
    def filled(self) -> str:
        """The path with what is the zebra's."""
        name = "{name}", ZEBRA
        values = [name, ("{app}", ZEBRA), ("{id}", "1"), ("{host}", "web1"), ("{number}", "1")]
        found = self.path
        values += [("{cluster}", "prod"), ("{registry}", "registry.example")]
        values += [("{secret}", "variable:A"), ("{token}", "ci"), ("{channel}", "ops")]
        values += [("{section}", "source"), ("{webhook}", ZEBRA), ("{stack}", "shop")]
        for parameter, value in [*values, ("{person}", "ada"), ("{session}", "s1")]:
            found = found.replace(parameter, value)
        return found.replace("{key}", "k")

    def takes(self, grants: Grants) -> bool:
        """Tell what the table says of somebody who may do that."""
        scope, everywhere = Scope(self.scope), grants.everywhere
        if everywhere & {scope, Scope.ADMIN}:
            return True
        if self.where == "project":
            return scope in grants.on.get(ZEBRA, ())
        return self.where == "some" and any(scope in held for held in grants.on.values())


ROUTES = [Route(*line.split()) for line in TABLE.strip().splitlines() if line]


@dataclass(frozen=True)
class World:
    """An application with a zebra and a yak, and those who ask it."""

    application: Application
    app: FastAPI

    def caller(self, name: str, scopes: set[Scope], *projects: ProjectName) -> Caller:
        """Return who shows a new token of these scopes; without projects they hold everywhere."""
        token = AccessToken(name, frozenset(scopes), projects or None, NOW)
        return Caller(self.app, make_token(self.application.store, token))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("access")
    write_containers(folder)
    application = open_application(folder)
    declare_webhook(application.store, WebhookDraft(EVERYBODYS, "forgejo"), NOW)
    for name in (ZEBRA, YAK):
        make_all_of(application, name)
    yield World(application, create_web(application))
    application.close()


def make_all_of(application: Application, name: ProjectName) -> None:
    """Make one of each thing that a project has, all named after it."""
    store, now = application.store, application.clock.now()
    draft = ProjectDraft(name, "unit", url=f"https://git.example/{name}.git")
    declare_project(store, application.repositories, draft, now)
    host = "web1" if name == ZEBRA else f"host-of-{name}"
    application.hosts.declare(HostDraft(host, address="127.0.0.1", user=name, port=1))
    application.targets.add(name, TargetDraft(host, binary=f"bin/{name}"))
    application.repositories.create(name)
    declare_webhook(store, WebhookDraft(name, "forgejo", name), now)
    result = application.deploy(
        name, Wanted(COMMIT, reason=f"for {name}"), actor=f"friend-of-{name}"
    )
    assert result.admitted
    announced = PushHint(f"team/{name}", frozenset({"main"}))
    first = Delivery(WebhookName(name), now, "192.0.2.1", Verdict.VERIFIED, hint=announced)
    both = replace(first, webhook=EVERYBODYS, led_to={ZEBRA: "looked", YAK: "looked"})
    store.record_deliveries([first, replace(both, led_to={name: "looked"}), both], {})
    report = ReleaseReport(name, COMMIT, {f"registry.example/{name}:1": DIGEST}, Build(now))
    store.add_release(report, f"friend-of-{name}", now)


def run(story: Coroutine[Any, Any, Told]) -> Told:
    """Run it in a thread of its own: a browser of other tests keeps a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, story).result(100)


async def knock(caller: Caller, route: Route) -> Answered:
    """Ask for a route so that nothing is changed where it lets one in."""
    body = BODIES.get(route.path) if route.method in {"POST", "PATCH"} else None
    reaches_handler = body is not None and route.method == "POST"
    headers = {} if route.method == "GET" or reaches_handler else NEVER
    return await caller.ask(route.method, route.filled, body, **headers)


def test_every_route_is_in_the_table(world: World) -> None:
    """A route that nobody wrote down fails here, and so does one that is there no more."""
    there = set()
    for context in iter_route_contexts(world.app.router.routes):
        route = context.original_route
        if isinstance(route, Mount):
            assert route.path == "/git"
            continue
        there |= {(method, context.path) for method in context.methods or ()}
    written = {(one.method, one.path) for one in ROUTES if not one.path.startswith("/git/")}
    assert len(written) > 90
    assert there == written


def test_what_roles_are() -> None:
    """A role is these scopes: what the table says of a token it says of a person."""
    roles = {
        Role.VIEWER: {Scope.READ},
        Role.OPERATOR: {Scope.READ, Scope.TRIGGER, Scope.PUSH},
        Role.ADMIN: set(Scope),
    }
    for role, scopes in roles.items():
        everywhere = AccessToken("t", frozenset(scopes), None, NOW)
        bound = AccessToken("t", frozenset(scopes - {Scope.ADMIN}), (ZEBRA,), NOW)
        assert Person("p", role, NOW).grants == everywhere.grants
        assert Person("p", None, NOW, {ZEBRA: role}).grants == bound.grants
        assert Person("p", role, NOW, {ZEBRA: role}, blocked=True).grants == Grants()


@pytest.fixture(scope="module")
def everybody(world: World) -> dict[str, tuple[Caller, Grants | None]]:
    """Return all kinds of callers, each with what they may do; None: nobody knows them."""
    store = world.application.store
    expired = AccessToken("over", frozenset(Scope), None, NOW, expires_at=NOW)
    found: dict[str, tuple[Caller, Grants | None]] = {
        "nobody": (Caller(world.app), None),
        "expired": (Caller(world.app, make_token(store, expired)), None),
        "socket": (Caller(world.app, peer="local:0"), Grants(frozenset(Scope))),
    }

    def add(name: str, scopes: set[Scope], *projects: ProjectName) -> None:
        token = AccessToken(name, frozenset(scopes), projects or None, NOW)
        found[name] = world.caller(name, scopes, *projects), token.grants

    for scope in Scope:
        add(f"{scope}-everywhere", {scope})
        if scope is not Scope.ADMIN:
            add(f"{scope}-on-zebra", {scope}, ZEBRA)
            add(f"{scope}-on-yak", {scope}, YAK)
    operator = {Scope.READ, Scope.TRIGGER, Scope.PUSH}
    add("operator-everywhere", operator)
    add("operator-on-zebra", operator, ZEBRA)
    add("admin-on-zebra", set(Scope) - {Scope.ADMIN}, ZEBRA)
    add("admin-on-yak", set(Scope) - {Scope.ADMIN}, YAK)
    return found


def is_right(route: Route, grants: Grants | None, status: int) -> bool:
    """Tell whether the table says that somebody who may do that is answered so."""
    if route.scope == "open":
        return status == (503 if route.path == "/api/ready" else 200)  # it has not started here
    if route.scope == "entry":
        return 300 <= status < 500
    if route.scope == "known":
        return status != 500 and (status == 401) == (grants is None)
    if route.scope == "signed" or grants is None:
        return status == 401
    return (status != 403) == route.takes(grants) and status not in {401, 500}


#: Stand for all where a token makes no difference.
FEW = ("nobody", "expired", "socket", "admin-everywhere")


def who_asks(route: Route, everybody: Iterable[str]) -> Iterable[str]:
    """Return who is tried: where all of another project opens nothing, no part of it does."""
    if route.scope in {"open", "entry", "signed"}:
        return FEW
    if route.where == "some":
        return everybody
    return [name for name in everybody if name == "admin-on-yak" or not name.endswith("-on-yak")]


@pytest.mark.parametrize("part", range(4))
def test_the_whole_matrix(
    world: World, everybody: dict[str, tuple[Caller, Grants | None]], part: int
) -> None:
    """Whoever the table names gets in, and nobody else, on any route."""
    wrong, asked = [], 0

    async def story() -> None:
        nonlocal asked
        for route in ROUTES[part::4]:
            for name in who_asks(route, everybody):
                caller, grants = everybody[name]
                status = (await knock(caller, route)).status
                asked += 1
                if not is_right(route, grants, status):
                    wrong.append((route.method, route.filled, name, status))

    run(story())
    assert wrong == []
    assert asked > 350


def test_what_one_may_not_see_is_as_if_it_were_not_there(world: World) -> None:
    """The answer about another's thing, and about none, is the same but for the words asked."""
    caller = world.caller("curious", set(Scope) - {Scope.ADMIN}, YAK)

    async def story() -> None:
        for route in ROUTES:
            if route.where != "project" or route.path in BODIES:
                continue
            there = await knock(caller, route)
            nothing = route.filled.replace(ZEBRA, "zorro").replace("/1", "/999")
            ghost = Route(route.scope, route.where, route.method, nothing)
            gone = await knock(caller, ghost)
            assert gone.text.replace("zorro", ZEBRA) == there.text, route
            assert (gone.status, there.status) == (403, 403)

    run(story())


def test_lists_and_events_show_nothing_of_others(world: World) -> None:
    """Whatever a token of the yak reads, no word of it is the zebra's; and the other way round."""
    readers = {
        (YAK, "zebra"): world.caller("yaks", set(Scope) - {Scope.ADMIN}, YAK),
        (ZEBRA, "yak"): world.caller("zebras", set(Scope) - {Scope.ADMIN}, ZEBRA),
    }
    lists = [one for one in ROUTES if one.where == "some"]

    async def story() -> None:
        for (own, foreign), caller in readers.items():
            for route in lists:
                answer = await caller.ask("GET", route.path)
                assert answer.status == 200, route
                assert foreign not in answer.text, (route, answer.text)
                if route.path == "/api/v1/deliveries":
                    led_to = [one["led_to"] for one in answer.json()["items"]]
                    # One came in before there was a yak.
                    known = 3 if own == ZEBRA else 2
                    assert sorted(led_to, key=len) == [{}, *([{own: "looked"}] * known)]
                if route.path not in SAME_FOR_ALL:
                    assert own in answer.text, route
            for path in ("deployments", "releases", "deliveries", "targets/status", "events"):
                for asked in (foreign, "zorro"):
                    query = f"/api/v1/{path}?project={asked}"
                    assert (await caller.ask("GET", query)).status == 403, query
            assert (await caller.ask("GET", f"/api/v1/deliveries?webhook={foreign}")).status == 403

    run(story())


#: Fields that whoever has the scope config on a project alone may change, and those they may not.
OF_PROJECTS = """
branch compose_path expose_service expose_port stateful_services auto_deploy one_by_one migration
mend_drift version watch_paths skip_markers
commit_statuses forge
| repository url image ports volumes push_images allow_manifest forge_url environment rules
"""
OF_TARGETS = """
source_folder binary files environment compose_files health_path ready_path branch
| strategy folder base build user port health ready confirm_within_seconds image image_folder
namespace workloads
"""


@pytest.mark.parametrize(
    ("model", "path", "fields"),
    [
        pytest.param(ProjectPatch, "/api/v1/projects/zebra", OF_PROJECTS, id="project"),
        pytest.param(TargetPatch, "/api/v1/projects/zebra/targets/web1", OF_TARGETS, id="target"),
    ],
)
def test_what_reaches_beyond_a_project(
    world: World, model: type[BaseModel], path: str, fields: str
) -> None:
    """Each field of a declaration is on one side or the other; a new one has to choose."""
    own, beyond = (set(part.split()) for part in fields.split("|"))
    assert own | beyond == set(model.model_fields)
    bound = world.caller(f"bound-{model.__name__}", {Scope.CONFIG}, ZEBRA)
    everywhere = world.caller(f"everywhere-{model.__name__}", {Scope.CONFIG})

    async def story() -> None:
        for field in sorted(own | beyond):
            answer = await bound.ask("PATCH", path, {field: None}, **NEVER)
            assert answer.status == (403 if field in beyond else 412), field
            assert (await everywhere.ask("PATCH", path, {field: None}, **NEVER)).status == 412

    run(story())


def test_a_webhook_of_ones_own(world: World) -> None:
    """It is named after its project; no forge of the caller's choice is told of it."""
    bound = world.caller("bound-hooks", {Scope.CONFIG}, ZEBRA)

    async def story() -> None:
        hook = {"name": "zebra-2", "provider": "forgejo", "project": ZEBRA}
        for wrong in ({"name": "yak"}, {"name": "forgejo"}, {"project": YAK}, {"project": None}):
            answer = await bound.ask("POST", "/api/v1/webhooks", hook | wrong)
            assert (answer.status, answer.json()["code"]) == (403, "access-denied"), wrong
        path = "/api/v1/projects/zebra/webhook"
        for wrong in ({"name": "yak"}, {"forge_url": "https://a.example"}, {"url": "https://b"}):
            assert (await bound.ask("POST", path, {"token": "t" * 20, **wrong})).status == 403
        assert (await bound.ask("POST", "/api/v1/webhooks", hook)).status == 201
        assert (await bound.ask("DELETE", "/api/v1/webhooks/zebra-2")).status == 204

    run(story())


def test_who_may_choose_what_files_a_plan_goes_by(world: World) -> None:
    """Its images are looked up with the project's variables in them: not for anybody who reads."""
    path = f"/api/v1/projects/zebra/plan?commit={COMMIT.text}"
    reads = world.caller("planner", {Scope.READ}, ZEBRA)
    deploys = world.caller("deployer", {Scope.READ, Scope.TRIGGER}, ZEBRA)
    assert run(reads.ask("GET", path)).status == 403
    assert run(deploys.ask("GET", path)).status == 200
    assert run(reads.ask("GET", "/api/v1/projects/zebra/plan")).status == 502


def test_a_webhook_of_ones_name_that_is_anothers(world: World) -> None:
    """Whose it is, is not told."""
    store, gnu = world.application.store, ProjectName("gnu")
    draft = ProjectDraft(gnu, "unit", url="https://git.example/gnu.git")
    declare_project(store, world.application.repositories, draft, NOW)
    declare_webhook(store, WebhookDraft(gnu, "forgejo", YAK), NOW)
    bound = world.caller("gnus", {Scope.CONFIG}, gnu)
    asked = {"token": "t" * 20, "provider": "forgejo"}
    answer = run(bound.ask("POST", "/api/v1/projects/gnu/webhook", asked))
    store.remove_webhook(WebhookName(gnu))
    remove_project(store, world.application.checkouts, gnu)
    assert (answer.status, "yak" in answer.text) == (403, False)


def test_the_master_switch_and_the_other_settings(world: World) -> None:
    """Whoever may deploy everywhere may stop everything, and let it go on; nothing else of it."""
    operator = world.caller("operator", {Scope.TRIGGER})
    path, switch = "/api/v1/settings", "auto_deploy_master_enabled"

    async def story() -> None:
        for value in (False, True):
            assert (await operator.ask("PATCH", path, {switch: value})).status == 200
        for more in ({"auto_deploy_poll_interval_seconds": 600}, {"no_such_setting": 1}, {}):
            assert (await operator.ask("PATCH", path, more)).status == 403
            assert (await operator.ask("PATCH", path, {switch: False, **more})).status == (
                403 if more else 200
            )
        assert (await operator.ask("PATCH", path, {switch: True})).status == 200

    run(story())


def test_a_refusal_is_no_answer_to_keep(world: World) -> None:
    """A key that was used before the right was given is good afterwards, and for its owner only."""
    body = BODIES["/api/v1/webhooks"] | {"name": "zebra-3"}
    key = {"idempotency_key": "k"}
    store = world.application.store

    async def story() -> None:
        yaks = world.caller("growing", {Scope.CONFIG}, YAK)
        assert (await yaks.ask("POST", "/api/v1/webhooks", body, **key)).status == 403
        begun = store.begin_answer(AnswerKey("token:growing", "k"), "another", NOW)
        assert begun is None  # nothing stands under that key

        zebras = world.caller("zebras-hook", {Scope.CONFIG}, ZEBRA)
        made = await zebras.ask("POST", "/api/v1/webhooks", body, **key)
        again = await zebras.ask("POST", "/api/v1/webhooks", body, **key)
        assert (made.status, again.body) == (201, made.body)
        other = world.caller("zebras-other", {Scope.CONFIG}, ZEBRA)
        assert (await other.ask("POST", "/api/v1/webhooks", body, **key)).status == 409

    run(story())


def test_denials_are_in_the_audit_log(world: World) -> None:
    """Whoever knows a token and asks for more than it is good for is named there."""
    caller = world.caller("denied", {Scope.TRIGGER}, YAK)

    async def story() -> None:
        await caller.ask("POST", "/api/v1/projects/zebra/deployments", {})
        await caller.ask("POST", "/api/v1/releases", BODIES["/api/v1/releases"])
        await caller.ask("GET", "/git/zebra.git/info/refs?service=git-upload-pack")

    run(story())
    query = AuditQuery(actor="token:denied", action="access.denied")
    assert [one.subject for one in world.application.store.list_audit(query)] == [
        "GET /git/zebra.git/info/refs",
        "POST /api/v1/releases",
        "POST /api/v1/projects/zebra/deployments",
    ]


def test_bindings_that_end_while_somebody_asks(world: World) -> None:
    """The next request after a project went knows nothing of what was allowed on it."""
    application, name = world.application, ProjectName("quagga")
    declare_project(application.store, application.repositories, ProjectDraft(name, "tunnel"), NOW)
    both = world.caller("both", {Scope.READ}, name, YAK)
    alone = world.caller("alone", {Scope.READ}, name)
    path = f"/api/v1/projects/{name}"

    async def statuses() -> list[int]:
        return [(await one.ask("GET", path)).status for one in (both, alone)]

    assert run(statuses()) == [200, 200]
    remove_project(application.store, application.checkouts, name)
    declare_project(application.store, application.repositories, ProjectDraft(name, "tunnel"), NOW)
    assert run(statuses()) == [403, 401]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({}, "scopes", id="no-scope"),
        pytest.param({"scopes": []}, "scopes", id="none"),
        pytest.param({"scopes": ["read", "root"]}, "scopes", id="unknown"),
        pytest.param({"scope": "repository:zebra"}, "scope", id="older"),
        pytest.param({"scopes": ["admin"], "projects": [ZEBRA]}, "scopes", id="bound-admin"),
        pytest.param({"scope": "read", "projects": []}, "projects", id="bound-to-none"),
        pytest.param({"scope": "read", "projects": ["a b"]}, "projects.0", id="no-name"),
        pytest.param({"scope": "read", "projects": ["quokka"]}, "projects", id="no-project"),
        pytest.param({"scope": "push", "projects": ["quokka"]}, "projects", id="no-repository"),
        pytest.param({"scope": "read", "expires_in_seconds": 0}, "expires_in_seconds", id="ended"),
        pytest.param(
            {"scope": "read", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at", id="past"
        ),
        pytest.param(
            {"scope": "read", "expires_at": "9999-12-31T23:59:59-23:00"}, "expires_at", id="far"
        ),
        pytest.param(
            {"scope": "read", "expires_at": "2030-01-01T00:00:00Z", "expires_in_seconds": 9},
            "expires_at",
            id="both",
        ),
    ],
)
def test_tokens_that_are_not_made(world: World, body: dict[str, Any], field: str) -> None:
    """Each says which field is wrong, and nothing is kept."""
    socket = Caller(world.app, peer="local:0")
    answer = run(socket.ask("POST", "/api/v1/tokens", {"name": "never-made", **body}))
    assert (answer.status, answer.json()["field"]) == (422, field), answer.text
    assert "never-made" not in {one.name for one in world.application.store.list_tokens()}


def test_a_token_as_it_is_made_and_shown(world: World) -> None:
    """With scopes, projects and an end; shown once, then listed with its last use."""
    socket = Caller(world.app, peer="local:0")
    body = {"name": "ci", "scopes": ["trigger", "read"], "projects": [ZEBRA]}

    async def story() -> None:
        asked = body | {"expires_in_seconds": 3600}
        made = (await socket.ask("POST", "/api/v1/tokens", asked)).json()
        ci = Caller(world.app, made["token"])
        assert (await ci.ask("GET", "/api/v1/projects/zebra")).status == 200
        listed = (await socket.ask("GET", "/api/v1/tokens")).json()["items"]
        (found,) = [one for one in listed if one["name"] == "ci"]
        assert found["scopes"] == ["read", "trigger"]
        assert (found["projects"], found["created_by"]) == ([ZEBRA], "local:0")
        lasts = datetime.fromisoformat(found["expires_at"]) - NOW
        assert timedelta(0) < lasts < timedelta(hours=2)
        assert found["last_used_at"]
        assert found["last_used_from"] == "192.0.2.7"
        assert made["token"] not in str(listed)
        assert (await socket.ask("DELETE", "/api/v1/tokens/ci")).status == 204
        assert (await ci.ask("GET", "/api/v1/projects/zebra")).status == 401

    run(story())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "/api/v1/events", id="events"),
        pytest.param("POST", "/git/zebra.git/git-receive-pack", id="push"),
    ],
)
def test_what_goes_on_ends_with_its_token(world: World, method: str, path: str) -> None:
    """Within half a minute after the token was withdrawn, whatever it has open is closed."""
    caller = world.caller("watching", {Scope.READ, Scope.PUSH}, ZEBRA)

    async def story() -> float:
        form = {"content_type": "application/x-git-receive-pack-request"}
        asked = caller.follow(method, path, lambda _: False, ..., **form)
        following = asyncio.create_task(asked)
        await asyncio.sleep(1)
        assert not following.done()
        world.application.store.remove_token("watching")
        began = asyncio.get_running_loop().time()
        await following
        return asyncio.get_running_loop().time() - began

    assert run(story()) < 30
