"""Hosts, our keys to them, and targets on them, the same on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.domain.deployment import TargetStatus
from reconciler.domain.errors import AlreadyExists, Conflict, NotFound
from reconciler.domain.health_check import HealthCheck, ProbeKind, ProbeOrigin
from reconciler.domain.host import Host, HostName, HostPath
from reconciler.domain.references import RepositoryPath
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.workload import Workload, WorkloadKind
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, Site, ask, claim, failure, project

EAST = HostName("east")
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nmade up\n-----END OPENSSH PRIVATE KEY-----"
TARGET = Target(
    WEB,
    EAST,
    TargetStrategy.SYSTEMD,
    HostPath("/opt/apps/web"),
    RepositoryPath("cmd/web"),
    ("make", "release"),
    RepositoryPath("web"),
    (RepositoryPath("static"),),
    "web",
    8080,
    {"LEVEL": "info"},
    (RepositoryPath("compose.live.yaml"),),
    HealthCheck(
        ProbeKind.HTTP,
        8080,
        "/healthz?deep=1",
        (200, 204),
        "{commit}",
        ("true",),
        ProbeOrigin.DAEMON,
        timedelta(seconds=7),
        timedelta(seconds=0.5),
        timedelta(seconds=2),
        4,
        5,
    ),
    HealthCheck(ProbeKind.TCP, 8080),
    timedelta(seconds=90),
    "shop",
    (Workload(WorkloadKind.STATEFUL_SET, "web", {"web": "docker.io/library/web:1"}),),
    "web",
    HostPath("/app"),
    HostPath("/srv/web"),
)


def host(**changes: object) -> Host:
    return replace(Host(EAST, NOW, address="10.0.0.5", user="deploy", port=2222), **changes)  # type: ignore[arg-type]


def test_a_host_is_kept_as_it_was_declared(store: SqlStore) -> None:
    """Also with what was pinned later; a second one of its name is refused."""
    store.create_host(host())
    assert store.get_host(EAST) == host()
    with pytest.raises(AlreadyExists):
        store.create_host(host())
    trusted = host(host_keys=("ssh-ed25519 AAAA", "ssh-rsa BBBB"), alias="bastion-east")
    store.update_host(trusted)
    assert store.list_hosts() == [trusted]


def test_what_is_not_there_is_said(store: SqlStore) -> None:
    """By every method that needs it."""
    for attempt in (
        lambda: store.get_host(EAST),
        lambda: store.update_host(host()),
        lambda: store.remove_host(EAST),
        lambda: store.put_host_secret(EAST, Secret.of(KEY), NOW),
        lambda: store.find_host_secret(EAST),
    ):
        with pytest.raises(NotFound, match="east"):
            attempt()


def test_its_key_is_sealed_and_stays_with_it(store: SqlStore, site: Site) -> None:
    """Another host's row can't be given it, and changing the declaration keeps it."""
    store.create_host(host())
    assert store.find_host_secret(EAST) is None
    fingerprint = store.put_host_secret(EAST, Secret.of(KEY), NOW)
    assert len(fingerprint) == 8
    store.update_host(host(port=22))
    again = site.open()
    found = again.find_host_secret(EAST)
    assert found is not None
    assert found.reveal() == KEY
    kept = again.get_host(EAST)
    assert (kept.key_fingerprint, kept.key_stored_at) == (fingerprint, NOW)
    again.remove_host(EAST)
    again.create_host(host())
    assert again.find_host_secret(EAST) is None


def test_a_host_in_use_is_not_removed(store: SqlStore) -> None:
    """The projects that would lose their target are named."""
    store.create_host(host())
    store.create_project(replace(project(), targets=(TARGET,)))
    with pytest.raises(Conflict, match="web"):
        store.remove_host(EAST)
    store.update_project(project())
    store.remove_host(EAST)
    assert store.list_hosts() == []


def test_a_target_is_kept_in_every_field(store: SqlStore) -> None:
    """What was declared is what is read back."""
    declared = replace(project(), targets=(TARGET, Target(WEB)), one_by_one=True)
    store.create_project(declared)
    assert store.get_project(WEB) == declared


def test_how_far_it_got_on_each_host_is_kept(store: SqlStore) -> None:
    """With when it began there, what failed there, and which hosts were asked for."""
    store.create_project(project())
    asked = ask(store, "a", hosts=(EAST, HostName("west")))
    assert asked.deployment is not None
    assert asked.deployment.hosts == (EAST, HostName("west"))
    held = claim(store)
    store.record_target(held, EAST, TargetStatus.WAITING, NOW)
    later = NOW + timedelta(seconds=5)
    store.record_target(held, EAST, TargetStatus.FAILED, later, error=failure())
    store.record_target(held, HostName("west"), TargetStatus.VERIFIED, later)
    first, second = store.get_deployment(held.deployment.id).targets
    assert (first.host, first.status, first.started_at, first.changed_at, first.error) == (
        *(EAST, TargetStatus.FAILED, NOW, later),
        failure(),
    )
    assert (second.host, second.status, second.error) == ("west", TargetStatus.VERIFIED, None)


def test_where_something_was_changed_is_remembered(store: SqlStore) -> None:
    """A host counts from the moment in which a deployment begins to change it, whatever follows."""
    store.create_project(project())
    ask(store, "a")
    held = claim(store)
    assert store.list_touched_hosts(WEB) == frozenset()
    for status in (TargetStatus.WAITING, TargetStatus.UNREACHABLE):
        store.record_target(held, EAST, status, NOW)
        assert store.list_touched_hosts(WEB) == frozenset()
    for status in (TargetStatus.APPLIED, TargetStatus.FAILED):
        store.record_target(held, EAST, status, NOW)
        assert store.list_touched_hosts(WEB) == {EAST}
