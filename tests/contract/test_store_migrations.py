"""A database of an earlier version, with what was in it, on both databases."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import Vault
from reconciler.domain.deployment import DeploymentId, TargetStatus
from reconciler.domain.errors import AlreadyExists
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.migration import Migration
from reconciler.domain.project import ExternalSource
from reconciler.domain.references import BranchName, GitUrl, ProjectName
from reconciler.domain.rules import Rules
from reconciler.domain.secret import Secret
from reconciler.domain.state import WatchedImage
from reconciler.domain.webhook import WebhookName
from reconciler.domain.workload import Cluster
from reconciler.ports import Approval
from reconciler.store.database import connect, parse_location
from reconciler.store.opening import open_store
from reconciler.store.schema import migrate
from reconciler.store.sqlite_file import create_private, mark_installed, prepare_folder
from tests.parts.environments import production, proposal
from tests.parts.stores import KEY, digest

PREPARED = {
    "revision": {"commit": "a" * 40, "images": {}, "generation": 1},
    "services": [
        {
            "name": "web",
            "pin": {"image": "registry.example/app:1", "digest": digest("1").text},
            "replicas": 1,
            "may_finish": False,
        }
    ],
    "compose_file": "compose.yaml",
    "override_file": ".deploy/override-1.yaml",
    "rendered_sha256": "0" * 64,
}
#: One deployment that changed containers, one that never got there.
ROWS = (
    """INSERT INTO project (name, kind, created_at, updated_at, compose_path, ports, volumes,
       auto_deploy, stateful_services, generation)
       VALUES ('web', 'compose', :now, :now, 'compose.yaml', '[]', '[]', true, '[]', 1)""",
    """INSERT INTO project_state (project, tracked_images, images_seeded, images_read_at,
       live_deployment_id) VALUES ('web', '{}', false, '', 1)""",
    """INSERT INTO deployment (id, project, revision, causes, status, created_at, forced, stage,
       attempt, fence, owner, prepared, prepared_kept, before_images, moved_images)
       VALUES (1, 'web', :revision, '[]', 'deployed', :now, false, 'verify', 1, 1, '', :prepared,
       true, '{}', '{}')""",
    """INSERT INTO deployment (id, project, revision, causes, status, created_at, forced, stage,
       attempt, fence, owner, prepared_kept, before_images, moved_images)
       VALUES (2, 'web', :revision, '[]', 'failed', :now, false, 'prepare', 1, 1, '', false,
       '{}', '{}')""",
    """INSERT INTO stage (id, deployment, stage, started_at, finished_at, outcome)
       VALUES (1, 1, 'apply', :now, :now, 'ok'), (2, 1, 'verify', :now, :now, 'ok'),
       (3, 2, 'prepare', :now, :now, 'command-failed')""",
)


#: The same, of a version that knew hosts: one that ran, and a person's own settings of it.
ROWS_0002 = (
    """INSERT INTO project (name, kind, created_at, updated_at, compose_path, ports, volumes,
       auto_deploy, stateful_services, generation, targets, one_by_one)
       VALUES ('web', 'compose', :now, :now, 'compose.yaml', '[]', '[]', true, '[]', 3, '[]',
       true)""",
    """INSERT INTO project_state (project, tracked_images, images_seeded, images_read_at,
       live_deployment_id) VALUES ('web', '{}', false, '', 1)""",
    """INSERT INTO deployment (id, project, revision, causes, status, created_at, forced, stage,
       attempt, fence, owner, prepared_kept, before_images, moved_images, hosts)
       VALUES (1, 'web', :revision, '[]', 'deployed', :now, false, 'verify', 1, 1, '', false,
       '{}', '{}', '[]')""",
    """INSERT INTO deployment_target (deployment, host, status, started_at, changed_at)
       VALUES (1, 'local', 'verified', :now, :now)""",
)


@pytest.fixture(
    params=[
        pytest.param("sqlite"),
        pytest.param("postgres", marks=pytest.mark.needs_postgres),
    ]
)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a database may be made."""
    if request.param == "postgres":
        place: str = request.getfixturevalue("database_url")
    else:
        path = tmp_path / "data" / "state.db"
        prepare_folder(path)
        create_private(path)
        mark_installed(path)
        place = str(path)
    return place


def fill(location: str, version: str, rows: tuple[str, ...]) -> None:
    """Make a database of ``version`` with ``rows``."""
    database = connect(parse_location(location), SystemClock())
    values = {
        "now": "2026-01-02 03:04:05+00:00",
        "revision": json.dumps(PREPARED["revision"]),
        "prepared": json.dumps(PREPARED),
    }
    with database.writing() as connection:
        migrate(connection, version)
        for row in rows:
            used = {name: value for name, value in values.items() if f":{name}" in row}
            connection.execute(text(row), used)
    database.close()


def test_what_was_there_before_hosts_ran_on_the_daemon_s_machine(location: str) -> None:
    """Old deployments can still be restored, and what they started is still known as ours."""
    fill(location, "0001", ROWS)
    store = open_store(location, lambda _: Vault(KEY), SystemClock())
    try:
        project = store.get_project(ProjectName("web"))
        assert [target.host for target in project.where] == [LOCAL]
        deployed = store.get_deployment(DeploymentId(1))
        assert deployed.hosts == ()
        assert deployed.prepared is not None
        (target,) = deployed.prepared.targets
        assert target.host == LOCAL
        assert target.override_file == ".deploy/override-1.yaml"
        assert [str(service.pin) for service in target.services] == [
            f"registry.example/app:1@{digest('1')}"
        ]
        assert [(one.host, one.status) for one in deployed.targets] == [
            (LOCAL, TargetStatus.VERIFIED)
        ]
        assert store.get_deployment(DeploymentId(2)).targets == ()
    finally:
        store.close()


def test_what_was_there_before_apps_were_built_has_no_migration(location: str) -> None:
    """And is what it was otherwise; what came since can be written."""
    fill(location, "0002", ROWS_0002)
    store = open_store(location, lambda _: Vault(KEY), SystemClock())
    try:
        project = store.get_project(ProjectName("web"))
        assert (project.migration, project.version) == (None, None)
        assert not project.push_images
        assert not project.allow_manifest
        assert (project.generation, project.one_by_one) == (3, True)
        (target,) = store.get_deployment(DeploymentId(1)).targets
        assert (target.status, target.migration) == (TargetStatus.VERIFIED, None)
        migrated = replace(project, migration=Migration(("app", "migrate")))
        store.update_project(migrated)
        assert store.get_project(ProjectName("web")) == migrated
        revision = store.get_deployment(DeploymentId(1)).revision
        given = Approval(
            project.name, revision.fingerprint, DeploymentId(1), "ann", project.created_at
        )
        store.approve(given)
        assert store.find_approval(project.name, revision.fingerprint) == given
    finally:
        store.close()


#: The same, of the last version without environments: with all that a later one has to fill in.
ROWS_0007 = (
    """INSERT INTO project (name, kind, created_at, updated_at, source_url, source_branch,
       compose_path, ports, volumes, auto_deploy, stateful_services, generation, targets,
       one_by_one, push_images, allow_manifest, watch_paths, skip_markers, commit_statuses)
       VALUES ('web', 'compose', :now, :now, 'https://git.example/app.git', 'main',
       'compose.yaml', '[]', '[]', true, '[]', 3, '[]', true, false, false, '[]', false, false)""",
    """INSERT INTO project_state (project, tracked_images, images_seeded, images_read_at,
       live_deployment_id) VALUES ('web', '{}', false, '', 1)""",
    """INSERT INTO source_health (project, next_look_at, branch_gone, failures)
       VALUES ('web', :now, false, 0)""",
    *ROWS_0002[2:],
    """INSERT INTO host (name, created_at, alias, address, "user", port, host_keys,
       sealed_key, key_fingerprint) VALUES ('east', :now, '', '10.0.0.5', '', 22, '[]', '', '')""",
)


def test_what_was_there_before_environments_follows_its_source(location: str) -> None:
    """It is in no environment, without rules, frozen by nobody; what came since can be written."""
    fill(location, "0007", ROWS_0007)
    store = open_store(location, lambda _: Vault(KEY), SystemClock())
    try:
        web, live = store.get_project(ProjectName("web")), ProjectName("web-production")
        assert (web.environment, web.rules, web.follows_its_source) == (None, Rules(), True)
        state = store.get_state(web.name)
        assert (state.freeze, state.live is not None) == (None, True)
        (due,) = store.claim_due_polls(SystemClock().now(), hold_for=timedelta(0), limit=9)
        assert due.project == web.name
        deployed = store.get_deployment(DeploymentId(1))
        assert (deployed.promotes, deployed.override) == (None, "")
        assert (store.current_standings(), store.list_waiting()) == ({}, [])
        assert store.resume_standing(web.name, deployed.id, deployed.created_at)
        store.create_project(production(live, web.name))
        kept, _ = store.propose(proposal(deployed.id, name=live, origin=web.name))
        assert store.list_waiting(live) == [kept]
        with pytest.raises(AlreadyExists):
            store.create_cluster(Cluster(HostName("east"), web.created_at))
    finally:
        store.close()


@pytest.mark.parametrize("location", ["sqlite"], indirect=True)
def test_what_is_sealed_is_bound_closer(location: str) -> None:
    """A webhook's previous secret to its own field, what is for one server to that one.

    Earlier versions left it the present one's, and the row's; all are taken as before.
    """
    vault, place = Vault(KEY), "webhook|hook|secret"
    present, previous = (vault.seal(Secret.of(text), place) for text in ("second", "first"))
    row = f"""INSERT INTO webhook (name, provider, created_at, matching, sealed_secret, fingerprint,
       sealed_previous, previous_fingerprint, verified, refused)
       VALUES ('hook', 'gitea', :now, 'repository', '{present}', '', '{previous}', '', 0, 0)"""  # noqa: S608
    token = vault.seal(Secret.of("t0ken"), "secret|web/git-token|sealed")
    secret = f"""INSERT INTO secret (project, name, sealed, fingerprint, bound_to, username,
       updated_at) VALUES ('web', 'git-token', '{token}', '', 'https://git.example', 'me', :now)"""  # noqa: S608
    fill(location, "0006", (ROWS_0002[0], row, secret))
    store = open_store(location, lambda _: vault, SystemClock())
    try:
        found = store.find_webhook_secrets(WebhookName("hook"))
        assert found
        assert [one.reveal() for one in found[1]] == ["second", "first"]
        source = ExternalSource(GitUrl.parse("https://git.example/x.git"), BranchName("main"))
        credentials = store.git_credentials(ProjectName("web"), source)
        assert credentials
        assert credentials.token == Secret.of("t0ken")
    finally:
        store.close()


@pytest.mark.parametrize("location", ["sqlite"], indirect=True)
def test_compose_files_that_were_read_before_are_read_once_more(location: str) -> None:
    """Their services' labels were not told apart then; what was seen of images stays."""
    state = ROWS_0002[1].replace("false, ''", "false, 'read'")
    image = """INSERT INTO watched_image (project, image, position, services, unwatched_because)
       VALUES ('web', 'app:1', 0, '["web"]', '')"""
    fill(location, "0002", (ROWS_0002[0], state, image))
    store = open_store(location, lambda _: Vault(KEY), SystemClock())
    try:
        assert store.images_read_at(ProjectName("web")) == ""
        assert store.get_images(ProjectName("web")) == [WatchedImage("app:1", ("web",))]
    finally:
        store.close()
