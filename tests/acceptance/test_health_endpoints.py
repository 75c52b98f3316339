"""Load balancers and people's monitors ask without a token, and get the truth."""

import os
import re
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from reconciler.adapters.documents import BoundedDocuments
from reconciler.adapters.probes.prober import HealthProber
from reconciler.domain.document import DocumentForm
from reconciler.domain.health_check import HealthCheck
from reconciler.domain.references import CommitSha
from reconciler.domain.target import Target, implied_target
from reconciler.pipeline.declaring.fleet.document import DeclaredProject, parse_fleet
from tests.parts.daemon import Daemon
from tests.parts.hosts import Hosts
from tests.parts.waiting import eventually

DOCUMENT = Path(__file__).parents[2] / "docs" / "self-update.md"
#: What the daemon was built of.
COMMIT = CommitSha("ab" * 20)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(env={"RECONCILER_BUILD_COMMIT": str(COMMIT)}) as running:
        yield running


def test_a_daemon_that_works_says_so_to_anybody(daemon: Daemon) -> None:
    """D2: without a token, over TCP: ready, healthy, with every loop, and its version."""
    assert daemon.probe("ready") == (200, {"status": "ready"})
    status, health = daemon.probe("healthz")
    assert (status, health["status"], health["problems"]) == (200, "ok", [])
    assert {"polls", "hosted", "images", "deployments"} <= {one["name"] for one in health["loops"]}
    assert all(one["ok"] for one in health["loops"])
    eventually(
        lambda: all(one["last_progress_at"] for one in daemon.probe("healthz")[1]["loops"]),
        what="every loop has had a pass",
    )
    status, version = daemon.probe("version")
    assert status == 200
    assert version["version"]
    assert version["commit"] == str(COMMIT)
    assert version["started_at"].endswith("Z")


def test_nothing_else_is_told_to_strangers(daemon: Daemon) -> None:
    """D2: projects, settings and status need a token; the right one opens them."""
    for path in ("projects", "status", "settings", "deployments", "tokens", "repositories"):
        url = f"{daemon.url}/api/v1/{path}"
        assert httpx2.get(url, trust_env=False).status_code == 401, path
        wrong = httpx2.get(url, headers={"Authorization": "Bearer " + "x" * 40}, trust_env=False)
        assert wrong.status_code == 401, path
        right = {"Authorization": f"Bearer {daemon.admin_token}"}
        assert httpx2.get(url, headers=right, trust_env=False).status_code == 200, path


def test_a_name_that_is_not_ours_is_not_served(daemon: Daemon) -> None:
    """A page elsewhere can't reach the daemon through a name of its own (DNS rebinding)."""
    headers = {"Host": "evil.example", "Authorization": f"Bearer {daemon.admin_token}"}
    answer = httpx2.get(f"{daemon.url}/api/v1/projects", headers=headers, trust_env=False)
    assert answer.status_code == 421


def test_a_daemon_that_hangs_does_not_answer(daemon: Daemon) -> None:
    """A stopped process is no healthy one; it goes on as if nothing had been."""
    daemon.signal(signal.SIGSTOP)
    try:
        with pytest.raises(httpx2.TimeoutException):
            httpx2.get(f"{daemon.url}/api/healthz", timeout=1, trust_env=False)
    finally:
        daemon.signal(signal.SIGCONT)
    eventually(lambda: daemon.probe("healthz")[0] == 200, what="it is healthy again")


@pytest.mark.slow
def test_a_database_that_is_locked_is_a_problem_and_then_none() -> None:
    """Healthz says that the store fails while somebody else holds it, and only so long."""
    with Daemon() as daemon:
        holder = sqlite3.connect(daemon.data / "state.db", isolation_level=None)
        try:
            holder.execute("BEGIN IMMEDIATE")

            def failing() -> bool:
                answer = httpx2.get(f"{daemon.url}/api/healthz", timeout=60, trust_env=False)
                return answer.status_code == 503 and "store" in answer.text

            eventually(failing, within=60, what="healthz tells of the store")
            holder.execute("ROLLBACK")
        finally:
            holder.close()
        eventually(lambda: daemon.probe("healthz")[0] == 200, within=60, what="it is well again")


@pytest.fixture
def prober(tmp_path: Path) -> Iterator[HealthProber]:
    with Hosts(tmp_path) as hosts:
        yield HealthProber(hosts.machines, str)


def declared() -> list[DeclaredProject]:
    """Return both environments, as users are told to declare them."""
    (text,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    document = BoundedDocuments().read(text.encode(), DocumentForm.TOML)
    fleet = parse_fleet(document, datetime.now(UTC))
    return list((fleet.projects or {}).values())


def here(declared: DeclaredProject, daemon: Daemon) -> Target:
    """Return its target with the same checks, asked of the daemon that runs here."""
    (target,) = declared.targets or ()

    def asked_here(check: HealthCheck | None) -> HealthCheck:
        assert check is not None
        assert check.port == 8484
        return replace(check, port=daemon.port)

    return replace(
        implied_target(declared.project.name),
        health=asked_here(target.health),
        ready=asked_here(target.ready),
    )


def test_d2_it_passes_what_is_declared_of_it(daemon: Daemon, prober: HealthProber) -> None:
    """Alive, ready and of the very commit, in both environments; another commit is found out."""
    environments = declared()
    assert [one.project.environment and one.project.environment.name for one in environments] == [
        "test",
        "production",
    ]
    for one in environments:
        target, check = here(one, daemon), one.project.version
        eventually(lambda: not prober.probe(target, COMMIT).problem, what="it is healthy")  # noqa: B023
        assert prober.probe(target, COMMIT, ready=True).problem == ""
        assert check is not None
        asked = replace(check, port=daemon.port)
        told = prober.probe_version(target, "127.0.0.1", asked, COMMIT)
        assert (told.problem, told.told) == ("", str(COMMIT))
        other = prober.probe_version(target, "127.0.0.1", asked, CommitSha("cd" * 20))
        assert f"tells '{COMMIT}', expected is commit {'cd' * 20}" in other.problem


@pytest.mark.slow
@pytest.mark.needs_git
@pytest.mark.timeout(900)
def test_a_loop_that_is_stuck_is_told_and_holds_up_no_other() -> None:
    """It names the loop that got nowhere for minutes, until it does again."""
    config = {"settings": {"auto_deploy_poll_interval_seconds": 10}}
    with Daemon(config) as daemon:
        body = {"name": "stuck", "kind": "compose", "repository": "stuck", "auto_deploy": True}
        daemon.post("projects", {**body, "create_repository": True})
        # A file system that hangs: whoever opens this waits until somebody writes to it.
        ref = daemon.data / "repositories" / "stuck.git" / "refs" / "heads" / "main"
        os.mkfifo(ref)

        def told() -> list[str]:
            problems: list[str] = daemon.probe("healthz")[1]["problems"]
            return problems

        eventually(told, within=480, what="the stuck loop is told")
        status, health = daemon.probe("healthz")
        assert (status, health["status"]) == (503, "failing")
        assert [one["name"] for one in health["loops"] if not one["ok"]] == ["hosted"]
        assert "hosted" in health["problems"][0]
        assert daemon.probe("ready")[0] == 200, "it still takes requests"
        ref.write_text("")
        ref.unlink()
        eventually(lambda: daemon.probe("healthz")[0] == 200, within=30, what="it goes on")
