"""From a push to its deployment, and what the hook adds to a push against one without a hook.

Pushes go straight into the daemon's bare repository, as one through sshd does. Each pushes a
compose file without services, so that its deployment begins and then ends by itself, and takes no
time from the next. Accepted is when the branch moved on disk; recorded and begun are the daemon's
own records.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from reconciler.domain.references import CommitSha
from tests.benchmarks.cost import Cost, cost_of
from tests.benchmarks.fleet import declare, stopped
from tests.benchmarks.table import Row, print_table, quantile
from tests.parts.daemon import FINAL, Daemon, Json
from tests.parts.git_repository import Repository, environment
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.bench, pytest.mark.needs_git, pytest.mark.timeout(300)]

PUSHES = 60
OTHERS = 1_000  #: projects of other repositories


@dataclass(frozen=True)
class Line:
    """One project's way in: a clone, and the bare repository that it pushes to."""

    daemon: Daemon
    clone: Repository
    bare: Path

    def push(self, *, hook: bool = True) -> None:
        """Push what was committed last; without ``hook`` the server looks for none."""
        receive = "git receive-pack" if hook else "git -c core.hooksPath=/nowhere receive-pack"
        options = ["--quiet", f"--receive-pack={receive}"]
        subprocess.run(
            ["git", "--git-dir", self.clone.path, "push", *options, self.bare, "main"],
            check=True,
            capture_output=True,
            timeout=30,
            env=environment(),
        )

    def commit(self, number: int) -> str:
        return self.clone.commit({"compose.yaml": f"services: {{}}  # {number}\n"})

    def accepted_at(self) -> datetime:
        """Return when the branch moved."""
        moved = (self.bare / "refs" / "heads" / "main").stat().st_mtime
        return datetime.fromtimestamp(moved, UTC)

    def ended(self, commit: str) -> Json:
        """Wait for the deployment of ``commit`` to end; return it."""

        def find() -> Json | None:
            newest = self.daemon.get("projects/shop/deployments", limit=1)["items"]
            done = newest and newest[0]["revision"]["commit"] == commit
            return newest[0] if done and newest[0]["status"] in FINAL else None

        found = eventually(find, what=f"{commit} was tried")
        assert found
        return found


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with Daemon({"log_level": "warning"}) as daemon:
        daemon.post("repositories", {"name": "other"})
        with stopped(daemon) as data:
            others = {f"other-{number}": "other" for number in range(OTHERS)}
            declare(data, others, CommitSha("a" * 40))
        body = {"name": "shop", "kind": "compose", "repository": "shop", "create_repository": True}
        exposed = {"expose_service": "web", "expose_port": 80, "auto_deploy": True}
        daemon.post("projects", {**body, **exposed})
        bare = daemon.data / "repositories" / "shop.git"
        yield Line(daemon, Repository(tmp_path / "clone.git"), bare)


def test_from_push_to_deployment(line: Line) -> None:
    """Print when a deployment is recorded, and when its first stage begins, after the push."""
    recorded, begun = [], []
    for number in range(PUSHES):
        commit = line.commit(number)
        line.push()
        deployment, accepted = line.ended(commit), line.accepted_at()
        recorded.append((_instant(deployment["created_at"]) - accepted).total_seconds() * 1e3)
        first = deployment["stages"][0]
        assert first["stage"] == "prepare"
        begun.append((_instant(first["started_at"]) - accepted).total_seconds() * 1e3)
    print_table(
        f"{PUSHES} pushes, {OTHERS:,} other projects",
        [
            Row("accepted → recorded, p50, ms", quantile(recorded, 0.5)),
            Row("accepted → recorded, p99, ms", quantile(recorded, 0.99), None, "aim 50"),
            Row("accepted → first stage, p50, ms", quantile(begun, 0.5)),
            Row("accepted → first stage, p99, ms", quantile(begun, 0.99), None, "aim 100"),
        ],
    )


def test_what_the_hook_adds_to_a_push(line: Line) -> None:
    """Print a push with the hook beside one to the same repository without it, in turns."""
    costs: dict[bool, list[Cost]] = {True: [], False: []}
    for number in range(PUSHES):
        hook = number % 2 == 0
        commit = line.commit(number)
        costs[hook].append(cost_of(partial(line.push, hook=hook)))
        if hook:
            line.ended(commit)
    assert len(line.daemon.get("projects/shop/triggers")["items"]) == PUSHES // 2
    ours, theirs = Cost.middle(costs[True]), Cost.middle(costs[False])
    added = (ours.seconds - theirs.seconds) * 1e3
    print_table(
        "a push",
        [
            Row("wall, ms", ours.seconds * 1e3, theirs.seconds * 1e3),
            Row("CPU of git and hook, ms", ours.cpu_seconds * 1e3, theirs.cpu_seconds * 1e3),
            Row("added by the hook, ms", added, None, "aim 50"),
        ],
        ours="with our hook",
        theirs="without",
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
