"""Hosts: declare, confirm, check."""

from fastapi import Request, Response

from reconciler.app import Application
from reconciler.domain.host import Host
from reconciler.domain.secret import Secret
from reconciler.web.conditions import IfMatch, show_version
from reconciler.web.pagination import Paged
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import WITH_BODY, App, OnHost, errors, router_for
from reconciler.web.schemas.hosts import (
    HostBody,
    HostList,
    HostPatch,
    NewHost,
    NewHostKey,
    OfferedKeyBody,
    OfferedKeyList,
    TrustedBody,
    TrustedKey,
)
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "hosts", About.DAEMON)
checking = router_for(Policy.TRIGGER, "hosts", About.DAEMON)
changing = router_for(Policy.ADMIN, "hosts", About.DAEMON)


@reading.get("/hosts", summary="List hosts, by name", responses=errors(422))
def list_hosts(application: App, page: Paged) -> HostList:
    """Each with how it answered last."""
    found, following = page.by_name(application.store.list_hosts(), lambda one: one.name)
    return HostList(items=[_body(application, host) for host in found], next=following)


@changing.post(
    "/hosts", status_code=201, summary="Declare a host", responses=errors(409, *WITH_BODY)
)
def create_host(application: App, request: Request, body: NewHost) -> HostBody:
    """Nothing is sent to it before a person confirmed its key: see `offered-keys` and `trust`."""
    return _shown(application, request, application.hosts.declare(body.draft()))


@reading.get("/hosts/{host}", summary="Show a host", responses=errors(404, 422))
def show_host(application: App, host: OnHost, request: Request) -> HostBody:
    """Its declaration, by which keys it is known, and how it answered last."""
    return _shown(application, request, application.store.get_host(host))


@changing.patch("/hosts/{host}", summary="Change a host", responses=errors(404, *WITH_BODY))
def patch_host(
    application: App, host: OnHost, request: Request, body: HostPatch, expected: IfMatch
) -> HostBody:
    """Fields that are left out stay. At another address its key has to be confirmed anew."""
    return _shown(application, request, application.hosts.change(host, body.change(), expected))


@changing.delete(
    "/hosts/{host}", status_code=204, summary="Remove a host", responses=errors(404, 409, 422)
)
def delete_host(application: App, host: OnHost, expected: IfMatch) -> Response:
    """409 while a project has a target on it. What runs there goes on."""
    application.hosts.remove(host, expected)
    return Response(status_code=204)


@changing.put(
    "/hosts/{host}/key", summary="Store our private key for it", responses=errors(404, *WITH_BODY)
)
def store_host_key(
    application: App, host: OnHost, request: Request, body: NewHostKey, expected: IfMatch
) -> HostBody:
    """Replaces the one that was there. An alias has its own, and takes none."""
    changed = application.hosts.put_key(host, Secret.of(body.value), expected)
    return _shown(application, request, changed)


@checking.post("/hosts/{host}/check", summary="Check a host now", responses=errors(404, 422))
def check_host(application: App, host: OnHost) -> HostBody:
    """Connects to it, and answers with how that went; `health.error` says what is wrong."""
    standing = application.host_checks.check(host)
    return HostBody.of(application.store.get_host(host), standing)


@reading.get(
    "/hosts/{host}/offered-keys",
    summary="The keys that a host shows now",
    responses=errors(404, 409, 422, 502),
)
def list_offered_keys(application: App, host: OnHost) -> OfferedKeyList:
    """Asks the host itself, and shows it no credential. 503: no answer; 409: others are asked."""
    declared = application.store.get_host(host)
    offered = application.hosts.offered_keys(host)
    return OfferedKeyList(items=[OfferedKeyBody.of(one, declared) for one in offered])


@changing.post(
    "/hosts/{host}/trust",
    summary="Confirm a host's key",
    responses=errors(404, 409, 502, *WITH_BODY),
)
def trust_host_key(
    application: App, host: OnHost, request: Request, body: TrustedKey
) -> TrustedBody:
    """The host has to show this key now; from then on it is known by it alone.

    A key that changed is never taken over in another way. `before` names the one in whose place
    it came.
    """
    trusted = application.hosts.trust(host, body.fingerprint, actor=actor_of(request))
    application.daemon.wake("hosts")
    return TrustedBody.of(trusted, application.host_checks.standing(host))


def _shown(application: Application, request: Request, host: Host) -> HostBody:
    show_version(request, host)
    return _body(application, host)


def _body(application: Application, host: Host) -> HostBody:
    return HostBody.of(host, application.host_checks.standing(host.name))


def host_bodies(application: Application) -> list[HostBody]:
    """Return all hosts, by name."""
    return [_body(application, host) for host in application.store.list_hosts()]
