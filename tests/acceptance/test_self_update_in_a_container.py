"""C6: the daemon deploys itself, in a container: another one replaces it, or brings it back."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.store.schema import VERSIONS
from tests.parts.contained_daemon import ROOT, ContainedDaemon
from tests.parts.daemon import Json
from tests.parts.docker_engine import DockerEngine
from tests.parts.git_repository import Repository, environment
from tests.parts.registry import Registry
from tests.parts.shop import Images, hosted_shop
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry() as running:
        yield running


@pytest.fixture(scope="module")
def images(engine: DockerEngine, registry: Registry) -> Images:
    return Images(engine, registry)


@pytest.fixture(scope="module")
def daemon(
    engine: DockerEngine, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ContainedDaemon]:
    """A daemon that somebody brought up by hand, and then told of itself."""
    with ContainedDaemon(engine, registry) as running:
        name = running.name
        body = {"name": name, "kind": "compose", "repository": name, "create_repository": True}
        running.post(
            "projects", {**body, "expose_service": "reconciler", "expose_port": running.port}
        )
        push(running, tmp_path_factory.mktemp("itself"))
        yield running


def push(daemon: ContainedDaemon, folder: Path) -> None:
    """Push the compose file that the daemon was brought up by."""
    name = daemon.name
    token = daemon.post(f"repositories/{name}/tokens", {"name": "push"})["token"]
    remote = f"{daemon.url}/git/{name}.git".replace("//", f"//git:{token}@", 1)
    repository = Repository(folder / "itself.git")
    repository.commit({"compose.yaml": daemon.compose_file()})
    subprocess.run(
        ["git", "--git-dir", str(repository.path), "push", "-q", remote, "main"],
        check=True,
        capture_output=True,
        timeout=60,
        env=environment(),
    )


def deploy(daemon: ContainedDaemon, **wanted: object) -> Json:
    """Deploy the daemon by itself; return the record once it is closed."""
    return daemon.closed(daemon.post(f"projects/{daemon.name}/deployments", wanted)["id"])


def runs(daemon: ContainedDaemon) -> str:
    """Return the digest of the image that the daemon runs, and see that nothing else is left."""
    (container,) = daemon.engine.containers(daemon.name)
    assert container["State"]["Running"]
    left = ("ps", "--all", "--quiet", "--filter", f"name=self-update-{daemon.name}")
    eventually(lambda: not daemon.engine.docker(*left), what="what replaced it is gone")
    image = daemon.engine.inspect(container["Image"])
    return str(image["RepoDigests"][0]).partition("@")[2]


@pytest.fixture(scope="module")
def updated(daemon: ContainedDaemon) -> None:
    """A version of the daemon that it deployed itself."""
    daemon.make_image("updated")
    ended = deploy(daemon, force=True)
    assert ended["status"] == "deployed", daemon.log_of(ended["id"])


@pytest.mark.slow
def test_c6_a_new_version_takes_over_and_a_broken_one_comes_back_as_the_old(
    daemon: ContainedDaemon, images: Images, tmp_path: Path
) -> None:
    """C6: each closes its record; what is broken is told, and nobody tries it again."""
    _a_new_version_takes_over(daemon, images, tmp_path)
    _a_broken_version_comes_back(daemon)


def _a_new_version_takes_over(daemon: ContainedDaemon, images: Images, folder: Path) -> None:
    """Amid a deployment of another project, which the new version takes to its end."""
    with hosted_shop(daemon, images, folder) as other:
        other.images.push("slow:1", healthcheck="--interval=1s --retries=99 CMD test -e /go")
        other.push(other.compose(other.images.at("slow:1")))
        daemon.in_stage(other.name, "verify")
        digest = daemon.make_image("two")
        ended = deploy(daemon, force=True)
        assert ended["status"] == "deployed", daemon.log_of(ended["id"])
        assert runs(daemon) == digest
        assert daemon.probe("version")[1]["commit"] == "two"
        daemon.engine.docker("exec", other.running()["Id"], "touch", "/go")
        assert other.deployed(1)["attempt"] == 1


def _a_broken_version_comes_back(daemon: ContainedDaemon) -> None:
    """One that ends once it has changed the database."""
    before = runs(daemon)
    broken = daemon.make_image("broken", newer_tables("raise SystemExit('broken on purpose')"))
    ended = deploy(daemon)
    assert ended["status"] == "rolled-back", daemon.log_of(ended["id"])
    assert "broken on purpose" in ended["error"]["message"]
    assert runs(daemon) == before != broken
    (quarantined,) = daemon.project(daemon.name)["quarantined"]
    assert list(quarantined["images"].values()) == [broken]
    assert list(daemon.data.glob("state.db.before-9999-*")), "the broken one changed the tables"
    assert list(daemon.data.glob("state.db.replaced-*"))
    assert not (daemon.data / "handed-over").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("updated")
@pytest.mark.parametrize("victim", ["old", "replacer", "new"])
def test_c6_whoever_is_killed_one_of_both_runs_and_the_record_is_closed(
    daemon: ContainedDaemon, engine: DockerEngine, victim: str
) -> None:
    """C6: with SIGKILL, as soon as it is there."""
    (old,) = daemon.engine.containers(daemon.name)
    before = runs(daemon)
    digest = daemon.make_image(f"without-{victim}")
    asked = daemon.post(f"projects/{daemon.name}/deployments", {"force": True})

    def found() -> int:
        """Return the victim's process; 0 while it is not its time yet."""
        listed = engine.docker(
            "ps", "--no-trunc", "--filter", f"name={daemon.name}", "--format", "{{.Names}} {{.ID}}"
        )
        there = dict(line.split() for line in listed.splitlines())
        replacers = [there[name] for name in there if f"-{asked['id']}-override" in name]
        new = there.get(old["Name"][1:], old["Id"])
        victims = {
            "old": [old["Id"]] if replacers else [],
            "replacer": replacers,
            "new": [new] if new != old["Id"] else [],
        }
        return sum(int(engine.inspect(one)["State"]["Pid"]) for one in victims[victim])

    pid = eventually(found, within=60, what=f"the {victim} one is there")
    os.kill(pid, signal.SIGKILL)
    ended = daemon.closed(asked["id"])
    assert ended["status"] in {"deployed", "rolled-back"}, daemon.log_of(asked["id"])
    assert runs(daemon) == (digest if ended["status"] == "deployed" else before)
    eventually(daemon.is_ready, within=30)


def newer_tables(then: str) -> dict[str, bytes]:
    """Return a version that knows a newer database, and what it does once that is migrated."""
    newest = VERSIONS[-1]
    schema = (ROOT / "reconciler/store/schema.py").read_text()
    known = f'"{newest}")'
    assert known in schema
    migration = f'revision, down_revision = "9999", "{newest}"\n\ndef upgrade():\n    pass\n'
    return {
        "reconciler/store/schema.py": schema.replace(known, f'"{newest}", "9999")').encode(),
        "reconciler/store/migrations/versions/9999_newer.py": migration.encode(),
        "reconciler/web/server.py": f"def serve(*_, **__):\n    {then}\n".encode(),
    }
