"""What the daemon takes while nothing happens, how soon it is ready, and what commands cost.

Idle: 1,000 hosted projects that are in sync; the yardstick is what the same daemon takes with none.
Start: to the first answer of `/api/ready`. Commands: `reconciler` beside `docker`, which also asks
a daemon on this machine.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.domain.references import CommitSha
from tests.benchmarks.cost import Cost, cost_of_command, cpu_seconds_of, resident_bytes_of
from tests.benchmarks.fleet import declare, stopped
from tests.benchmarks.table import Row, median, print_table
from tests.parts.daemon import PROGRAM, Daemon
from tests.parts.docker_engine import DockerEngine
from tests.parts.git_repository import Repository

pytestmark = [pytest.mark.bench, pytest.mark.timeout(400)]

PROJECTS = 1_000
WATCHED_SECONDS = 70  #: a whole interval of the hosted looks
QUIET = {"log_level": "warning"}


@dataclass(frozen=True)
class Idle:
    """What an idle daemon takes."""

    cpu_seconds: float  #: a minute
    resident_bytes: int


@pytest.mark.needs_git
def test_idle_cost() -> None:
    """Print CPU and memory with a thousand projects and with none."""
    with Daemon(QUIET) as daemon:
        none = _idle(daemon)
        daemon.post("repositories", {"name": "shared"})
        bare = Repository(daemon.data / "repositories" / "shared.git")
        tip = bare.commit({"compose.yaml": "services: {}\n"})
        with stopped(daemon) as data:
            declare(data, {f"p{n}": "shared" for n in range(PROJECTS)}, CommitSha(tip))
        many = _idle(daemon)
        assert len(daemon.get("projects")["items"]) == PROJECTS
        assert daemon.get("deployments")["items"] == [], "nothing happened"
    print_table(
        f"{PROJECTS:,} projects in sync",
        [
            Row("CPU, s a minute", many.cpu_seconds, none.cpu_seconds),
            Row("memory, MiB", many.resident_bytes / 2**20, none.resident_bytes / 2**20),
        ],
        theirs="no project",
    )


def test_start_to_ready() -> None:
    """Print the time from the command to readiness, of a first start and of later ones."""
    first, later, burnt = [], [], []
    for _ in range(3):
        daemon = Daemon(QUIET)
        began = time.monotonic()
        with daemon:
            first.append(time.monotonic() - began)
            for _ in range(2):
                daemon.stop()
                began = time.monotonic()
                daemon.start()
                later.append(time.monotonic() - began)
                burnt.append(cpu_seconds_of(daemon.pid))
    print_table(
        "start to ready",
        [
            Row("first start, empty home, s", median(first), None, "aim 2"),
            Row("a later one, s", median(later), None, "aim 2"),
            Row("its CPU until then, s", median(burnt)),
        ],
    )


@pytest.mark.needs_docker
def test_commands(engine: DockerEngine) -> None:
    """Print wall and CPU time of commands that people type again and again."""
    with Daemon(QUIET) as daemon:
        env = {**daemon.environment, "RECONCILER_CONFIG": str(daemon.folder / "config.toml")}
        docker = {**daemon.environment, **engine.environment}
        pairs: dict[str, tuple[Sequence[str | Path], Sequence[str]]] = {
            "--help": ([PROGRAM, "--help"], ["docker", "--help"]),
            "status / ps": ([PROGRAM, "status"], ["docker", "ps"]),
        }
        rows = []
        for name, (ours, theirs) in pairs.items():
            own, typed = _in_turns(ours, env, theirs, docker)
            rows.append(Row(f"{name}, wall, ms", own.seconds * 1e3, typed.seconds * 1e3))
            rows.append(Row(f"{name}, CPU, ms", own.cpu_seconds * 1e3, typed.cpu_seconds * 1e3))
    print_table("a command", rows, ours="reconciler", theirs="docker")


def _in_turns(
    ours: Sequence[str | Path],
    our_env: dict[str, str],
    theirs: Sequence[str],
    their_env: dict[str, str],
) -> tuple[Cost, Cost]:
    own, typed = [], []
    for _ in range(15):
        own.append(cost_of_command(ours, env=our_env)[0])
        typed.append(cost_of_command(theirs, env=their_env)[0])
    return Cost.middle(own), Cost.middle(typed)


def _idle(daemon: Daemon) -> Idle:
    time.sleep(5)  # what a start does once
    before, began = cpu_seconds_of(daemon.pid), time.monotonic()
    time.sleep(WATCHED_SECONDS)
    minutes = (time.monotonic() - began) / 60
    burnt = cpu_seconds_of(daemon.pid) - before
    return Idle(burnt / minutes, resident_bytes_of(daemon.pid))
