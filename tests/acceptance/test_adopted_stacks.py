"""What a person brought up by hand is adopted, followed in its folder, and gone back to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon, Json
from tests.parts.docker_engine import RUN_LABEL, DockerEngine
from tests.parts.shop import Images, removing
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


@dataclass
class Stack:
    """A stack in a folder, brought up by hand, that a daemon may adopt."""

    daemon: Daemon
    images: Images
    folder: Path
    name: str

    @property
    def image(self) -> str:
        """How its compose file names the image."""
        return self.images.at(f"{self.name}:1")

    def write(self, version: str, *, command: str = "") -> None:
        """Write its compose file."""
        run_id = self.images.engine.run_id
        (self.folder / "compose.yaml").write_text(
            "services:\n"
            "  web:\n"
            f"    image: {self.image}\n"
            f"{command}"
            "    stop_signal: KILL\n"
            "    env_file: app.env\n"
            f"    environment: {{VERSION: {version}, LEVEL: '${{LEVEL}}'}}\n"
            "    ports: ['127.0.0.1::80']\n"
            "    volumes: ['./data:/data', 'kept:/kept']\n"
            f"    labels: {{{RUN_LABEL}: {run_id}}}\n"
            "volumes: {kept: {}}\n"
        )

    def up(self) -> None:
        """Bring it up as a person does."""
        self.compose("up", "--detach")

    def compose(self, *arguments: str) -> None:
        """Run compose in the folder as a person does."""
        file = self.folder / "compose.yaml"
        self.images.engine.docker("compose", "-p", self.name, "--file", file, *arguments)

    def running(self) -> Json:
        """Return its one container."""
        (found,) = self.images.engine.containers(self.name)
        return found

    def inside(self, script: str) -> str:
        """Run a script in its container."""
        return self.images.engine.docker("exec", self.running()["Id"], "sh", "-c", script)

    def kept(self) -> str:
        """Return what must outlive every deployment."""
        return self.inside("cat /data/mark /kept/mark; echo $LEVEL $PASSWORD")


@pytest.fixture
def stack(
    shared_daemon: Daemon, engine: DockerEngine, images: Images, tmp_path: Path
) -> Iterator[Stack]:
    name = engine.unique("by-hand")
    made = Stack(shared_daemon, images, tmp_path, name)
    (tmp_path / ".env").write_text("LEVEL=info\n")
    (tmp_path / "app.env").write_text("PASSWORD=untracked\n")
    with removing(shared_daemon, engine, name):
        yield made


def test_f12_what_runs_by_hand_is_adopted_and_followed_in_its_folder(stack: Stack) -> None:
    """F12, A13, D3: the same images first; then tags, edits and broken edits as everywhere."""
    daemon, name = stack.daemon, stack.name
    first = stack.images.push(f"{name}:1", version="one")
    stack.write("one")
    stack.up()
    before = stack.running()
    stack.inside("echo mine > /data/mark; echo too > /kept/mark")
    kept = stack.kept()
    assert kept.split() == ["mine", "too", "info", "untracked"]
    moved = stack.images.push(f"{name}:1", version="two")

    adopted = daemon.post(f"hosts/local/stacks/{name}/adopt")
    assert (adopted["expose_service"], adopted["expose_port"]) == ("web", 80)
    assert stack.running()["Id"] == before["Id"], "nothing that runs is touched"
    (step,) = daemon.get(f"projects/{name}/plan")["images"]
    assert step["after"]["digest"] == first
    daemon.post(f"projects/{name}/deployments")
    daemon.deployed(name)
    assert stack.running()["Image"] == before["Image"]
    assert stack.running()["Config"]["Image"] == f"{stack.image}@{first}"
    assert stack.kept() == kept

    daemon.patch(f"projects/{name}", {"auto_deploy": True})

    def looked() -> bool:
        daemon.look(name)
        return len(daemon.deployments(name)) > 1

    eventually(looked, within=30, what="the tag that moved is seen")
    daemon.deployed(name, count=2)
    assert stack.running()["Config"]["Image"] == f"{stack.image}@{moved}"
    assert stack.kept() == kept

    stack.write("edited")
    daemon.look(name)
    daemon.deployed(name, count=3)
    assert stack.inside("echo $VERSION") == "edited"

    stack.write("broken", command="    command: ['false']\n")
    daemon.look(name)
    broken = daemon.settled(name, count=4)
    assert broken["status"] == "rolled-back", broken
    assert stack.inside("echo $VERSION") == "edited"
    assert stack.kept() == kept
