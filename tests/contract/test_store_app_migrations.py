"""Migrations of apps and their approvals, the same on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.domain.deployment import DeploymentId, Status, TargetStatus
from reconciler.domain.errors import ClaimLost
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.migration import Migration, MigrationState
from reconciler.domain.references import ProjectName, ServiceName
from reconciler.domain.revision import Revision
from reconciler.domain.version_check import VersionCheck
from reconciler.ports import Approval, Claim
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, claim, commit, project, queue

EAST = HostName("east")
LATER = NOW + timedelta(minutes=5)


def begun(store: SqlStore, letter: str, host: HostName = LOCAL) -> Claim:
    """Claim a new deployment, and record that it got to a host."""
    queue(store, letter)
    held = claim(store)
    store.record_target(held, host, TargetStatus.WAITING, NOW)
    return held


def ended(store: SqlStore, held: Claim, state: MigrationState, host: HostName = LOCAL) -> None:
    """Record how its migration stands, and end it."""
    store.record_migration(held, host, state, NOW)
    store.finish(held, Status.NEEDS_OPERATOR, NOW)


def test_a_declared_migration_comes_back_as_it_was(store: SqlStore) -> None:
    """With all that may be said of it, and without."""
    full = replace(
        project(),
        migration=Migration(("app", "--now", "a b"), ServiceName("job"), timedelta(seconds=90), 3),
        version=VersionCheck(8080),
        push_images=True,
        allow_manifest=True,
    )
    store.create_project(full)
    store.create_project(project("plain"))
    assert store.get_project(WEB) == full
    assert store.get_project(ProjectName("plain")).migration is None


def test_a_migration_s_state_is_kept_by_host_with_its_time(store: SqlStore) -> None:
    """What becomes of the host otherwise leaves it as it is."""
    store.create_project(project())
    held = begun(store, "a")
    store.record_target(held, EAST, TargetStatus.WAITING, NOW)
    store.record_migration(held, LOCAL, MigrationState.STARTED, NOW)
    store.record_migration(held, LOCAL, MigrationState.DONE, LATER)
    store.record_target(held, LOCAL, TargetStatus.APPLIED, LATER)
    known = {one.host: one for one in store.get_deployment(held.deployment.id).targets}
    assert (known[LOCAL].migration, known[LOCAL].migration_changed_at) == (
        MigrationState.DONE,
        LATER,
    )
    assert known[EAST].migration is None


def test_a_lost_claim_records_no_migration(store: SqlStore) -> None:
    """Whoever took it over decides."""
    store.create_project(project())
    held = begun(store, "a")
    store.release_all("worker")
    with pytest.raises(ClaimLost):
        store.record_migration(held, LOCAL, MigrationState.STARTED, NOW)
    (target,) = store.get_deployment(held.deployment.id).targets
    assert target.migration is None


def test_the_last_one_that_began_tells_whether_one_is_unfinished(store: SqlStore) -> None:
    """Of that project, on that host, before that deployment."""
    store.create_project(project())
    first = begun(store, "a")
    ended(store, first, MigrationState.STARTED)
    ended(store, begun(store, "b", EAST), MigrationState.DONE, EAST)
    second = first.deployment.id

    def unfinished(host: HostName, before: int) -> DeploymentId | None:
        return store.find_unfinished_migration(WEB, host, before=DeploymentId(before))

    assert unfinished(LOCAL, 99) == second
    assert unfinished(LOCAL, second) is None
    assert unfinished(EAST, 99) is None
    assert (
        store.find_unfinished_migration(ProjectName("other"), LOCAL, before=DeploymentId(99))
        is None
    )
    ended(store, begun(store, "c"), MigrationState.FAILED)
    assert unfinished(LOCAL, 99) is None


def test_an_approval_is_of_one_revision_and_the_newest_counts(store: SqlStore) -> None:
    """It goes with its project."""
    store.create_project(project())
    revision = Revision(commit("a"))
    given = Approval(WEB, revision.fingerprint, DeploymentId(1), "ann", NOW, "read it")
    assert store.find_approval(WEB, revision.fingerprint) is None
    store.approve(given)
    newer = replace(given, deployment=DeploymentId(2), approved_by="bob", approved_at=LATER)
    store.approve(newer)
    assert store.find_approval(WEB, revision.fingerprint) == newer
    assert store.find_approval(WEB, replace(revision, generation=2).fingerprint) is None
    store.remove_project(WEB)
    store.create_project(project())
    assert store.find_approval(WEB, revision.fingerprint) is None
